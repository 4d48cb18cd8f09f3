"""Long steps on many images that are stopped or killed: what was done is kept, and the result is the same."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small import write_dataset

from segstudy.core import scratch
from segstudy.core.errors import UserError
from segstudy.core.interrupted_building import built_on
from segstudy.core.locks import hold
from segstudy.core.parallel import in_order
from segstudy.data import fingerprint as hashing
from segstudy.data import prepared_writer, sample_files, sample_looks, stored_looks
from segstudy.data.check import examine
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.samples import Dataset

NUM = 12
SIZE = (32, 40)
# As the fixture does here; the files of a test are a moment old, which keeps them from being relied on.
SETUP = """
import os, signal, sys
from segstudy.data import prepared_writer, sample_files, sample_looks, stored_looks
from segstudy.data.check import examine
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import prepare
sample_files.FEWEST = sample_looks.FEWEST = 0
prepared_writer.EVERY = sample_looks.BLOCK = 4
stored_looks.UNSETTLED_NS = -10**15
dataset, at = read(sys.argv[1]), int(sys.argv[2])
def killed(done):
    if done == at:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every data set counts as large, and is kept four samples at a time."""
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sample_files, "FEWEST", 0)
    monkeypatch.setattr(sample_looks, "FEWEST", 0)
    monkeypatch.setattr(prepared_writer, "EVERY", 4)
    monkeypatch.setattr(sample_looks, "BLOCK", 4)
    monkeypatch.setattr(stored_looks, "UNSETTLED_NS", -(10**15))
    return tmp_path / "cache"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return read(write_dataset(tmp_path / "discs", n=NUM))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the samples that are decoded."""
    seen: list[str] = []

    def noted(module: object, name: str) -> None:
        original: Callable[..., object] = getattr(module, name)

        def noting(source: object, *args: object, **kwargs: object) -> object:
            seen.append(Path(str(source)).stem)
            return original(source, *args, **kwargs)

        monkeypatch.setattr(module, name, noting)

    noted(sample_files, "read_mask")
    noted(sample_looks, "decode_mask")
    return seen


def stop_at(number: int) -> Callable[[int], None]:
    def stopping(done: int) -> None:
        if done == number:
            raise KeyboardInterrupt

    return stopping


def prepare_it(dataset: Dataset, progress: Callable[[int], None] = lambda _: None) -> Path:
    return prepare(dataset.samples, fingerprint(dataset.samples), SIZE, "squash", progress=progress)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def kill(code: str, dataset: Dataset, at: int) -> None:
    ended = subprocess.run([sys.executable, "-c", SETUP + code, dataset.root, str(at)], check=False)
    assert ended.returncode == -signal.SIGKILL


def test_prepared_data_are_the_same_wherever_it_was_stopped(
    dataset: Dataset, cache: Path, decoded: list[str]
) -> None:
    sample_files.FEWEST, whole = NUM + 1, {}
    folder = prepare_it(dataset)
    whole = content(folder)
    sample_files.FEWEST = 0
    for at in range(1, NUM + 1):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        with pytest.raises(KeyboardInterrupt):
            prepare_it(dataset, stop_at(at))
        decoded.clear()
        assert content(prepare_it(dataset)) == whole
        assert len(decoded) == NUM - at // 4 * 4
        assert [entry.name for entry in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("at", [3, 9])
def test_a_killed_preparation_goes_on(dataset: Dataset, decoded: list[str], at: int) -> None:
    kill(
        "prepare(dataset.samples, fingerprint(dataset.samples), (32, 40), 'squash', progress=killed)",
        dataset,
        at,
    )
    done = open_prepared(prepare_it(dataset))
    assert sorted(decoded) == [f"disc{i:02}" for i in range(at // 4 * 4, NUM)]
    assert done.ids == tuple(sample.id for sample in dataset.samples)


@pytest.mark.parametrize("file", ["images.npy", "masks.npy", "native.bits", "progress.jsonl"])
@pytest.mark.parametrize("how", ["altered", "cut short"])
def test_what_is_not_as_it_was_written_is_prepared_again(
    dataset: Dataset, cache: Path, decoded: list[str], file: str, how: str
) -> None:
    folder = prepare_it(dataset)
    whole = content(folder)
    folder.rename(cache / "whole")
    with pytest.raises(KeyboardInterrupt):
        prepare_it(dataset, stop_at(5))
    left = folder.with_name(f"{folder.name}.partial") / file
    data = bytearray(left.read_bytes())
    data[30] ^= 1
    left.write_bytes(data if how == "altered" else data[:30])
    decoded.clear()
    assert content(prepare_it(dataset)) == whole
    assert len(decoded) == NUM


def test_an_error_leaves_nothing_behind(dataset: Dataset, cache: Path) -> None:
    dataset.samples[7].image.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"disc07\.png"):
        prepare_it(dataset)
    assert list((cache / "prepared").iterdir()) == []


def test_of_two_that_build_at_once_the_second_builds_by_itself(cache: Path) -> None:
    folder = cache / "prepared" / "one"
    with built_on(folder) as first, built_on(folder) as second:
        assert first != second
        (second / "file").write_text("x")
    assert content(folder) == {"file": b"x"}


def test_what_a_killed_process_was_building_is_removed(dataset: Dataset, cache: Path) -> None:
    code = "prepare(dataset.samples, fingerprint(dataset.samples), (32, 40), 'squash', progress=killed)"
    kill(f"sample_files.FEWEST = 10**6\n{code}", dataset, 6)
    (left,) = (cache / "prepared").iterdir()
    folder = prepare_it(dataset)
    assert left.name.startswith(f"{folder.name}.")
    assert list(folder.parent.iterdir()) == [folder]


def test_what_nobody_goes_on_with_is_removed_unless_it_is_being_built(dataset: Dataset, cache: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        prepare_it(dataset, stop_at(5))
    (partial,) = (cache / "prepared").iterdir()
    sample_files.FEWEST = NUM + 1
    folder = prepare_it(dataset)  # as another process that did not wait
    with hold(partial.with_suffix(".lock"), "this part of the cache"):
        prepare_it(dataset)
        assert partial.is_dir()
    prepare_it(dataset)
    assert list(folder.parent.iterdir()) == [folder]


def test_a_check_goes_on_where_it_was_stopped(dataset: Dataset, decoded: list[str]) -> None:
    sample_looks.FEWEST = NUM + 1
    whole = examine(dataset)
    sample_looks.FEWEST = 0
    with pytest.raises(KeyboardInterrupt):
        examine(dataset, progress=stop_at(9))
    decoded.clear()
    assert repr(examine(dataset)) == repr(whole)
    assert len(decoded) == NUM - 8
    decoded.clear()
    assert repr(examine(dataset)) == repr(whole)
    assert not decoded


def test_a_killed_check_goes_on(dataset: Dataset, decoded: list[str]) -> None:
    kill("examine(dataset, progress=killed)", dataset, 6)
    examine(dataset)
    assert len(decoded) == NUM - 4


def test_a_file_that_changed_is_looked_at_again(dataset: Dataset, decoded: list[str]) -> None:
    examine(dataset)
    decoded.clear()
    dataset.samples[5].image.write_bytes(b"no image")
    found = examine(dataset).problems
    assert [(each.kind, each.where) for each in found if each.severity == "error"] == [
        ("unreadable image", "images/disc05.png")
    ]
    assert len(decoded) == 4


@pytest.mark.parametrize("what", ["a file", "a version"])
def test_a_look_that_holds_no_longer_is_replaced(
    dataset: Dataset, cache: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    examine(dataset)
    files = sorted((cache / "checks").rglob("*.json"))
    before = [file.read_bytes() for file in files]
    if what == "a file":
        dataset.samples[5].image.write_bytes(dataset.samples[6].image.read_bytes())
    else:
        monkeypatch.setattr(sample_looks, "NUMBER", sample_looks.NUMBER + 1)
    decoded.clear()
    examine(dataset)
    assert len(decoded) == (4 if what == "a file" else NUM)
    assert sorted((cache / "checks").rglob("*.json")) == files
    assert sum(file.read_bytes() != old for file, old in zip(files, before, strict=True)) == len(decoded) // 4


def test_a_stored_look_that_was_altered_is_not_believed(
    dataset: Dataset, cache: Path, decoded: list[str]
) -> None:
    examine(dataset)
    files = sorted((cache / "checks").rglob("*.json"))
    assert len(files) == 3
    files[0].write_bytes(
        files[0].read_bytes().replace(b'"larger"', b'"others"').replace(b"[96, 128]", b"[96, 129]")
    )
    files[1].write_bytes(files[1].read_bytes()[:-20])
    files[2].write_bytes(b"")
    decoded.clear()
    examine(dataset)
    assert len(decoded) >= 8


def test_looks_that_were_stored_are_equal(dataset: Dataset) -> None:
    fresh = list(sample_looks.looks_at(dataset, examine(dataset).intensities.scale))
    again = list(sample_looks.looks_at(dataset, examine(dataset).intensities.scale))
    assert repr(again) == repr(fresh)
    for one, other in zip(fresh, again, strict=True):
        np.testing.assert_array_equal(one.thumbnail, other.thumbnail)
        assert one.masks[""].table.values.dtype == other.masks[""].table.values.dtype


def test_nothing_is_kept_of_files_changed_a_moment_ago(
    dataset: Dataset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_looks, "UNSETTLED_NS", 10**15)
    examine(dataset)
    assert not (cache / "checks").exists()


def test_hashes_are_kept_while_others_are_made(
    dataset: Dataset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "KEEP_EVERY_S", -1.0)
    monkeypatch.setattr(hashing, "UNSETTLED_NS", -(10**15))
    with pytest.raises(KeyboardInterrupt):
        fingerprint(dataset.samples, stop_at(8))  # of 24 files, the sixteenth
    (memory,) = (cache / "fingerprints").iterdir()
    assert len(json.loads(memory.read_text())["files"]) == 15
    once = fingerprint(dataset.samples)
    assert once == fingerprint([replace(sample) for sample in dataset.samples])


def test_results_come_in_order_and_few_are_begun_ahead() -> None:
    begun: list[int] = []
    results = in_order(lambda i: begun.append(i) or i * i, range(1000), threads=2)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(begun) <= 3 + 32
    assert list(results) == [i * i for i in range(3, 1000)]


def test_a_large_array_lies_in_a_file_without_a_name(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MOST_BYTES_IN_MEMORY", 100)
    large = scratch.scratch_array((20, 10), np.float32)
    assert isinstance(large, np.memmap)
    assert not large.any()
    large[3] = 2
    assert large.sum() == 20
    assert list((cache / "scratch").iterdir()) == []
    assert not isinstance(scratch.scratch_array((5, 5), np.uint8), np.memmap)


def test_a_full_disk_is_an_error_before_anything_is_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MOST_BYTES_IN_MEMORY", 100)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scratch, "_reserve", full)
    with pytest.raises(UserError, match=r"no space for .* MB of arrays \(No space left on device\)"):
        scratch.scratch_array((1000, 1000), np.float32)
