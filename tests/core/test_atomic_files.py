"""Writing: whole or not at all, nothing left aside, errors that say what to do."""

import errno
import shutil

import pytest
from failing_disk import FailingDisk

from segstudy.core import atomic_files
from segstudy.core.atomic_files import (
    DiskError,
    make_folder,
    replace_folder,
    write_bytes,
    write_folder,
    write_text,
)

CONTENTS = {"a": b"1" * 1000, "b": b"2"}


def found(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_one(folder):
    write_bytes(folder / "file", b"new")


def write_whole(folder):
    write_folder(folder / "made", CONTENTS)


def write_over(folder):
    replace_folder(folder / "there", CONTENTS)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("write", [write_one, write_whole, write_over])
def test_a_write_that_fails_leaves_what_stood_there_and_nothing_aside(tmp_path, monkeypatch, write, error):
    disk, failures, full = FailingDisk(tmp_path, monkeypatch), 0, []
    while True:
        (tmp_path / "file").write_bytes(b"old")
        if not (tmp_path / "there").is_dir():
            (tmp_path / "there").mkdir()
        (tmp_path / "there" / "x").write_bytes(b"old")
        disk.fail(failures, error, times=1)
        try:
            write(tmp_path)
        except DiskError as refused:
            full.append(refused.full)
        disk.mend()
        if len(full) == failures:  # nothing was refused, or only that a rename be made to last
            break
        failures += 1
        assert (tmp_path / "file").read_bytes() == b"old"
        assert found(tmp_path / "there") == {"x": b"old"}
        assert {path.name for path in tmp_path.iterdir()} == {"file", "there"}
    assert failures >= 4
    assert set(full) == {error == errno.ENOSPC}
    if write is write_one:
        assert (tmp_path / "file").read_bytes() == b"new"
    else:
        assert found(tmp_path / ("made" if write is write_whole else "there")) == CONTENTS


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    write_folder(tmp_path / "run", {"a": b"first"})
    write_folder(tmp_path / "run", CONTENTS)
    assert found(tmp_path / "run") == {"a": b"first"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_stood_there_survives_a_process_that_died_between_two_renames(tmp_path, monkeypatch):
    (tmp_path / ".there.old").mkdir()
    (tmp_path / ".there.old" / "x").write_bytes(b"old")
    disk = FailingDisk(tmp_path, monkeypatch)
    disk.fail(1, errno.ENOSPC)
    with pytest.raises(DiskError):
        write_over(tmp_path)
    disk.mend()
    assert found(tmp_path / "there") == {"x": b"old"}
    write_over(tmp_path)
    assert found(tmp_path / "there") == CONTENTS
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_replacement_that_ends_during_the_look_hides_nothing(tmp_path, monkeypatch):
    """The old folder is seen, and gone before it is looked into: the new one stands there by then."""
    (tmp_path / ".x.old").mkdir()
    is_filled = atomic_files._is_filled

    def after_the_second_rename(folder):
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / "x" / "file").touch()
        shutil.rmtree(tmp_path / ".x.old", ignore_errors=True)
        return is_filled(folder)

    monkeypatch.setattr(atomic_files, "_is_filled", after_the_second_rename)
    assert atomic_files.complete_folders(tmp_path) == {"x": tmp_path / "x"}


def test_replacements_that_follow_each_other_hide_nothing(tmp_path, monkeypatch):
    """One replacement ends while the folder is looked at, and the next begins: both looks list the same."""
    (tmp_path / ".x.old").mkdir()
    looks = []

    def is_filled(folder):
        looks.append(folder)
        if len(looks) == 2:  # the next writer is between its renames by now
            (folder / "file").touch()
        return any(folder.iterdir())

    monkeypatch.setattr(atomic_files, "_is_filled", is_filled)
    assert atomic_files.complete_folders(tmp_path) == {"x": tmp_path / ".x.old"}


def test_what_a_dead_process_left_aside_is_in_nobodys_way(tmp_path):
    (tmp_path / "run.partial").mkdir()
    (tmp_path / "run.partial" / "rubbish").write_bytes(b"half")
    (tmp_path / "file.new").write_bytes(b"half")
    write_folder(tmp_path / "run", CONTENTS)
    write_bytes(tmp_path / "file", b"whole")
    assert found(tmp_path / "run") == CONTENTS
    assert {path.name for path in tmp_path.iterdir()} == {"run", "file"}


def test_a_text_that_stands_there_already_is_left_alone(tmp_path):
    file = tmp_path / "split.json"
    write_text(file, "ä")
    before = file.stat().st_ino
    write_text(file, "ä")
    assert file.stat().st_ino == before
    write_text(file, "b")
    assert file.read_text() == "b"


@pytest.mark.parametrize(
    ("code", "remedy"), [(errno.ENOSPC, "free some space"), (errno.EACCES, "--out"), (errno.EIO, "that disk")]
)
def test_the_message_says_what_where_and_what_to_do(tmp_path, code, remedy):
    message = str(DiskError(tmp_path / "x", OSError(code, "why")))
    assert message.startswith(f"{tmp_path / 'x'}: cannot be written (why); ")
    assert remedy in message
    assert "\n" not in message


def test_a_file_where_a_folder_is_to_be(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(DiskError, match="--out"):
        make_folder(tmp_path / "a" / "b")
