"""The table of small images: of many images it is made in parts, and has the same rows."""

from pathlib import Path

import polars as pl
import pytest
from small import write_dataset

from segstudy.data.datasets import read
from segstudy.data.prepared import prepare
from segstudy.store.folder import StudyFolder
from segstudy.study import thumbnails
from segstudy.study.thumbnails import write_thumbnails

NUM = 10


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    return prepare(read(write_dataset(tmp_path / "discs", n=NUM)).samples, "data", (32, 32), "squash")


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    (tmp_path / "study").mkdir()
    return StudyFolder(tmp_path / "study")


@pytest.fixture
def expected(prepared: Path, study: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> pl.DataFrame:
    """The rows as they are made in memory; from here on it is done in parts of four."""
    write_thumbnails(study, prepared)
    monkeypatch.setattr(thumbnails, "BLOCK", 4)
    return pl.read_parquet(study.path / "thumbnails.parquet")


def test_parts_have_the_same_rows(prepared: Path, study: StudyFolder, expected: pl.DataFrame) -> None:
    done: list[tuple[int, int]] = []
    write_thumbnails(study, prepared, lambda *so_far: done.append(so_far))
    assert pl.read_parquet(study.path / "thumbnails.parquet").equals(expected)
    assert done == [(4, NUM), (8, NUM), (NUM, NUM)]
    assert [file.name for file in study.path.iterdir()] == ["thumbnails.parquet"]


def test_parts_that_are_there_are_not_made_again(
    prepared: Path, study: StudyFolder, expected: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, _of: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_thumbnails(study, prepared, stop)
    made: list[int] = []
    original = thumbnails._row
    monkeypatch.setattr(thumbnails, "_row", lambda opened, i: made.append(i) or original(opened, i))
    for remade in ([8, 9], []):
        write_thumbnails(study, prepared)
        assert sorted(made) == remade
        made.clear()
    assert pl.read_parquet(study.path / "thumbnails.parquet").equals(expected)


def test_a_part_that_was_altered_is_made_again(
    prepared: Path, study: StudyFolder, expected: pl.DataFrame, tmp_path: Path
) -> None:
    write_thumbnails(study, prepared)
    part = sorted((tmp_path / "cache" / "thumbnails" / prepared.name).iterdir())[1]
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    write_thumbnails(study, prepared)
    assert pl.read_parquet(study.path / "thumbnails.parquet").equals(expected)
