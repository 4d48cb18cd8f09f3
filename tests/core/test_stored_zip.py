"""Zip files without compression: other programs read them, and a header is the only one of its file."""

import itertools
import shutil
import subprocess
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segstudy.core.stored_zip import (
    LOCAL_SIZE,
    Entry,
    directory,
    local_header,
    parsed_header,
    sizes_of_rest,
)

GB = 1 << 30


def archive(files: dict[str, bytes]) -> bytes:
    entries = [Entry(name, len(content), zlib.crc32(content)) for name, content in files.items()]
    body = b"".join(
        local_header(entry) + content for entry, content in zip(entries, files.values(), strict=True)
    )
    return body + b"".join(directory(entries))


@pytest.mark.parametrize("files", [{}, {"a/b.txt": b"text", "a/empty": b"", "a/é–漢.txt": bytes(range(256))}])
def test_other_programs_read_it(files, tmp_path):
    (tmp_path / "a.zip").write_bytes(archive(files))
    with zipfile.ZipFile(tmp_path / "a.zip") as found:
        assert found.testzip() is None
        assert {info.filename: found.read(info) for info in found.infolist()} == files
        assert {info.date_time for info in found.infolist()} <= {(1980, 1, 1, 0, 0, 0)}
    if files and shutil.which("unzip"):
        subprocess.run(["unzip", "-tq", tmp_path / "a.zip"], check=True, capture_output=True)


def test_more_files_than_a_plain_zip_can_have():
    files = {f"f/{n}": b"" for n in range(70_000)}
    import io

    with zipfile.ZipFile(io.BytesIO(archive(files))) as found:
        assert len(found.namelist()) == len(files)


def test_files_and_places_beyond_4_gib(tmp_path):
    """In a file with holes, so that it takes no space."""
    entries = [Entry("a", 5 * GB, 0), Entry("b", 3, zlib.crc32(b"abc")), Entry("c", 4 * GB - 1, 0)]
    with (tmp_path / "a.zip").open("wb") as stream:
        for entry in entries:
            stream.write(local_header(entry))
            if entry.name == "b":
                stream.write(b"abc")
            else:
                stream.seek(entry.size, 1)
        for piece in directory(entries):
            stream.write(piece)
    with zipfile.ZipFile(tmp_path / "a.zip") as found:
        assert [(info.filename, info.file_size) for info in found.infolist()] == [
            (entry.name, entry.size) for entry in entries
        ]
        assert found.read("b") == b"abc"
        with found.open("c") as stream:
            assert stream.read(10) == bytes(10)


entries_ = st.builds(
    Entry,
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40),
    st.one_of(st.integers(0, 10**6), st.integers(2**32 - 3, 2**40)),
    st.integers(0, 2**32 - 1),
)


@given(entries_)
def test_a_header_is_read_as_it_was_written(entry):
    header = local_header(entry)
    start, rest = header[:LOCAL_SIZE], header[LOCAL_SIZE:]
    assert len(rest) == sum(sizes_of_rest(start))
    assert parsed_header(start, rest) == entry


@given(entries_, st.data())
def test_a_header_with_another_byte_is_refused_or_of_another_file(entry, data):
    header = bytearray(local_header(entry))
    header[data.draw(st.integers(0, len(header) - 1))] ^= data.draw(st.integers(1, 255))
    start = bytes(header[:LOCAL_SIZE])
    try:
        rest = bytes(header[LOCAL_SIZE:][: sum(sizes_of_rest(start))])
        assert parsed_header(start, rest) != entry
    except ValueError:
        pass


def test_equal_files_give_equal_bytes():
    files = {"b": b"1", "a": b"2"}
    assert archive(files) == archive(dict(files))
    for one, other in itertools.permutations([files, {"b": b"2", "a": b"1"}, {"b": b"1"}], 2):
        assert archive(one) != archive(other)
