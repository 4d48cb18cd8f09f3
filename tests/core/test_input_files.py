"""Files that a user names: regular ones within bounds, whatever else the name leads to."""

import os
import socket
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from fake_data import SHEET, make_ph2, make_workbook

import segstudy
from segstudy.config.study_file import load
from segstudy.core.errors import UserError
from segstudy.core.input_files import read_bytes, read_text
from segstudy.core.json_files import read_json
from segstudy.core.registry import _load
from segstudy.data.datasets import folder, isic
from segstudy.data.datasets.tables import read_csv, read_sheet
from segstudy.data.images import read_image
from segstudy.store.card import read_card
from segstudy.study.options import excluded


@pytest.fixture(params=["/dev/zero", "/dev/stdin", "pipe", "socket", "folder"])
def no_file(request, tmp_path):
    """What a name may lead to that is no file to read."""
    place = tmp_path / "odd"
    match request.param:
        case "pipe":
            os.mkfifo(place)
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(place))
        case "folder":
            place.mkdir()
        case device:
            if not Path(device).exists():
                pytest.skip(f"no {device} here")
            place.symlink_to(device)
    return place


def test_a_regular_file_is_read(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"a\r\nb\rc\n")
    assert read_bytes(file, 8) == b"a\r\nb\rc\n"
    assert read_text(file, 8) == "a\nb\nc\n"
    with pytest.raises(OSError, match="larger than"):
        read_bytes(file, 6)


def test_nothing_else_is_opened(no_file):
    with pytest.raises(OSError) as caught:  # noqa: PT011 (which one differs with the system)
        read_bytes(no_file, 100)
    assert caught.value.strerror


@pytest.mark.parametrize(
    "reading",
    [
        excluded,
        load,
        read_json,
        read_card,
        read_image,
        lambda file: read_csv(file, "remove it"),
    ],
    ids=["exclude", "study file", "record", "card", "image", "table"],
)
def test_every_reader_refuses_it_in_a_line(no_file, reading):
    with pytest.raises(UserError) as caught:
        reading(no_file)
    assert str(no_file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_devices_are_refused_in_predict_too(tmp_path, exported_model):
    os.mkfifo(tmp_path / "pipe.png")
    (row,) = segstudy.predict(exported_model, tmp_path / "pipe.png", tmp_path / "out")
    assert "no regular file" in row["error"]


def test_a_file_of_ids_is_text_within_bounds(tmp_path):
    file = tmp_path / "ids"
    file.write_bytes(b"\xff\xfe\0")
    with pytest.raises(UserError, match="UTF-8"):
        excluded(file)
    with file.open("wb") as stream:
        stream.truncate(10**12)
    with pytest.raises(UserError, match="larger than"):
        excluded(file)


def test_a_source_file_is_bounded(tmp_path):
    file = tmp_path / "net.py"
    with file.open("wb") as stream:
        stream.truncate(10**12)
    with pytest.raises(UserError, match="larger than"):
        _load(file, "Net")


# Tables


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,group\n" + "\n" * 600_000, "600001 rows"),
        ("id," + ",".join(f"c{i}" for i in range(100_000)) + "\n" + "a\n" * 100, "columns are too many"),
        ("id\n" + '"' + "x" * 200_000 + '"\n', "field larger"),
        ("id\n" + "x" * 17_000_000, "larger than"),
    ],
)
def test_a_table_has_bounds(tmp_path, text, said):
    (tmp_path / "metadata.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        folder._read_metadata(tmp_path / "metadata.csv")
    with pytest.raises(UserError, match=said):
        isic._categories(tmp_path / "metadata.csv")


def test_semicolons_and_short_lines(tmp_path):
    (tmp_path / "t.csv").write_text("id;group\na;1\nb\nc;2;3\n", encoding="utf-8-sig")
    names, rows = read_csv(tmp_path / "t.csv", "")
    assert names == ["id", "group"]
    assert rows == [{"id": "a", "group": "1"}, {"id": "b", "group": ""}, {"id": "c", "group": "2"}]


# Workbooks


def cell(place: str, text: str = "1") -> str:
    return f'<row><c r="{place}" t="str"><v>{text}</v></c></row>'


def test_a_workbook_is_read(tmp_path):
    file = make_workbook(tmp_path / "a.xlsx", cell("A1", "x") + cell("B2", "y"))
    assert read_sheet(file) == [["x", ""], ["", "y"]]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (cell("A1") + cell("XFD1048576"), "1048576 rows and 16384 columns"),
        ('<row r="1048576"><c r="A1048576"><v>1</v></c></row>' + cell("XFD1"), "1048576 rows"),
        (cell("A1", "x" * 17_000_000), "MB"),
        ("<row>" * 3, "mismatched|no element"),
        ("", None),
    ],
)
def test_a_workbook_has_bounds(tmp_path, rows, said):
    file = make_workbook(tmp_path / "a.xlsx", rows)
    if said is None:
        assert read_sheet(file) == []
        return
    with pytest.raises(ValueError, match=said):
        read_sheet(file)


def test_a_part_that_holds_more_than_it_says_is_cut_off(tmp_path):
    """The archive's list says a kilobyte, the packed part gives 100 MB."""
    file = make_workbook(tmp_path / "a.xlsx", cell("A1", "x" * 100_000_000))
    content = bytearray(file.read_bytes())
    size = (100_000_000 + len(SHEET.format(cell("A1", "")))).to_bytes(4, "little")
    assert content.count(size) == 2
    file.write_bytes(bytes(content).replace(size, (1000).to_bytes(4, "little")))
    with pytest.raises(ValueError, match=r"workbook|CRC|token|unclosed"):
        read_sheet(file)


def test_what_is_no_part_of_a_workbook_is_not_handed_on(tmp_path):
    ods = b'<table:table-row table:number-rows-repeated="1000000000"/>'
    file = make_workbook(tmp_path / "a.xlsx", cell("A1", "x"), **{"content.xml": ods, "xl/vba.bin": b"\xff"})
    assert read_sheet(file) == [["x"]]


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive", os.urandom(3000)])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(ValueError, match="no workbook"):
        read_sheet(tmp_path / "a.xlsx")


def test_entities_are_refused(tmp_path):
    file = make_workbook(tmp_path / "a.xlsx", "")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", '<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>')
    with pytest.raises(ValueError, match="entities"):
        read_sheet(file)


@pytest.mark.slow
def test_the_largest_allowed_workbook_takes_little_memory(tmp_path):
    rows = "".join(f'<row r="{i}"><c r="A{i}"><v>{i}</v></c></row>' for i in range(1, 200_001))
    file = make_workbook(tmp_path / "a.xlsx", rows)
    tracemalloc.start()
    assert len(read_sheet(file)) == 200_000
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()


def test_a_data_set_goes_on_without_a_workbook_that_is_a_bomb(tmp_path):
    root = make_ph2(tmp_path / "PH2Dataset")
    make_workbook(root / "PH2_dataset.xlsx", cell("A1") + cell("XFD1048576"))
    assert any("1048576 rows" in each.detail for each in segstudy.check(root))
