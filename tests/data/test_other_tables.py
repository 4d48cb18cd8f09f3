"""Tables besides metadata.csv: groups, categories and subsets in them are used, or their loss is said."""

import unicodedata
import zipfile
from pathlib import Path

import pytest
from fake_data import disc, make_folder
from layout_writers import WRITERS

from segstudy.core.errors import UserError
from segstudy.data.datasets import read
from segstudy.data.samples import Dataset

STEMS = ("a", "b", "c", "d")
GROUPS = ["p", "p", "q", "q"]


def folder(root: Path, **tables: str) -> Dataset:
    """A data set with these tables, by name with `__` for a slash and `_dot_` for a dot."""
    make_folder(root, STEMS)
    for name, text in tables.items():
        file = root / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return read(root)


def groups(dataset: Dataset) -> list[str]:
    return [sample.group for sample in dataset.samples]


def parts(dataset: Dataset) -> list[str | None]:
    return [sample.part for sample in dataset.samples]


def found(dataset: Dataset) -> list[tuple[str, str]]:
    return [(each.severity, each.kind) for each in dataset.problems]


def rows(form: str, separator: str = ",") -> str:
    lines = (separator.join((form.format(stem), group)) for stem, group in zip(STEMS, GROUPS, strict=True))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", ["patients_dot_csv", "clinical__data_dot_tsv", "labels_dot_CSV"])
@pytest.mark.parametrize(
    "form", ["{}", "{}.png", "images/{}.png", "images\\{}.PNG", "/home/me/set/images/{}.png", "C:\\x\\{}.png"]
)
def test_groups_of_any_table_are_used(tmp_path: Path, name: str, form: str):
    dataset = folder(tmp_path / "data", **{name: "Image Name,Patient ID\n" + rows(form)})
    assert groups(dataset) == GROUPS
    file = name.replace("__", "/").replace("_dot_", ".")
    assert (dataset.groups_from, dataset.group_noun) == (f"column `Patient ID` of {file}", "patient")
    assert dataset.problems == ()


def test_the_column_of_ids_is_found_by_its_cells(tmp_path: Path):
    text = "no;age;photo;patient_id\n" + "".join(
        f"{i};{40 + i};{stem}.jpg;{group}\n"
        for i, (stem, group) in enumerate(zip(STEMS, GROUPS, strict=True))
    )
    dataset = folder(tmp_path / "data", people_dot_csv=text)
    assert groups(dataset) == GROUPS
    assert found(dataset) == [("note", "unused columns")]


def test_numbers_are_no_ids_unless_the_heading_says_so(tmp_path: Path):
    make_folder(tmp_path, ("1", "2", "3"))
    (tmp_path / "visits.csv").write_text("visit,patient\n1,p\n2,p\n3,q\n")
    dataset = read(tmp_path)
    assert groups(dataset) == ["1", "2", "3"]
    assert found(dataset) == [("warning", "table not used")]
    (tmp_path / "visits.csv").write_text("image,patient\n1,p\n2,p\n3,q\n")
    assert groups(read(tmp_path)) == ["p", "p", "q"]


@pytest.mark.parametrize(
    "tables",
    [
        {
            "train_dot_csv": "image\na.png\nb.png\n",
            "val_dot_csv": "image\nc.png\n",
            "test_dot_csv": "image\nd.png\n",
        },
        {"train_dot_txt": "a\nb\n", "val_dot_txt": "c\n", "test_dot_txt": "d\n"},
        {
            "splits__train_ids_dot_txt": "a\nb\n",
            "splits__valid_dot_txt": "c\n",
            "splits__test_list_dot_txt": "d",
        },
        {
            "train_dot_txt": "./images/a.png\n./images/b.png\n",
            "val_dot_txt": "images/c.png masks/c.png\n",
            "test_dot_txt": "/x/images/d.png\n",
        },
        {"folds_dot_csv": "file,split\na.png,train\nb.png,TRAIN\nc.png,valid\nd.png,holdout\n"},
    ],
)
def test_subsets_of_tables_and_lists_are_used(tmp_path: Path, tables: dict[str, str]):
    dataset = folder(tmp_path / "data", **tables)
    assert parts(dataset) == ["train", "train", "validation", "test"]
    assert dataset.problems == ()


def test_one_list_alone_says_no_subset(tmp_path: Path):
    dataset = folder(tmp_path / "all", train_dot_csv="image\na\nb\nc\nd\n")
    assert parts(dataset) == [None] * 4
    assert "train.csv not used (lists all images)" in str(dataset.account)
    dataset = folder(tmp_path / "some", train_dot_csv="image\na\nb\n")
    assert parts(dataset) == [None] * 4
    (warning,) = dataset.problems
    assert "lists 2 of 4 images as train" in warning.detail
    dataset = folder(tmp_path / "grouped", train_dot_csv="image,patient\n" + rows("{}"))
    assert (groups(dataset), parts(dataset)) == (GROUPS, [None] * 4)


def test_an_image_in_two_lists_is_an_error(tmp_path: Path):
    dataset = folder(tmp_path / "data", train_dot_txt="a\nb\nc\n", test_dot_txt="c\nd\n")
    (error,) = [problem for problem in dataset.problems if problem.severity == "error"]
    assert (error.kind, error.where) == ("tables disagree", "test.txt, train.txt")
    assert "part of c: test in test.txt, train in train.txt" in error.detail


@pytest.mark.parametrize("name", ["metadata_dot_csv", "a_dot_csv"])
def test_tables_that_disagree_are_an_error(tmp_path: Path, name: str):
    tables = {name: "id,patient\n" + rows("{}"), "b_dot_csv": "id,patient\na,p\nb,q\nc,q\nd,q\n"}
    dataset = folder(tmp_path / "data", **tables)
    (error,) = [problem for problem in dataset.problems if problem.severity == "error"]
    assert error.kind == "tables disagree"
    assert "group of b: p in" in error.detail
    assert "correct one of them" in error.detail


def test_the_same_groups_under_other_names_agree(tmp_path: Path):
    text = "id,patient\na,7\nb,7\nc,8\nd,8\n"
    dataset = folder(tmp_path / "data", metadata_dot_csv="id,group\n" + rows("{}"), patients_dot_csv=text)
    assert groups(dataset) == GROUPS
    assert dataset.problems == ()


def test_a_table_adds_what_metadata_lacks(tmp_path: Path):
    dataset = folder(
        tmp_path / "data",
        metadata_dot_csv="id,category\na,x\nb,y\nc,x\nd,y\n",
        patients_dot_csv="id,patient\n" + rows("{}"),
    )
    assert groups(dataset) == GROUPS
    assert [sample.category for sample in dataset.samples] == ["x", "y", "x", "y"]
    assert dataset.problems == ()


def test_pairs_without_a_group_are_counted(tmp_path: Path):
    dataset = folder(tmp_path / "data", patients_dot_csv="image,patient\na,p\nb,p\nc,q\nx,r\n")
    assert groups(dataset) == ["p", "p", "q", "d"]
    assert found(dataset) == [("warning", "no group"), ("note", "unknown ids")]
    assert dataset.ungrouped == {"d"}


def test_several_rows_of_an_image_may_not_differ(tmp_path: Path):
    text = "image,patient,x\na,p,1\na,p,2\nb,p,1\nc,q,1\nd,q,1\n"
    assert groups(folder(tmp_path / "equal", annotations_dot_csv=text)) == GROUPS
    dataset = folder(tmp_path / "other", annotations_dot_csv=text.replace("a,p,2", "a,q,2"))
    assert ("error", "id listed twice") in found(dataset)


def test_two_columns_of_groups_are_an_error_with_the_choices(tmp_path: Path):
    text = "image,patient_id,lesion_id\na,p,1\nb,p,2\nc,q,3\nd,q,4\n"
    (error,) = folder(tmp_path / "data", ham_dot_csv=text).problems
    assert (error.severity, error.where) == ("error", "ham.csv")
    assert "patient_id and lesion_id could both say which images belong together" in error.detail


@pytest.mark.parametrize(
    ("text", "reason", "severity"),
    [
        ("name,r,g,b\nlesion,0,0,0\n", "no column holds the images' names", None),
        ("image,age\na,1\nb,2\nc,3\nd,4\n", "says no group, category or part", None),
        ("image,diagnosis\na,x\nb,x\nc,y\nd,y\n", "says no group, category or part", "warning"),
        ("patient,age\np,1\nq,2\n", "so that column patient says nothing", "warning"),
        ("image,patient\na1,p\nb1,p\nc1,q\n", "so that column patient says nothing", "warning"),
        ("\0\0\0abc\0", "is not text", "warning"),
    ],
)
def test_a_table_that_is_not_used_is_named_in_the_account(
    tmp_path: Path, text: str, reason: str, severity: str | None
):
    dataset = folder(tmp_path / "data", things_dot_csv=text)
    assert groups(dataset) == list(STEMS)
    assert "things.csv not used (" in str(dataset.account)
    assert reason in str(dataset.account)
    assert [problem.severity for problem in dataset.problems] == ([severity] if severity else [])


def test_a_workbook_is_read_and_one_that_cannot_be_is_named(tmp_path: Path):
    dataset = folder(tmp_path / "broken", patients_dot_xlsx="no workbook")
    assert found(dataset) == [("warning", "table not used")]
    assert "save the sheet with the table as CSV" in dataset.problems[0].detail
    old = folder(tmp_path / "old", patients_dot_xls="")
    assert ".xls is not read; save it as CSV" in old.problems[0].detail
    make_folder(tmp_path / "data", STEMS)
    write_workbook(
        tmp_path / "data" / "patients.xlsx", [("image", "patient"), *zip(STEMS, (1, 1, 2, 2), strict=True)]
    )
    dataset = read(tmp_path / "data")
    assert groups(dataset) == ["1", "1", "2", "2"]
    assert dataset.problems == ()


def write_workbook(file: Path, cells: list[tuple[object, ...]]) -> None:
    def cell(value: object) -> str:
        if isinstance(value, int):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'

    sheet = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in cells)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    link = f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{links}/'
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{package}/content-types"/>')
        archive.writestr("_rels/.rels", f'{link}officeDocument" Target="xl/workbook.xml"/></Relationships>')
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{links}"><sheets><sheet name="s" sheetId="1" r:id="r1"/>'
            "</sheets></workbook>",
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'{link}worksheet" Target="worksheets/s.xml"/></Relationships>'
        )
        archive.writestr(
            "xl/worksheets/s.xml", f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>'
        )


@pytest.mark.parametrize(
    "layout", ["COCO, polygons", "LabelMe", "YOLO", "side by side", "run lengths in a table"]
)
def test_every_reader_gets_the_tables(tmp_path: Path, layout: str):
    tmp_path.mkdir(exist_ok=True)
    WRITERS[layout][1](tmp_path, {stem: disc(i, (24, 32)) for i, stem in enumerate(STEMS)})
    (tmp_path / "patients.csv").write_text("image,patient\n" + rows("{}.png"))
    dataset = read(tmp_path)
    assert sorted(groups(dataset)) == GROUPS
    assert dataset.problems == read_without_table(tmp_path).problems


def read_without_table(root: Path) -> Dataset:
    (root / "patients.csv").unlink()
    return read(root)


def test_a_table_in_windows_1252_is_a_finding(tmp_path: Path):
    make_folder(tmp_path, STEMS)
    (tmp_path / "metadata.csv").write_bytes(
        ("id,patient\n" + rows("{}").replace("q", "Jürg")).encode("cp1252")
    )
    dataset = read(tmp_path)
    assert groups(dataset)[2] == "Jürg"
    (warning,) = dataset.problems
    assert (warning.severity, warning.kind, warning.where) == ("warning", "text not in UTF-8", "metadata.csv")
    assert "read as Windows-1252; save it as UTF-8" in warning.detail


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["{}", "train\\{}.jpg", "images\\{}.PNG", "train/{}"])
def test_ids_of_metadata_are_matched_as_those_of_lists(tmp_path: Path, form: str, written: str):
    stem = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "lésion.v2")
    make_folder(tmp_path / "train", (stem,))
    text = f"id,patient\n{written.format(unicodedata.normalize(form, 'lésion.v2'))},p\n"
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8")
    assert groups(read(tmp_path)) == ["p"]


def test_a_table_with_two_equal_headings_is_no_guess(tmp_path: Path):
    with pytest.raises(UserError, match="two columns group"):
        folder(tmp_path / "data", metadata_dot_csv="id,group,group\na,p,q\n")
