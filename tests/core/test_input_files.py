"""Files that a user names: regular ones within bounds, whatever else the name leads to."""

import os
import shutil
import socket
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from fake_data import SHEET, make_ph2, make_workbook
from hypothesis import assume, given
from hypothesis import strategies as st

import segstudy
from segstudy.config.study_file import load
from segstudy.core.errors import UserError
from segstudy.core.input_files import decoded, read_bytes, read_text
from segstudy.core.json_files import read_json
from segstudy.core.registry import _load
from segstudy.data.datasets import isic
from segstudy.data.datasets.metadata import read_metadata
from segstudy.data.datasets.tables import read_csv, read_sheet
from segstudy.data.images import read_image
from segstudy.reporting.publishable import publishable_study
from segstudy.store.card import read_card
from segstudy.store.folder import StudyFolder
from segstudy.study.options import excluded

# Text as systems and programs write it.
MARKED = {"utf-8-sig": "", "utf-16": "", "utf-16-le": "\ufeff", "utf-16-be": "\ufeff", "utf-32": ""}
PLAIN = ("utf-8", "utf-16-le", "utf-16-be")
LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff"))


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


@given(
    lines=st.lists(LETTERS), end=st.sampled_from(["\n", "\r\n", "\r"]), encoding=st.sampled_from(list(MARKED))
)
def test_text_with_a_mark_is_read_whatever_wrote_it(tmp_path_factory, lines, end, encoding):
    file = tmp_path_factory.mktemp("text") / "x"
    file.write_bytes((MARKED[encoding] + end.join(lines)).encode(encoding))
    assert read_text(file, 100_000) == "\n".join(lines)


@given(
    lines=st.lists(LETTERS.filter(lambda line: any("0" <= c <= "z" for c in line)), min_size=1),
    encoding=st.sampled_from(PLAIN),
)
def test_without_a_mark_utf16_is_told_by_its_zero_bytes(lines, encoding):
    """Of letters that have zero bytes; of Chinese alone the line ends have."""
    content = "".join(f"{line}\r\n" for line in lines).encode(encoding)
    even, odd = content[::2].count(0), content[1::2].count(0)
    assume(encoding == "utf-8" or (odd > even) == (encoding == "utf-16-le"))
    assert decoded(content, "x")[0] == "".join(f"{line}\n" for line in lines)


def test_marks_within_are_of_files_that_were_joined():
    assert decoded("\ufeffa\r\n\ufeffb\n".encode(), "x") == ("a\nb\n", "utf-8")


def test_windows_1252_is_read_with_a_warning_and_only_once(tmp_path, caplog):
    file = tmp_path / "x"
    file.write_bytes("Müller\r\n“Größe” 5 €".encode("cp1252"))
    for _ in range(2):
        assert read_text(file, 100) == "Müller\n“Größe” 5 €"
    (said,) = caplog.messages
    assert str(file) in said
    assert "Windows-1252" in said
    assert "UTF-8" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Müller".encode("utf-16")[:-1], "cut off"),
        (b"\xef\xbb\xbfM\xfcller", "damaged UTF-8"),
        ("Müller, ".encode() + "Größe".encode("cp1252"), "UTF-8 with other bytes"),
        (b"M\x81ller \xfc", "neither"),
        (bytes(range(256)), "not text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0", "not text"),
        (b"\xff\xd8\xff\xe0\x10JFIF\x01\x02\x03", "not text"),
        ("a".encode("utf-32-le"), "not text"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(tmp_path, content, said):
    file = tmp_path / "x"
    file.write_bytes(content)
    for reading in (lambda: read_text(file, 1000), lambda: excluded(file), lambda: load(file)):
        with pytest.raises(UserError, match=said) as caught:
            reading()
        assert str(file) in str(caught.value)
        assert "UTF-8" in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(content):
    try:
        text, _ = decoded(content, "x")
    except UserError:
        return
    assert "\r" not in text


def test_a_record_of_our_own_is_utf8_or_damaged(tmp_path):
    file = tmp_path / "run.json"
    file.write_bytes('{"a": "ü"}'.encode("cp1252"))
    with pytest.raises(UserError, match="damaged"):
        read_json(file)


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
    assert "not a regular file" in row["error"]


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


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_a_source_file_that_is_not_utf8_is_refused_with_the_remedy(tmp_path, encoding):
    file = tmp_path / "net.py"
    file.write_bytes('"""Ein größeres Netz."""\nNet = 3\n'.encode(encoding))
    with pytest.raises(UserError, match="save it as UTF-8"):
        _load(file, "Net")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_study_whose_file_another_editor_saved_is_still_read(tmp_path, trained_study, encoding):
    study = shutil.copytree(trained_study, tmp_path / "study")
    text = (study / "study.toml").read_text(encoding="utf-8")
    (study / "study.toml").write_bytes(f"# größer\n{text}".replace("\n", "\r\n").encode(encoding))
    assert segstudy.table(study) == segstudy.table(trained_study)
    assert publishable_study(StudyFolder(study)) == publishable_study(StudyFolder(trained_study))


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
        read_metadata(tmp_path, tmp_path / "metadata.csv", ())
    with pytest.raises(UserError, match=said):
        isic._categories(tmp_path / "metadata.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(
    "text",
    [
        "id,group\r\na,Jürg\r\nb,É 2\r\n",
        "id;group\ra;Jürg\rb;É 2\r",
        "id\tgroup\r\na\tJürg\r\nb\tÉ 2",  # a spreadsheet's "Unicode text"
        "sep=;\r\nid;group\r\na;Jürg\r\nb;É 2\r\n",
        '"sep=,"\nid,group\na,"Jürg"\nb,"É 2"\n',
    ],
)
def test_tables_as_spreadsheets_save_them(tmp_path, text, encoding):
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    rows = [{"id": "a", "group": "Jürg"}, {"id": "b", "group": "É 2"}]
    assert read_csv(tmp_path / "t.csv", "") == (["id", "group"], rows)


def test_a_cell_may_hold_any_letter_but_a_line_end(tmp_path):
    (tmp_path / "t.csv").write_text("id,group\na,x\u2028y\nb,x\x0by\nc,x\x85y\n", encoding="utf-8")
    assert [row["group"] for row in read_csv(tmp_path / "t.csv", "")[1]] == ["x\u2028y", "x\x0by", "x\x85y"]


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
