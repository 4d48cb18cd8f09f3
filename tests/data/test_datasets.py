import re
import shutil
from pathlib import Path

import pytest
from fake_data import (
    ISIC_FOLDERS,
    ISIC_PARTS,
    disc,
    make_folder,
    make_isic,
    make_ph2,
    ph2_text,
    save,
    save_pair,
)

from segstudy.core.errors import UserError
from segstudy.data.datasets import READERS, folder, isic, ph2, read
from segstudy.data.masks import read_mask
from segstudy.data.samples import PARTS, Dataset


def ids(dataset: Dataset) -> list[str]:
    return [sample.id for sample in dataset.samples]


def kinds(dataset: Dataset) -> list[tuple[str, str]]:
    return [(problem.severity, problem.kind) for problem in dataset.problems]


def in_parts(root: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        make_folder(root / name, ("1", "2"), seed=10 * i)
    return root


MAKERS = {
    "ph2": make_ph2,
    "isic2016": lambda root: make_isic(root, "2016"),
    "isic2017": lambda root: make_isic(root, "2017"),
    "isic2018": lambda root: make_isic(root, "2018"),
    "folder": make_folder,
    "folder in parts": lambda root: in_parts(root, "train", "val", "test"),
}


# What holds for every reader


@pytest.mark.parametrize("layout", MAKERS)
def test_each_layout_is_recognised_by_one_reader_and_read_without_warnings(
    tmp_path: Path, layout: str
) -> None:
    root = MAKERS[layout](tmp_path / "data")
    dataset = read(root)
    assert [name for name, reader in READERS.items() if reader.detect(root)] == [dataset.reader]
    assert layout.startswith(dataset.reader)
    assert dataset.name == "data"
    assert dataset.root == root
    assert not [kind for kind in kinds(dataset) if kind[0] != "note"]


@pytest.mark.parametrize("layout", MAKERS)
def test_samples_are_sorted_unique_and_their_files_are_there(tmp_path: Path, layout: str) -> None:
    dataset = read(MAKERS[layout](tmp_path / "data"))
    assert ids(dataset) == sorted(set(ids(dataset)))
    assert all(sample.image.is_file() and sample.mask.is_file() for sample in dataset.samples)
    assert len({sample.mask for sample in dataset.samples}) == len(dataset.samples)


@pytest.mark.parametrize("layout", MAKERS)
def test_the_order_of_the_folder_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    root = MAKERS[layout](tmp_path / "data")
    before = read(root)
    forwards = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: sorted(forwards(self), reverse=True))
    assert read(root) == before


@pytest.mark.parametrize("layout", MAKERS)
def test_an_image_without_mask_and_a_mask_without_image_are_said_and_left_out(
    tmp_path: Path, layout: str
) -> None:
    root = MAKERS[layout](tmp_path / "data")
    before = read(root)
    before.samples[0].mask.unlink()
    before.samples[1].image.unlink()
    after = read(root)
    assert ids(after) == ids(before)[2:]
    found = {p.kind: p.where for p in after.problems if p.severity == "warning"}
    assert found == {
        "unpaired image": before.samples[0].image.relative_to(root).as_posix(),
        "unpaired mask": before.samples[1].mask.relative_to(root).as_posix(),
    }


# Which reader


def test_a_missing_folder_a_file_and_an_empty_folder_each_get_their_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "data.zip").write_bytes(b"zip")
    for name, line in (
        ("nowhere", "no such folder"),
        ("data.zip", "is a file"),
        ("empty", "an empty folder"),
    ):
        with pytest.raises(UserError, match=f"{name}: {line}"):
            read(tmp_path / name)


def test_an_unknown_layout_says_what_was_found_and_what_is_understood(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match=r"holds notes\.txt, pictures/") as caught:
        read(tmp_path)
    assert all(reader.description in str(caught.value) for reader in READERS.values())


def test_an_ambiguous_folder_names_the_readers_and_how_to_choose(tmp_path: Path) -> None:
    make_ph2(make_folder(tmp_path))
    with pytest.raises(UserError, match=r"ph2, folder.*--set reader=NAME"):
        read(tmp_path)
    assert read(tmp_path, "folder").reader == "folder"
    assert read(tmp_path, "ph2").reader == "ph2"


def test_an_unknown_reader_lists_the_choices_and_a_wrong_one_says_its_layout(tmp_path: Path) -> None:
    make_folder(tmp_path)
    with pytest.raises(UserError, match=f"unknown reader 'foo'.*{', '.join(READERS)}"):
        read(tmp_path, "foo")
    with pytest.raises(UserError, match="not in the layout of reader ph2"):
        read(tmp_path, "ph2")


def test_a_folder_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\); check the permissions"):
        read(tmp_path)


def test_no_pairs_is_an_error_that_says_why(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", disc(0)[0])
    save(tmp_path / "masks" / "b.png", disc(0)[1])
    with pytest.raises(UserError, match=r"no image with its mask.*images/a\.png: no mask"):
        read(tmp_path)


# synthetic


def test_the_word_synthetic_is_the_drawn_set_unless_a_folder_has_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("synthetic:n=4", "synthetic:n=4:seed=1", Path("synthetic:n=4")):
        dataset = read(text)
        assert (dataset.reader, len(dataset.samples)) == ("synthetic", 4)
        assert read(text) == dataset
    make_folder(tmp_path / "synthetic")
    assert read("synthetic").reader == "folder"


def test_no_folder_is_taken_for_the_synthetic_set(tmp_path: Path) -> None:
    assert not READERS["synthetic"].detect(make_folder(tmp_path))


# ph2


def test_ph2_has_categories_from_the_text_file_and_one_group_for_one_lesion(tmp_path: Path) -> None:
    dataset = ph2.read(make_ph2(tmp_path))
    assert [s.category for s in dataset.samples] == [*ph2.CATEGORIES, "common nevus"]
    assert [s.group for s in dataset.samples] == ["IMD002", "IMD003", "IMD199", "IMD199"]


def test_ph2_takes_the_bmp_never_a_stray_file(tmp_path: Path) -> None:
    for sample in ph2.read(make_ph2(tmp_path)).samples:
        assert sample.image.name == f"{sample.id}.bmp"
        assert sample.mask.name == f"{sample.id}_lesion.bmp"
        assert (
            read_mask(sample.mask) == disc(["IMD002", "IMD003", "IMD199", "IMD200"].index(sample.id))[1]
        ).all()


def test_ph2_without_diagnoses_is_read_with_a_warning(tmp_path: Path) -> None:
    (make_ph2(tmp_path) / "PH2_dataset.txt").unlink()
    dataset = ph2.read(tmp_path)
    assert {s.category for s in dataset.samples} == {None}
    assert kinds(dataset) == [("warning", "no diagnoses")]


def test_ph2_falls_back_on_the_text_file_when_the_spreadsheet_is_broken(tmp_path: Path) -> None:
    (make_ph2(tmp_path) / "PH2_dataset.xlsx").write_bytes(b"PK broken")
    dataset = ph2.read(tmp_path)
    assert kinds(dataset) == [("warning", "unreadable diagnoses")]
    assert dataset.samples[2].category == "melanoma"


def test_ph2_says_which_image_the_table_lacks(tmp_path: Path) -> None:
    (make_ph2(tmp_path) / "PH2_dataset.txt").write_text(ph2_text(("IMD002", "IMD003", "IMD199")))
    assert [(p.kind, p.where) for p in ph2.read(tmp_path).problems] == [("no diagnosis", "IMD200")]


@pytest.mark.parametrize("below", ["", "PH2Dataset/PH2 Dataset images"])
def test_ph2_is_found_from_the_folder_above_and_from_the_images(tmp_path: Path, below: str) -> None:
    make_ph2(tmp_path / "PH2Dataset")
    dataset = read(tmp_path / below)
    assert len(dataset.samples) == 4
    assert dataset.samples[2].category == "melanoma"


def test_the_real_ph2_has_its_published_numbers(ph2_folder: Path) -> None:
    dataset = read(ph2_folder)
    categories = [s.category for s in dataset.samples]
    assert [categories.count(name) for name in ph2.CATEGORIES] == [80, 80, 40]
    assert dataset.problems == ()
    assert len({s.group for s in dataset.samples}) == 199


# isic


@pytest.mark.parametrize("year", ISIC_FOLDERS)
def test_isic_keeps_the_official_parts(tmp_path: Path, year: str) -> None:
    dataset = isic.read(make_isic(tmp_path, year))
    parts = [sample.part for sample in dataset.samples]
    assert [parts.count(part) for part in PARTS] == ([2, 0, 2] if year == "2016" else [2, 2, 2])
    missing = [("note", "missing part")] if year == "2016" else []
    assert kinds(dataset) == missing
    assert year in (dataset.terms or "")


def test_isic_ignores_superpixels_and_pairs_by_id(tmp_path: Path) -> None:
    for sample in isic.read(make_isic(tmp_path, "2017")).samples:
        assert sample.image.name == f"{sample.id}.jpg"
        assert sample.mask.name == f"{sample.id}_segmentation.png"


def test_isic_reads_either_spelling_of_segmentation(tmp_path: Path) -> None:
    root = make_isic(tmp_path, "2018")
    for mask in root.glob("*GroundTruth/*_segmentation.png"):
        mask.rename(mask.with_name(mask.name.replace("_s", "_S")))
    assert len(isic.read(root).samples) == 6


def test_isic_says_when_a_part_has_no_masks(tmp_path: Path) -> None:
    root = make_isic(tmp_path, "2017")
    shutil.rmtree(root / "ISIC-2017_Test_v2_Part1_GroundTruth")
    dataset = isic.read(root)
    assert kinds(dataset) == [("warning", "unpaired folder"), ("note", "missing part")]
    assert len(dataset.samples) == 4


def test_isic_has_the_diagnoses_of_2017(tmp_path: Path) -> None:
    root = make_isic(tmp_path, "2017", per_part=3)
    lines = ("ISIC_0000000,1.0,0.0", "ISIC_0000001,0.0,1.0", "ISIC_0000002,0.0,0.0")
    table = "\n".join(["image_id,melanoma,seborrheic_keratosis", *lines])
    (root / "ISIC-2017_Training_Part3_GroundTruth.csv").write_text(table)
    categories = [s.category for s in isic.read(root).samples]
    assert categories == ["melanoma", "seborrheic keratosis", "nevus", *[None] * 6]


def test_isic_refuses_a_wrong_table(tmp_path: Path) -> None:
    root = make_isic(tmp_path, "2017")
    (root / "ISIC-2017_Training_Part3_GroundTruth.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="image_id, melanoma"):
        isic.read(root)


def test_isic_refuses_two_years_in_one_folder(tmp_path: Path) -> None:
    make_isic(tmp_path, "2016")
    make_isic(tmp_path, "2017")
    with pytest.raises(UserError, match="ISIC 2016 and 2017"):
        read(tmp_path)


def test_isic_reports_an_image_in_two_parts(tmp_path: Path) -> None:
    root = make_isic(tmp_path, "2018")
    images, masks, ending = ISIC_FOLDERS["2018"]
    training, _, test = ISIC_PARTS["2018"]
    save_pair(
        root / images.format(test) / "ISIC_0000000.jpg",
        root / masks.format(test) / f"ISIC_0000000{ending}.png",
        seed=0,
    )
    dataset = isic.read(root)
    assert [(p.kind, p.where) for p in dataset.problems] == [("image in two parts", "ISIC_0000000")]
    assert len(set(ids(dataset))) == len(dataset.samples) == 6
    assert training == "Training"


def test_the_real_isic_sample_is_read(shared_data: Path) -> None:
    dataset = read(shared_data / "isic2017_fullsize")
    assert (dataset.reader, len(dataset.samples)) == ("isic", 12)
    assert {sample.part for sample in dataset.samples} == {"validation"}


# folder


@pytest.mark.parametrize("ending", ["", "_mask", "_segmentation", "_Segmentation", "_MASK"])
def test_masks_may_carry_an_ending(tmp_path: Path, ending: str) -> None:
    save_pair(tmp_path / "images" / "a.JPG", tmp_path / "masks" / f"a{ending}.Png", seed=0)
    assert ids(read(tmp_path)) == ["a"]


def test_stems_match_exactly_never_by_their_beginning(tmp_path: Path) -> None:
    for stem in ("1", "10", "1_mask_2", "a.b"):
        save(tmp_path / "images" / f"{stem}.png", disc(0)[0])
    for stem in ("10", "100", "1_mask_2_mask", "a.b.c"):
        save(tmp_path / "masks" / f"{stem}.png", disc(0)[1])
    dataset = read(tmp_path)
    assert [(s.id, s.mask.stem) for s in dataset.samples] == [("10", "10"), ("1_mask_2", "1_mask_2_mask")]
    assert len(dataset.problems) == 4


def test_an_image_may_itself_be_named_like_a_mask(tmp_path: Path) -> None:
    make_folder(tmp_path, ("a", "a_mask"))
    assert [(s.id, s.mask.stem) for s in read(tmp_path).samples] == [("a", "a"), ("a_mask", "a_mask")]


def test_two_images_or_two_masks_of_one_name_are_an_error(tmp_path: Path) -> None:
    make_folder(tmp_path)
    save(tmp_path / "images" / "a.jpg", disc(0)[0])
    save(tmp_path / "masks" / "b_mask.png", disc(0)[1])
    dataset = read(tmp_path)
    assert [(p.severity, p.kind, p.where) for p in dataset.problems] == [
        ("error", "two images of one name", "images/a.jpg, images/a.png, masks/a.png"),
        ("error", "two masks for one image", "images/b.png, masks/b.png, masks/b_mask.png"),
    ]
    assert ids(dataset) == ["c"]


def test_other_and_hidden_files_and_symlink_loops_are_harmless(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for name in (".DS_Store", "Thumbs.db", "._a.png", ".hidden.png", "notes.txt"):
        (tmp_path / "images" / name).write_bytes(b"stray")
    (tmp_path / "images" / "loop").symlink_to(tmp_path)
    (tmp_path / "images" / "self.png").symlink_to(tmp_path / "images" / "self.png")
    (tmp_path / "images" / "folder.png").mkdir()
    dataset = read(tmp_path)
    assert ids(dataset) == ["a", "b", "c"]
    assert kinds(dataset) == [("warning", "files not read")] * 4
    details = [problem.detail for problem in dataset.problems]
    for name in (".hidden.png", "notes.txt", "loop", "self.png"):
        assert any(f"({name})" in each for each in details), name
    assert not any(name in str(details) for name in (".DS_Store", "Thumbs.db", "._a.png", "folder.png"))


def test_accents_match_however_they_are_encoded(tmp_path: Path) -> None:
    save_pair(tmp_path / "images" / "le\u0301sion.png", tmp_path / "masks" / "l\u00e9sion.png", seed=0)
    assert ids(read(tmp_path)) == ["l\u00e9sion"]


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_parts_are_official_and_their_numbering_may_overlap(tmp_path: Path, name: str) -> None:
    dataset = read(in_parts(tmp_path, "train", name, "test"))
    assert [(s.id, s.part) for s in dataset.samples] == [
        ("test/1", "test"),
        ("test/2", "test"),
        ("train/1", "train"),
        ("train/2", "train"),
        (f"{name}/1", "validation"),
        (f"{name}/2", "validation"),
    ]
    assert all(s.group == s.id for s in dataset.samples)


def test_a_missing_part_stays_missing_and_is_noted(tmp_path: Path) -> None:
    dataset = read(in_parts(tmp_path, "train", "val"))
    assert {s.part for s in dataset.samples} == {"train", "validation"}
    assert kinds(dataset) == [("note", "missing part")]
    assert "no official test part: cut from train" in dataset.problems[0].detail


def test_two_layouts_or_two_names_for_a_part_are_refused(tmp_path: Path) -> None:
    in_parts(tmp_path / "twice", "train", "val", "valid")
    with pytest.raises(UserError, match="val and valid are the same subset"):
        read(tmp_path / "twice")
    make_folder(in_parts(tmp_path / "both", "train"))
    with pytest.raises(UserError, match="images/ as well as train/images/"):
        read(tmp_path / "both")


def test_metadata_brings_group_category_and_part(tmp_path: Path) -> None:
    make_folder(tmp_path)
    (tmp_path / "metadata.csv").write_text(
        "id,group,age,category,part\na,p1,50,nevus,train\nb,p1,50,,val\nc,,61,melanoma,test\n"
    )
    assert [(s.group, s.category, s.part) for s in read(tmp_path).samples] == [
        ("p1", "nevus", "train"),
        ("p1", None, "validation"),
        ("c", "melanoma", "test"),
    ]


def test_metadata_may_come_from_a_spreadsheet_with_semicolons_and_a_byte_order_mark(tmp_path: Path) -> None:
    make_folder(tmp_path, ("a",))
    (tmp_path / "metadata.csv").write_bytes("\ufeffid;category\r\na;nevus\r\n".encode())
    assert read(tmp_path).samples[0].category == "nevus"


def test_metadata_of_parts_may_leave_the_part_out_of_ids(tmp_path: Path) -> None:
    in_parts(tmp_path, "train", "val", "test")
    (tmp_path / "metadata.csv").write_text("id,category\n1,short\ntrain/1,full\n2,two\n")
    assert [s.category for s in read(tmp_path).samples] == ["short", "two", "full", "two", "short", "two"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("a,p,train\nb,p,train\nc,p,third", ("error", "unknown part")),
        ("a,p,\na,q,\nb,p,\nc,p,", ("error", "id listed twice")),
        ("a,p,\nb,p,", ("warning", "no metadata")),
        ("a,p,\nb,p,\nc,p,\nd,p,", ("warning", "unknown id")),
        ("a,p,train\nb,p,test\nc,p,", ("warning", "in no part")),
    ],
)
def test_faulty_metadata_is_reported(tmp_path: Path, lines: str, expected: tuple[str, str]) -> None:
    make_folder(tmp_path)
    (tmp_path / "metadata.csv").write_text(f"id,group,part\n{lines}\n")
    assert expected in kinds(read(tmp_path))


def test_metadata_that_contradicts_the_folder_is_an_error(tmp_path: Path) -> None:
    in_parts(tmp_path, "train", "val", "test")
    (tmp_path / "metadata.csv").write_text("id,part\ntrain/1,test\n1,\n2,\n")
    dataset = read(tmp_path)
    assert ("error", "two parts") in kinds(dataset)
    assert {s.part for s in dataset.samples if s.id == "train/1"} == {"train"}


@pytest.mark.parametrize("content", [b"name,group\na,b\n", b"", b"id\xff\xfe\n"])
def test_metadata_without_ids_or_not_text_is_refused(tmp_path: Path, content: bytes) -> None:
    make_folder(tmp_path)
    (tmp_path / "metadata.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"metadata\.csv: "):
        read(tmp_path)


def test_detection_looks_at_names_only(tmp_path: Path) -> None:
    for place in ("images", "masks"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.png").write_bytes(b"not an image")
    assert folder.detect(tmp_path)
    assert ids(read(tmp_path)) == ["a"]


# What metadata.csv says of groups


def metadata(root: Path, text: str) -> Path:
    make_folder(root, ("a", "b", "c"))
    (root / "metadata.csv").write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("column", ["group", "Group", " patient ", "patient_id", "Subject", "lesion_id"])
def test_a_column_that_names_patients_or_lesions_is_the_groups(tmp_path: Path, column: str) -> None:
    dataset = read(metadata(tmp_path, f"id,{column}\na,p\nb,p\nc,q\n"))
    assert [sample.group for sample in dataset.samples] == ["p", "p", "q"]
    assert dataset.groups_from == f"column `{column.strip()}`"
    assert dataset.problems == ()


def test_two_columns_that_could_be_the_groups_are_refused_with_both(tmp_path: Path) -> None:
    root = metadata(tmp_path, "id,patient,lesion_id\na,p,1\nb,p,2\nc,q,3\n")
    with pytest.raises(UserError, match=r"patient and lesion_id could both .* call one of them group"):
        read(root)
    (root / "metadata.csv").write_text("id,group,lesion_id\na,p,1\nb,p,2\nc,q,3\n")
    assert [sample.group for sample in read(root).samples] == ["p", "p", "q"]


def test_columns_that_are_not_used_are_named_with_what_they_may_be_meant_for(tmp_path: Path) -> None:
    found = read(metadata(tmp_path, "id,group,age,Diagnosis\na,p,50,x\nb,p,50,y\nc,q,60,x\n")).problems
    assert [(each.severity, each.kind, each.where) for each in found] == [
        ("warning", "unused column", "metadata.csv: age"),
        ("warning", "unused column", "metadata.csv: Diagnosis"),
    ]
    assert "call it" not in found[0].detail
    assert "call it category" in found[1].detail


def test_metadata_without_groups_is_warned_of_where_segstudy_cuts_the_parts(tmp_path: Path) -> None:
    [problem] = read(metadata(tmp_path / "cut", "id,category\na,x\nb,x\nc,y\n")).problems
    assert (problem.severity, problem.kind) == ("warning", "no groups")
    official = "id,part\na,train\nb,validation\nc,test\n"
    [problem] = read(metadata(tmp_path / "official", official)).problems
    assert (problem.severity, problem.kind) == ("note", "no groups")
    assert read(make_folder(tmp_path / "nothing")).problems == ()


def test_a_sample_without_its_group_is_named(tmp_path: Path) -> None:
    [problem] = read(metadata(tmp_path, "id,patient\na,p\nb,\nc,p\n")).problems
    assert (problem.severity, problem.where) == ("warning", "metadata.csv: b")
    assert "no patient" in problem.detail


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (("1", "2", "10"), "id 1 is probably 0001: the spreadsheet dropped the zeros"),
        (("1.0", "2.0", "10.0"), "id 1.0 is probably 0001: the spreadsheet dropped the zeros"),
        (("1.jpg", "2.jpg", "10.jpg"), "leave the ending .jpg off, and id 1 is probably 0001"),
        (("x", "y", "z"), "none of its 3 rows fits any of the 3 pairs: ids must look like 0001"),
        ((), "it has no row, so that nothing fits any of the 3 pairs"),
    ],
)
def test_a_table_of_which_no_row_fits_is_an_error_that_names_the_reason(
    tmp_path: Path, ids: tuple[str, ...], said: str
) -> None:
    make_folder(tmp_path, ("0001", "0002", "0010"))
    (tmp_path / "metadata.csv").write_text("\n".join(["id,patient", *(f"{each},p" for each in ids)]) + "\n")
    dataset = read(tmp_path)
    [error] = [each for each in dataset.problems if each.severity == "error"]
    assert (error.kind, error.where) == ("no id fits", "metadata.csv")
    assert said in error.detail
    assert [sample.group for sample in dataset.samples] == ["0001", "0002", "0010"]


def test_ids_of_official_parts_without_their_zeros_are_named_too(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        make_folder(tmp_path / part, ("01", "02"))
    (tmp_path / "metadata.csv").write_text("id,patient\ntrain/1,p\nval/2,q\n")
    details = [each.detail for each in read(tmp_path).problems if each.kind in ("no id fits", "unknown id")]
    assert "id train/1 is probably train/01" in details[0]
    assert "id val/2 is probably val/02" in details[2]


def test_rows_that_do_not_fit_beside_some_that_do_are_warned_of_with_the_reason(
    tmp_path: Path,
) -> None:
    make_folder(tmp_path, ("01", "001", "a", "b"))
    (tmp_path / "metadata.csv").write_text("id,patient\na,p\nB,p\n1,q\n")
    dataset = read(tmp_path)
    found = {each.where: each for each in dataset.problems if each.kind == "unknown id"}
    assert all(each.severity == "warning" for each in dataset.problems)
    assert "id B is probably b: capitals matter" in found["metadata.csv: B"].detail
    assert "probably" not in found["metadata.csv: 1"].detail  # 01 or 001


@pytest.mark.parametrize("column", ["Patient ID", "PATIENT-ID", "Lesion  id", "subject - ID"])
def test_blanks_and_hyphens_in_headings_are_as_underscores(tmp_path: Path, column: str) -> None:
    dataset = read(metadata(tmp_path, f"ID,{column}\na,p\nb,p\nc,q\n"))
    assert [sample.group for sample in dataset.samples] == ["p", "p", "q"]
    assert dataset.groups_from == f"column `{column}`"
    assert dataset.group_noun == re.split(r"[ -]", column.lower())[0]


@pytest.mark.parametrize("column", ["filename", "File Name", "image", "file", "image_id", "Image-ID"])
def test_a_column_that_may_be_the_ids_is_named(tmp_path: Path, column: str) -> None:
    with pytest.raises(UserError, match=f"no column id; if `{column}` holds the images' names, call it id"):
        read(metadata(tmp_path, f"{column},patient\na,p\n"))
