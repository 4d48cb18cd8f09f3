"""A failure of which no record came back is recorded, listed and ends in exit code 1."""

from collections.abc import Iterator, Sequence

import pytest
from small import write_dataset

from segstudy.cli.studies import main
from segstudy.store.folder import StudyFolder
from segstudy.training.executors import EXECUTORS, Executor
from segstudy.training.executors.base import Watch
from segstudy.training.job import Job, Outcome

TINY = ("--image-size", "32", "--width", "2", "--epochs", "1", "--batch-size", "4", "--workers", "1", "--yes")


def all_fail(jobs: Sequence[Job], _workers: int, _watch: Watch) -> Iterator[Outcome]:
    reasons = iter(["disk full", "the moon"])
    for job in jobs:
        yield Outcome(key=job.run.key, status="failed", reason=next(reasons), detail="over there")


def test_a_failure_without_a_record_is_listed_and_the_exit_code_says_so(tmp_path, capsys, monkeypatch):
    place = "segstudy.training.executors.serial"
    monkeypatch.setattr(f"{place}.all_fail", all_fail, raising=False)
    record = Executor(name="failing", description="fails", function=f"{place}:all_fail", is_parallel=False)
    monkeypatch.setitem(EXECUTORS, "failing", record)
    data = write_dataset(tmp_path / "data", n=12)
    asked = ("--architecture", "unet", "--loss", "bce,dice", "--seeds", "1", "--executor", "failing", *TINY)
    with pytest.raises(SystemExit) as ended:
        main(["run", str(data), "--out", str(tmp_path / "s"), *asked])
    assert ended.value.code == 1
    assert "failed: unet-bce-b4: disk full; free some space" in capsys.readouterr().err
    found = StudyFolder(tmp_path / "s").failed().values()
    assert [(each.reason, each.detail) for each in found] == [
        ("disk full", "over there"),
        ("crashed", "over there"),
    ]
