"""Whatever a disk refuses: no finished run is lost or altered, and nothing torn is read as good."""

import errno
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest
from failing_disk import FailingDisk
from small import TINY, write_dataset

import segstudy
from segstudy.cli.studies import main
from segstudy.config.study import override, preset_study
from segstudy.core.atomic_files import DiskError
from segstudy.store.folder import StudyFolder
from segstudy.store.tidying import tidy
from segstudy.study.execution import carry_out
from segstudy.study.machine import Machine
from segstudy.study.plan import make_plan, missing_runs, write_plan

SERIAL = Machine("cpu", threads=1, workers=1, executor="serial")
FIELDS = {"image_size": [32], "width": [2], "epochs": [2], "architecture": ["unet"], "batch_size": [4]}
FULL_FOR_GOOD, BROKEN_ONCE = (errno.ENOSPC, 10**9), (errno.EIO, 1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)


@pytest.fixture(scope="module")
def plan(dataset):
    return make_plan(
        override(preset_study("classic", "s", str(dataset)), {**FIELDS, "loss": ["bce", "dice"]}), SERIAL
    )


@pytest.fixture(scope="module")
def whole(plan, tmp_path_factory):
    """The study on a disk that never failed."""
    folder = StudyFolder(tmp_path_factory.mktemp("whole") / "study")
    write_plan(plan, folder)
    assert {outcome.status for outcome in carry_out(plan, plan.runs, folder, SERIAL)} == {"finished"}
    return folder


@pytest.fixture
def half_done(plan, whole, tmp_path):
    """A copy in which the second run is still to be trained."""
    shutil.copytree(whole.path, tmp_path / "study")
    folder = StudyFolder(tmp_path / "study")
    shutil.rmtree(folder.runs / plan.runs[1].key)
    return folder


def contents(folder):
    """Every file of every finished run but run.json, byte by byte."""
    files = [path for key in folder.finished() for path in (folder.runs / key).iterdir()]
    return {f"{p.parent.name}/{p.name}": p.read_bytes() for p in files if p.name != "run.json"}


def assert_nothing_torn(folder):
    """Every run that is read as finished holds all its files, with their checksums."""
    for record in folder.run_records(folder.finished()):
        found = {
            p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (folder.runs / record.key).iterdir()
        }
        found.pop("run.json")
        assert found == record.sha256


def attempt(plan, folder):
    """Train what is missing: why that failed, or None."""
    try:
        (outcome,) = carry_out(plan, missing_runs(plan, folder), folder, SERIAL)
    except DiskError:
        return "the call"
    return outcome.reason


@pytest.mark.parametrize(
    ("error", "times"),
    [
        pytest.param(*FULL_FOR_GOOD, id="full for good", marks=pytest.mark.slow),
        pytest.param(*BROKEN_ONCE, id="broken once", marks=pytest.mark.slow),
    ],
)
def test_each_write_of_store_and_checkpoints_may_fail_in_turn(
    plan, whole, half_done, monkeypatch, error, times
):
    second = plan.runs[1].key
    disk, reasons = FailingDisk(half_done.path, monkeypatch), set()
    for at in itertools.count():
        shutil.rmtree(half_done.runs / second, ignore_errors=True)
        disk.fail(at, error, times)
        reason = attempt(plan, half_done)
        reached = disk.mend()
        reasons.add(reason)
        assert_nothing_torn(half_done)
        first = {name: data for name, data in contents(half_done).items() if not name.startswith(second)}
        assert first.items() < contents(whole).items()
        assert (reason is None) == (second in half_done.finished())

        again = list(carry_out(plan, missing_runs(plan, half_done), half_done, SERIAL))
        assert all(each.status == "finished" for each in again)
        assert contents(half_done) == contents(whole), f"request {at}"
        tidy(half_done)
        assert not half_done.failed()
        assert not (half_done.path / "checkpoints").exists()
        if not reached:
            break
    assert at > 40
    # What fails before any training ends the call; a state that cannot be saved stops no training.
    assert reasons == {None, "the call", "disk full" if error == errno.ENOSPC else "disk error"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    [
        pytest.param(1, marks=pytest.mark.very_slow),
        *(pytest.param(step, marks=pytest.mark.slow) for step in (61, 97)),
        193,
    ],
)
def test_each_write_of_a_whole_study_may_fail_in_turn(dataset, whole, tmp_path, monkeypatch, step):
    """Plan, thumbnails, baselines, runs and report; one line for the user, and the next call mends it all."""
    options = {**TINY, "architecture": "unet", "loss": ["bce", "dice"], "batch_size": 4, "threads": 1}
    options |= {"executor": "serial", "fields": {}}
    disk = FailingDisk(tmp_path, monkeypatch)
    for at in itertools.count(0, step):
        folder = StudyFolder(tmp_path / "study")
        shutil.rmtree(folder.path, ignore_errors=True)
        disk.fail(at, errno.ENOSPC)
        with suppress(DiskError):  # or runs that failed, or a report that came too early to fail
            segstudy.run(dataset, out=folder.path, **options)
        reached = disk.mend()
        assert_nothing_torn(folder)
        segstudy.run(dataset, out=folder.path, **options)
        assert contents(folder) == contents(whole)
        assert (folder.path / "report.html").stat().st_size > 100_000
        if not reached:
            break
    assert at > 100


def command(*arguments, size_limit=None):
    """A real `segstudy`, and what it said."""
    code = "import sys, segstudy.cli.studies; segstudy.cli.studies.main(sys.argv[1:])"
    if size_limit is not None:
        code = (
            f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size_limit}, {size_limit}));"
            + code
        )
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], check=False, capture_output=True, text=True
    )


RUN = "--architecture unet --loss bce,dice --image-size 32 --epochs 2 --batch-size 4"
RUN += " --executor serial --threads 1"


def assert_full_and_said_so(done, code):
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "cannot be written" in said
    assert "free some space" in said
    assert "Traceback" not in said
    assert "unexpected" not in said


@pytest.mark.slow
def test_a_disk_of_one_mebibyte(dataset, tmp_path):
    """A real file system that fills up; where none can be mounted, a limit on the size of files stands in."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False, capture_output=True
    )
    limit = None if mounted.returncode == 0 else 300_000
    options = ["--out", disk / "study", *RUN.split(), "--width", "4"]
    try:
        full = command("run", dataset, *options, size_limit=limit)
        assert_full_and_said_so(full, 2 if "report" in full.stderr else full.returncode)
        assert full.returncode in (1, 2)
        assert_nothing_torn(StudyFolder(disk / "study"))
        before = contents(StudyFolder(disk / "study"))
        if limit is None:
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        again = command("run", dataset, *options)
        assert again.returncode == 0, again.stderr
        assert before.items() <= contents(StudyFolder(disk / "study")).items()
        assert len(StudyFolder(disk / "study").finished()) == 2
        assert not StudyFolder(disk / "study").failed()
    finally:
        subprocess.run(["umount", disk], check=False, capture_output=True)


@pytest.fixture
def open_folder():
    """A folder that any user can reach, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


NOBODY = 65534


def as_another_user(*commands):
    """Exit codes and output of commands run without root's rights, in a process that has loaded all.

    Args:
        commands: first a list of those that load it, run with all rights; then those that count.
    """
    script = textwrap.dedent("""
        import contextlib, io, json, os, sys
        import segstudy.cli.studies
        def call(arguments):
            said = io.StringIO()
            from rich.console import Console
            cli = segstudy.cli
            for module in (cli.data, cli.folders, cli.results, cli.studies, cli.terminal):
                module.console = module.problems = Console(file=said, soft_wrap=True)
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                try:
                    segstudy.cli.studies.main(arguments)
                except SystemExit as ended:
                    return ended.code, said.getvalue()
        warm, commands = json.loads(sys.argv[1])
        for each in warm:
            assert call(each)[0] == 0, each
        if os.geteuid() == 0:
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
        print(json.dumps([call(each) for each in commands]))
    """)
    warm, *later = commands
    found = subprocess.run(
        [sys.executable, "-c", script, json.dumps([warm, later])], capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_folder_that_another_user_may_only_read(dataset, open_folder, monkeypatch):
    """Reading commands read, writing ones say in a line what they may not write; nothing changes."""
    monkeypatch.setenv("SEGSTUDY_CACHE", str(open_folder / "cache"))
    data, study = open_folder / "set", open_folder / "study"
    shutil.copytree(dataset, data)
    first = ["run", str(data), "--out", str(study), *RUN.split(), "--width", "2"]
    more = [*first, "--seeds", "2"]
    reading = [["status", str(study)], ["table", str(study)]]
    (status, table, run, report, elsewhere) = as_another_user(
        [first, *reading, ["report", str(study)]],
        *reading,
        more,
        ["report", str(study)],
        [*first[:2], "--out", str(open_folder / "new" / "study"), *first[4:]],
    )
    assert status[0] == 0
    assert "2 of 2 runs finished" in status[1]
    assert table[0] == 0
    for code, said in (run, report, elsewhere):
        assert code == 2
        assert "cannot be written" in said
        assert "unexpected" not in said
    assert_nothing_torn(StudyFolder(study))
    assert len(StudyFolder(study).finished()) == 2


@pytest.mark.slow
def test_a_run_that_another_user_may_not_read_is_named(dataset, open_folder, monkeypatch):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(open_folder / "cache"))
    data, study = open_folder / "set", open_folder / "study"
    shutil.copytree(dataset, data)
    first = ["run", str(data), "--out", str(study), *RUN.split(), "--width", "2"]
    reading = [["status", str(study)], ["table", str(study)], ["report", str(study)]]
    script = [first, *reading]
    with pytest.raises(SystemExit) as ended:
        main(first)
    assert ended.value.code == 0
    key = min(StudyFolder(study).finished())
    (study / "runs" / key / "run.json").chmod(0o000)
    for file in study.rglob("*"):
        if file.is_dir():
            file.chmod(0o777)
    study.chmod(0o777)
    for code, said in as_another_user([] if os.geteuid() else script, *reading):
        assert code == 2
        assert f"{key}/run.json: cannot be read (Permission denied)" in said
