"""metadata.csv under the headings, and with the ids, that people write: groups and subsets are never lost."""

import unicodedata
from pathlib import Path

import pytest
from fake_data import disc, make_folder, save, save_pair

from segstudy.core.errors import UserError
from segstudy.data.datasets import read

ROWS = "\na,p,train\nb,p,val\nc,q,test\n"


def table(root: Path, text: str, stems: tuple[str, ...] = ("a", "b", "c")) -> Path:
    make_folder(root, stems)
    (root / "metadata.csv").write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "heading",
    [
        *(
            "id,group,part",
            "id, group, part",
            "ID,Group,PART",
            " Id , GROUP , Part ",
            '"id", "group", "part"',
        ),
        *("id,patient_id,split", "id,PatientID,Split", "id,Patient-Id,subset", "id,lesion_id,set"),
        *("id,case_id,partition", "id,subjectId,Subset", "id,pid,split", "id,patient no,Phase"),
    ],
)
def test_groups_and_subsets_are_read_under_the_usual_headings(tmp_path: Path, heading: str) -> None:
    dataset = read(table(tmp_path, heading + ROWS))
    found = [(sample.group, sample.part) for sample in dataset.samples]
    assert found == [("p", "train"), ("p", "validation"), ("q", "test")]
    assert not [problem for problem in dataset.problems if problem.kind in ("unused column", "no groups")]


@pytest.mark.parametrize(
    ("words", "subset"),
    [
        ("train Training TRAINSET", "train"),
        ("val Valid dev VALIDATION", "validation"),
        ("test Testing holdout", "test"),
    ],
)
def test_subsets_have_any_of_the_usual_words(tmp_path: Path, words: str, subset: str) -> None:
    for i, word in enumerate(words.split()):
        dataset = read(table(tmp_path / str(i), f"id,split\na,{word}\nb,train\nc,train\n"))
        assert dataset.samples[0].part == subset


@pytest.mark.parametrize("word", ["eval", "third", "1"])
def test_a_value_that_is_no_subset_is_an_error_that_names_the_column(tmp_path: Path, word: str) -> None:
    dataset = read(table(tmp_path, f"id,split\na,train\nb,test\nc,{word}\n"))
    (error,) = [problem for problem in dataset.problems if problem.severity == "error"]
    assert (error.kind, error.where) == ("unknown part", "metadata.csv: c")
    assert f"split '{word}' is none of train, validation, test" in error.detail


@pytest.mark.parametrize("column", ["set", "fold", "Split", "case", "lesion", "Diagnosis"])
def test_a_column_that_may_be_meant_but_has_other_values_is_named(tmp_path: Path, column: str) -> None:
    dataset = read(table(tmp_path, f"id,{column}\na,1\nb,2\nc,1\n"))
    (warning,) = [problem for problem in dataset.problems if problem.kind == "unused column"]
    assert (warning.severity, warning.where) == ("warning", f"metadata.csv: {column}")
    assert "; call it " in warning.detail


def test_two_columns_that_could_both_be_the_subsets_are_refused(tmp_path: Path) -> None:
    text = "id,split,subset\na,train,train\nb,val,train\nc,test,test\n"
    with pytest.raises(
        UserError, match=r"split and subset could both say which subset .* call one of them part"
    ):
        read(table(tmp_path, text))
    (tmp_path / "metadata.csv").write_text(text.replace("split", "part"))
    assert [sample.part for sample in read(tmp_path).samples] == ["train", "validation", "test"]


def test_a_column_of_patients_comes_before_rarer_ones(tmp_path: Path) -> None:
    dataset = read(table(tmp_path, "id,patient_id,case_id\na,p,1\nb,p,2\nc,q,3\n"))
    assert [sample.group for sample in dataset.samples] == ["p", "p", "q"]
    assert [problem.where for problem in dataset.problems] == ["metadata.csv: case_id"]


@pytest.mark.parametrize(
    "form",
    ["{}.png", "{}.JPG", "images/{}.png", "./images/{}", "images\\{}.png", "masks/{}.png", "data/images/{}"],
)
def test_ids_may_be_names_or_paths_of_files(tmp_path: Path, form: str) -> None:
    rows = "".join(f"{form.format(stem)},{group}\n" for stem, group in zip("abc", "ppq", strict=True))
    dataset = read(table(tmp_path / "data", f"id,patient\n{rows}"))
    if form.startswith("data/"):  # a folder outside: nothing fits, which is said
        assert "no id fits" in {problem.kind for problem in dataset.problems if problem.severity == "error"}
    else:
        assert [sample.group for sample in dataset.samples] == ["p", "p", "q"]
        assert dataset.problems == ()


def test_an_id_with_and_without_suffix_is_listed_twice(tmp_path: Path) -> None:
    dataset = read(table(tmp_path, "id,patient\na,p\na.png,q\nb,p\nc,q\n"))
    assert ("error", "id listed twice") in {(each.severity, each.kind) for each in dataset.problems}


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_accents_may_be_encoded_differently_in_names_and_in_the_table(
    tmp_path: Path, forms: tuple[str, str]
) -> None:
    in_file, in_table = (unicodedata.normalize(form, "l\u00e9sion") for form in forms)  # type: ignore[arg-type]
    dataset = read(table(tmp_path, f"id,patient\n{in_table},p\n", (in_file,)))
    assert dataset.samples[0].group == "p"
    assert dataset.problems == ()


@pytest.mark.parametrize("name", ["Metadata.csv", "METADATA.CSV"])
def test_the_name_of_the_table_may_be_in_any_case(tmp_path: Path, name: str) -> None:
    table(tmp_path, f"id,group,part{ROWS}")
    (tmp_path / "metadata.csv").rename(tmp_path / name)
    assert [sample.group for sample in read(tmp_path).samples] == ["p", "p", "q"]


# Tables in the folders of subsets


def in_subsets(root: Path) -> Path:
    for i, name in enumerate(("train", "val", "test")):
        make_folder(root / name, ("1", "2"), seed=10 * i)
    return root


def test_each_subset_may_have_its_own_table(tmp_path: Path) -> None:
    in_subsets(tmp_path)
    for name in ("train", "val", "test"):
        (tmp_path / name / "metadata.csv").write_text(f"id,patient\n1,{name}-p\n2,{name}-p\n")
    dataset = read(tmp_path)
    assert {sample.id: sample.group for sample in dataset.samples} == {
        f"{name}/{i}": f"{name}-p" for name in ("train", "val", "test") for i in (1, 2)
    }
    assert (dataset.groups_from, dataset.group_noun, dataset.problems) == ("column `patient`", "patient", ())


def test_a_subset_without_a_table_keeps_groups_of_its_own(tmp_path: Path) -> None:
    in_subsets(tmp_path)
    (tmp_path / "train" / "metadata.csv").write_text("id,patient\n1,p\n9,p\n2.png,p\n")
    dataset = read(tmp_path)
    assert [sample.group for sample in dataset.samples][2:4] == ["p", "p"]
    assert dataset.ungrouped == {"test/1", "test/2", "val/1", "val/2"}
    (warning,) = dataset.problems
    assert warning.where == "train/metadata.csv: 9"


def test_tables_at_the_top_and_in_a_subset_are_refused(tmp_path: Path) -> None:
    in_subsets(tmp_path)
    (tmp_path / "metadata.csv").write_text("id,patient\n1,p\n")
    (tmp_path / "val" / "metadata.csv").write_text("id,patient\n1,p\n")
    with pytest.raises(UserError, match=r"holds metadata\.csv as well as val/metadata\.csv; merge them"):
        read(tmp_path)


def test_an_id_that_fits_samples_of_two_folders_is_an_error(tmp_path: Path) -> None:
    for place in ("one/a", "two/a"):
        save_pair(tmp_path / "images" / f"{place}.png", tmp_path / "masks" / f"{place}.png", seed=1)
    (tmp_path / "metadata.csv").write_text("id,patient\na,p\n")
    (error,) = [problem for problem in read(tmp_path).problems if problem.severity == "error"]
    assert (error.kind, error.where) == ("id of several samples", "metadata.csv: a")
    assert "fits one/a and two/a; write the folder before it too" in error.detail
    (tmp_path / "metadata.csv").write_text("id,patient\none/a,p\nimages/two/a.png,q\n")
    assert [sample.group for sample in read(tmp_path).samples] == ["p", "q"]


def test_a_patient_in_two_subsets_is_found_whatever_the_heading(tmp_path: Path) -> None:
    from segstudy.data.check import check

    in_subsets(tmp_path)
    rows = "".join(
        f"{name}/{i}.png, {group}\n" for name, group in (("train", "p"), ("test", "p")) for i in (1, 2)
    )
    (tmp_path / "metadata.csv").write_text(f"ID, Patient ID\n{rows}val/1,q\nval/2,q\n")
    assert "group in several parts" in {each.kind for each in check(read(tmp_path))}


def test_images_alone_in_a_subset_are_left_to_predict(tmp_path: Path) -> None:
    in_subsets(tmp_path)
    save(tmp_path / "test" / "images" / "9.png", disc(9)[0])
    assert read(tmp_path).without_mask == (tmp_path / "test" / "images" / "9.png",)
