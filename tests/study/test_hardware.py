"""Other hardware for the runs of one study: said once, or refused without a loss."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from small import write_dataset

from segstudy.cli.studies import main
from segstudy.core.environment import environment
from segstudy.store.folder import StudyFolder
from segstudy.training.executors import EXECUTORS, Executor
from segstudy.training.executors.base import Watch
from segstudy.training.executors.serial import serial
from segstudy.training.job import Job, Outcome

TINY = ("--image-size", "32", "--width", "2", "--epochs", "2", "--batch-size", "4", "--workers", "1", "--yes")
GRID = ("--architecture", "unet", "--loss", "bce,dice", "--seeds", "1", *TINY)


def call(*words: object) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


@pytest.fixture(autouse=True, scope="module")
def _no_report() -> Iterator[None]:
    """Reports are tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segstudy.study.run.write_report", lambda *_: None)
        patch.setattr("segstudy.study.run.is_current", lambda *_: False)
        yield


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """A study of two runs, of which one is trained, with one thread."""
    place = tmp_path_factory.mktemp("begun")
    data = write_dataset(place / "data", n=12)
    first = ("--architecture", "unet", "--loss", "bce", "--seeds", "1", *TINY)
    assert call("run", data, *first, "--threads", 1, "--out", place / "s") == 0
    return place / "s"


@pytest.fixture
def study(begun, tmp_path) -> Path:
    return shutil.copytree(begun.parent, tmp_path / "copy") / "s"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def elsewhere_executor(monkeypatch, threads: Sequence[int], environments: str | None = None) -> None:
    """Install an executor that trains each run as another machine would, with its own number of threads."""

    def train(jobs: Sequence[Job], _workers: int, watch: Watch) -> Iterator[Outcome]:
        for job, number in zip(jobs, threads, strict=False):
            yield from serial([job.model_copy(update={"threads": number})], 1, watch)

    monkeypatch.setattr("segstudy.training.executors.serial.elsewhere", train, raising=False)
    record = Executor(
        name="elsewhere",
        description="as on other machines",
        function="segstudy.training.executors.serial:elsewhere",
        is_parallel=False,
        environments=environments,
    )
    monkeypatch.setitem(EXECUTORS, "elsewhere", record)


@pytest.mark.slow
def test_a_run_on_other_hardware_is_said_once_and_trained(study, capsys):
    assert call("run", study, "--loss", "bce,dice", "--threads", 2, "--yes") == 0
    printed = capsys.readouterr().err
    said = "note: this is not the hardware of 1 finished run: threads (1, 2); last bits may differ"
    assert printed.count(said) == 1
    assert "was trained on other hardware" not in printed  # a second time
    assert len(StudyFolder(study).finished()) == 2


@pytest.mark.slow
def test_on_the_same_hardware_nothing_is_said_and_nothing_refused(study, capsys):
    assert call("run", study, "--loss", "bce,dice", "--threads", 1, "--same-hardware") == 0
    assert "hardware" not in capsys.readouterr().err


def test_same_hardware_refuses_before_anything_is_written_and_names_both(study, capsys):
    before = contents(study)
    for command in ("run", "plan"):
        assert call(command, study, "--loss", "bce,dice", "--threads", 2, "--same-hardware") == 2
        assert (
            "--same-hardware: other hardware than that of 1 finished run: threads is 2 here, 1 there; "
            "nothing was trained"
        ) in " ".join(capsys.readouterr().err.split())
    assert contents(study) == before


@pytest.mark.slow
def test_same_hardware_refuses_a_study_that_is_mixed_already(study, capsys):
    assert call("run", study, "--loss", "bce,dice", "--threads", 2, "--yes") == 0
    capsys.readouterr()
    assert call("run", study, "--loss", "bce,dice", "--threads", 2, "--same-hardware") == 2
    assert "the finished runs in" in (printed := capsys.readouterr().err)
    assert "differ already: threads (1, 2)" in printed


@pytest.mark.slow
def test_an_executor_that_trains_elsewhere_is_refused_where_the_machine_differs(study, capsys, monkeypatch):
    elsewhere_executor(monkeypatch, threads=[2])
    asked = ("run", study, "--loss", "bce,dice", "--threads", 1, "--executor", "elsewhere")
    assert call(*asked, "--same-hardware") == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert "not trained: unet-dice-b4 (seed 0): other hardware: threads (1, 2)" in printed
    assert (
        "--same-hardware: other hardware for unet-dice-b4 (seed 0): threads (1, 2); finished runs" in printed
    )
    folder = StudyFolder(study)
    assert len(folder.finished()) == 1
    assert not folder.failed()
    assert not folder.begun() - folder.finished()
    assert call(*asked) == 0
    printed = " ".join(capsys.readouterr().err.split())
    assert "unet-dice-b4 (seed 0): was trained on other hardware than runs before: threads (1, 2)" in printed


def two_machines(device: str, _threads: int) -> list[dict]:
    return [environment(device, 1), environment(device, 2)]


def test_machines_that_differ_are_named_before_the_first_run(begun, tmp_path, capsys, monkeypatch):
    elsewhere_executor(monkeypatch, threads=[1, 2], environments="test_hardware:two_machines")
    monkeypatch.syspath_prepend(Path(__file__).parent)
    asked = ("run", begun.parent / "data", *GRID, "--executor", "elsewhere", "--out", tmp_path / "new")
    assert call(*asked, "--same-hardware") == 2
    assert "the machines that would train differ: threads (1, 2); nothing was trained" in " ".join(
        capsys.readouterr().err.split()
    )
    assert not (tmp_path / "new").exists()
    assert call(*asked) == 0
    assert "note: the machines that train differ: threads (1, 2)" in capsys.readouterr().err


def no_machine(_device: str, _threads: int) -> list[dict]:
    return []


def test_without_any_known_hardware_nothing_can_be_kept_the_same(begun, tmp_path, capsys, monkeypatch):
    elsewhere_executor(monkeypatch, threads=[1], environments="test_hardware:no_machine")
    monkeypatch.syspath_prepend(Path(__file__).parent)
    asked = ("run", begun.parent / "data", *GRID, "--executor", "elsewhere", "--out", tmp_path / "new")
    assert call(*asked, "--same-hardware") == 2
    assert "no machine that would train has said what its hardware is" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_state_of_other_hardware_is_refused_and_kept(begun, tmp_path, capsys, monkeypatch):
    """The state of a run that was stopped on the other machine stays where it is."""

    def stopped(jobs: Sequence[Job], workers: int, watch: Watch) -> Iterator[Outcome]:
        other = Watch(epoch=lambda *_: other.stop.set())
        yield from serial([job.model_copy(update={"threads": 2}) for job in jobs], workers, other)

    elsewhere_executor(monkeypatch, threads=[])
    monkeypatch.setattr("segstudy.training.executors.serial.elsewhere", stopped)
    asked = ("run", begun.parent / "data", *GRID, "--threads", 1, "--out", tmp_path / "new")
    assert call(*asked, "--executor", "elsewhere") == 0
    (key,) = StudyFolder(tmp_path / "new").begun()
    before = contents(tmp_path / "new" / "checkpoints")
    assert call(*asked, "--same-hardware") == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert (
        f"threads (1, 2) in its saved state; to train it again from its first epoch, delete checkpoints/{key}"
        in printed
    )
    assert contents(tmp_path / "new" / "checkpoints") == before
