"""Every way in which a run may fail has its word, its remedy and its next try."""

import errno
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from small import write_dataset

import segstudy
from segstudy.analysis.configurations import Row
from segstudy.config.study import override, preset_study
from segstudy.core.atomic_files import DiskError
from segstudy.core.cache import cache_folder
from segstudy.core.errors import UserError
from segstudy.core.locks import HeldError, hold
from segstudy.data.prepared import PreparedDataGoneError
from segstudy.reporting.sections.protocol import environments
from segstudy.store.folder import StudyFolder
from segstudy.store.records import RunRecord, SessionRecord
from segstudy.store.weights import read_state, state_bytes
from segstudy.study.execution import carry_out
from segstudy.study.machine import Machine
from segstudy.study.plan import make_plan, missing_runs, write_plan
from segstudy.training.executors.base import Watch
from segstudy.training.failures import REMEDIES, SourceChangedError, reason_of, remedy
from segstudy.training.loop import DivergedError

SERIAL = Machine("cpu", threads=1, workers=1, executor="serial", checkpoint_every=1)
FIELDS = {"image_size": [32], "width": [2], "epochs": [2], "architecture": ["unet"], "batch_size": [4]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)


@pytest.fixture
def own(tmp_path):
    """A loss of one's own: ``failing`` does what ``what`` says, ``sometimes`` only while a file is there."""
    file = tmp_path / "own.py"

    def write(what, loss="failing"):
        file.write_text(
            "import os, torch\nfrom pathlib import Path\nfrom segstudy.losses import bce\n"
            f"def failing(logits, target):\n    {what}\n"
            "def sometimes(logits, target):\n"
            f"    if Path({str(tmp_path / 'now')!r}).exists():\n        {what}\n"
            "    return bce(logits, target)\n"
        )
        return f"{file}:{loss}"

    return write


def planned(dataset, folder, **fields):
    plan = make_plan(override(preset_study("classic", "s", str(dataset)), {**FIELDS, **fields}), SERIAL)
    write_plan(plan, folder)
    return plan


def carried_out(plan, folder, machine=SERIAL, retry=False, **watch):
    missing = missing_runs(plan, folder, retry)
    return [outcome.reason for outcome in carry_out(plan, missing, folder, machine, Watch(**watch))]


@pytest.mark.parametrize(
    ("what", "reason", "detail"),
    [
        ("raise RuntimeError('no such luck')", "crashed", "RuntimeError: no such luck"),
        ("raise torch.OutOfMemoryError('CUDA out of memory')", "out of memory", "OutOfMemoryError"),
        ("return torch.empty(10**16)", "out of memory", "can't allocate memory"),
        ("raise MemoryError", "out of memory", "MemoryError"),
        ("return logits.mean() * float('nan')", "diverged", "nan in epoch 1"),
        ("return logits.mean() * float('inf')", "diverged", "in epoch 1"),
    ],
)
def test_a_run_that_fails_says_why_and_what_helps_and_the_rest_go_on(
    dataset, tmp_path, own, what, reason, detail
):
    folder = StudyFolder(tmp_path / "study")
    plan = planned(dataset, folder, loss=[own(what), "bce"])
    assert carried_out(plan, folder) == [reason, None]
    (failure,) = folder.failed().values()
    assert detail in failure.detail
    assert failure.reason == reason
    assert failure.remedy == remedy(reason, plan.runs[0])
    assert ("Traceback" in failure.log) == (reason in ("crashed", "out of memory"))
    assert [run.key for run in missing_runs(plan, folder)] == (
        [] if reason == "diverged" else [plan.runs[0].key]
    )
    assert [run.key for run in missing_runs(plan, folder, retry=True)] == [plan.runs[0].key]


def test_the_remedy_for_short_memory_keeps_the_batch_and_works(dataset, tmp_path):
    folder = StudyFolder(tmp_path / "study")
    plan = planned(dataset, folder, loss=["bce"], batch_size=[8])
    said = remedy("out of memory", plan.runs[0])
    assert "--set micro_batch=4 keeps the batch size of 8" in said
    assert "batch norm" in said
    smaller = planned(dataset, folder, loss=["bce"], batch_size=[8], micro_batch=[4])
    assert carried_out(smaller, folder) == [None]
    assert "--set micro_batch=2 keeps the batch size of 8" in remedy("out of memory", smaller.runs[0])
    least = planned(dataset, folder, loss=["bce"], batch_size=[2])
    assert remedy("out of memory", least.runs[0]) == REMEDIES["out of memory"]


def test_a_run_that_crashed_goes_on_after_its_last_saved_epoch(dataset, tmp_path, own):
    folder, said = StudyFolder(tmp_path / "study"), []
    plan = planned(dataset, folder, loss=[own("raise RuntimeError('now')", "sometimes")], epochs=[4])

    def break_after_two(_job, row):
        if row["epoch"] == 2:
            (tmp_path / "now").touch()

    assert carried_out(plan, folder, epoch=break_after_two) == ["crashed"]
    (tmp_path / "now").unlink()
    assert carried_out(plan, folder, say=lambda _job, text: said.append(text)) == [None]
    assert said == ["continues after epoch 2 of 4"]
    (record,) = folder.run_records(folder.finished())
    (session,) = record.resumed
    assert session.after_epoch == 2
    assert session.environment == record.environment
    assert record.environments == [session.environment, record.environment]
    assert not folder.failed()


def test_a_diverged_run_leaves_no_state_to_diverge_from_again(dataset, tmp_path, own):
    folder = StudyFolder(tmp_path / "study")
    plan = planned(
        dataset, folder, loss=[own("return logits.mean() * float('nan')", "sometimes")], epochs=[3]
    )
    (tmp_path / "now").touch()
    assert carried_out(plan, folder) == ["diverged"]
    assert not folder.begun()
    (tmp_path / "now").unlink()
    assert carried_out(plan, folder) == []
    assert carried_out(plan, folder, retry=True) == [None]


@pytest.mark.parametrize(
    "damage",
    [
        "torn",
        "another network's",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("altered", "emptied", "another run's")),
    ],
)
def test_a_state_that_cannot_be_used_is_set_aside_and_the_one_before_serves(dataset, tmp_path, own, damage):
    folder, said = StudyFolder(tmp_path / "study"), []
    plan = planned(dataset, folder, loss=[own("raise RuntimeError('now')", "sometimes")], epochs=[4])

    def break_after_three(_job, row):
        if row["epoch"] == 3:
            (tmp_path / "now").touch()

    carried_out(plan, folder, epoch=break_after_three)
    (tmp_path / "now").unlink()
    checkpoints = folder.checkpoints(plan.runs[0].key)
    (newest, content), (_, before) = checkpoints.contents()
    assert content is not None
    state = read_state(content)
    match damage:
        case "torn":
            newest.write_bytes(newest.read_bytes()[:-100])
        case "altered":
            data = bytearray(newest.read_bytes())
            data[len(data) // 2] ^= 1
            newest.write_bytes(bytes(data))
        case "emptied":
            newest.write_bytes(b"")
        case "another run's":
            checkpoints.write(3, state_bytes({**state, "key": "f" * 16}))
        case "another network's":
            state["training"]["model"].popitem()
            checkpoints.write(3, state_bytes(state))
    assert carried_out(plan, folder, say=lambda _job, text: said.append(text)) == [None]
    assert "000003.state cannot be used" in said[0]
    assert said[1:] == ["continues after epoch 2 of 4"]
    assert len(read_state(before)["training"]["rows"]) == 2

    whole = StudyFolder(tmp_path / "whole")
    planned(dataset, whole, loss=[own("raise RuntimeError('now')", "sometimes")], epochs=[4])
    assert carried_out(plan, whole) == [None]
    for file in (whole.runs / plan.runs[0].key).iterdir():
        if file.name != "run.json":
            assert file.read_bytes() == (folder.runs / plan.runs[0].key / file.name).read_bytes()


def test_where_no_state_can_be_used_the_run_begins_again(dataset, tmp_path, own):
    folder, said = StudyFolder(tmp_path / "study"), []
    plan = planned(dataset, folder, loss=[own("raise RuntimeError('now')", "sometimes")], epochs=[3])
    carried_out(plan, folder, epoch=lambda *_: (tmp_path / "now").touch())
    (tmp_path / "now").unlink()
    for file, _ in folder.checkpoints(plan.runs[0].key).contents():
        file.write_bytes(b"torn")
    assert carried_out(plan, folder, say=lambda _job, text: said.append(text)) == [None]
    assert said[-1] == "no saved state can be used: the run starts again"


@pytest.mark.slow
def test_a_state_resumed_with_other_threads_says_that_bits_may_differ(dataset, tmp_path, own):
    folder, said = StudyFolder(tmp_path / "study"), []
    plan = planned(dataset, folder, loss=[own("raise RuntimeError('now')", "sometimes")], epochs=[3])
    carried_out(plan, folder, epoch=lambda *_: (tmp_path / "now").touch())
    (tmp_path / "now").unlink()
    two_threads = Machine("cpu", threads=2, workers=1, executor="serial", checkpoint_every=1)
    carried_out(plan, folder, two_threads, say=lambda _job, text: said.append(text))
    assert said == ["continues after epoch 1 of 3; started with threads 1, now 2: its last bits may differ"]


def test_prepared_data_that_vanish_fail_the_run_and_come_back_with_the_next(dataset, tmp_path):
    folder = StudyFolder(tmp_path / "study")
    plan = planned(dataset, folder, loss=["bce", "dice"], epochs=[1])

    def empty_the_cache(_job, _row):
        shutil.rmtree(cache_folder() / "prepared", ignore_errors=True)

    assert carried_out(plan, folder, epoch=empty_the_cache) == [None, "prepared data gone"]
    assert carried_out(plan, folder) == [None]


def test_images_that_vanish_while_runs_are_trained_are_missed_by_nobody(tmp_path):
    folder, data = StudyFolder(tmp_path / "study"), write_dataset(tmp_path / "set", n=12, seed=3)
    plan = planned(data, folder, loss=["bce", "dice"])

    def lose_the_data(_job, _row):
        shutil.rmtree(data, ignore_errors=True)

    assert carried_out(plan, folder, epoch=lose_the_data) == [None, None]
    with pytest.raises(UserError, match="set: the data set is not there; give its folder with --data PATH"):
        planned(data, folder, loss=["bce", "dice", "combo"])


def test_an_image_that_vanishes_before_training_is_named(tmp_path):
    folder, data = StudyFolder(tmp_path / "study"), write_dataset(tmp_path / "set", n=12, seed=4)
    plan = planned(data, folder, loss=["bce"])
    (data / "images" / "disc03.png").unlink()
    with pytest.raises(UserError, match=r"disc03\.png: no such file"):
        carried_out(plan, folder)


@pytest.mark.parametrize("file", ["images.npy", "native.bits", "index.json"])
def test_prepared_data_cut_short_are_prepared_again(dataset, tmp_path, monkeypatch, file):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    folder = StudyFolder(tmp_path / "study")
    plan = planned(dataset, folder, loss=["bce"])
    assert carried_out(plan, folder) == [None]
    shutil.rmtree(folder.runs)
    (prepared,) = (cache_folder() / "prepared").glob("*")
    data = (prepared / file).read_bytes()
    (prepared / file).write_bytes(data[: len(data) // 2])
    assert carried_out(plan, folder) == [None]
    assert (prepared / file).read_bytes() == data


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "executor"),
    [
        ("cut short", "serial"),
        ("altered", "serial"),
        ("cut short", "processes"),
        ("altered", "processes"),
    ],
)
def test_prepared_data_damaged_in_the_middle_of_a_run_fail_it_with_the_reason(
    dataset, tmp_path, monkeypatch, executor, damage
):
    """Mapped into memory, a file cut short would end the process by SIGBUS: in a serial run all of it."""
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    folder = StudyFolder(tmp_path / "study")
    plan = planned(dataset, folder, loss=["bce"], epochs=[50])

    def damaged(_job, row):
        (file,) = (cache_folder() / "prepared").glob("*/images.npy")
        if row["epoch"] == 1 and damage == "cut short":
            os.truncate(file, 1000)
        elif row["epoch"] == 1:
            content = bytearray(file.read_bytes())
            content[-1] ^= 128
            file.write_bytes(content)

    machine = Machine("cpu", threads=1, workers=1, executor=executor)
    assert carried_out(plan, folder, machine, epoch=damaged) == ["prepared data gone"]
    (failure,) = folder.failed().values()
    assert "images.npy: was " in failure.detail
    assert "the next `run` prepares the data again" in failure.remedy
    assert carried_out(plan, folder, machine) == [None]


def test_a_run_that_another_process_holds_is_left_to_it(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("segstudy.training.worker.LOCK_WAIT_S", 0.1)
    folder = StudyFolder(tmp_path / "study")
    plan = planned(dataset, folder, loss=["bce", "dice"])
    with hold(folder.run_lock(plan.runs[0].key), "a run"):
        assert carried_out(plan, folder) == ["at work elsewhere", None]
    assert "process" in next(iter(folder.failed().values())).detail
    assert carried_out(plan, folder) == [None]


def test_a_disk_too_full_for_the_weights_is_noticed_before_training(dataset, tmp_path, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr("segstudy.training.worker.psutil.disk_usage", lambda _: Usage)
    folder, rows = StudyFolder(tmp_path / "study"), []
    plan = planned(dataset, folder, loss=["bce"])
    assert carried_out(plan, folder, epoch=lambda _job, row: rows.append(row)) == ["disk full"]
    assert not rows


@pytest.mark.slow
def test_a_cache_on_a_full_disk_is_one_line(dataset, tmp_path):
    """Where no small disk can be mounted, a limit on the size of files stands in."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False, capture_output=True
    )
    limit = (
        ""
        if mounted.returncode == 0
        else "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9999,) * 2); "
    )
    code = f"{limit}import os, sys, segstudy.cli.studies; os.environ['SEGSTUDY_CACHE'] = {str(disk)!r}; "
    code += "segstudy.cli.studies.main(sys.argv[1:])"
    options = ["run", dataset, "--out", tmp_path / "s", "--image-size", "64", "--width", "2", "--loss", "bce"]
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, options)], check=False, capture_output=True, text=True
        )
    finally:
        subprocess.run(["umount", disk], check=False, capture_output=True)
    assert done.returncode == 2, done.stderr
    assert "SEGSTUDY_CACHE" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_reason_has_its_error_and_every_error_its_remedy(tmp_path):
    full, broken = (DiskError(tmp_path, OSError(code, "no")) for code in (errno.ENOSPC, errno.EIO))
    errors = [
        DivergedError(),
        HeldError("x"),
        full,
        broken,
        PreparedDataGoneError("x"),
        MemoryError(),
        KeyError(),
    ]
    errors.append(SourceChangedError("x"))
    assert {reason_of(error) for error in errors} == REMEDIES.keys() - {"worker died"}
    assert np.all([REMEDIES[reason_of(error)] for error in errors])


def test_no_decision_depends_on_the_clock():
    """Laptops sleep and clocks jump: durations come from a monotonic clock, no file's age is looked at.

    But for recognising files that have not changed: a clock that jumps only has them read again.
    """
    stamped = {"file_stamps.py"}
    for file in Path(segstudy.__file__).parent.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        times = r"\btime\.time\(" if file.name in stamped else r"\btime\.time\(|st_[mc]time|getmtime"
        assert not re.search(times, text), file.name
        # The date is only ever written down.
        assert all(
            ".isoformat(" in line or "started" in line for line in text.split("\n") if "now(UTC)" in line
        )


def test_a_clock_that_jumps_back_changes_no_result(dataset, tmp_path, monkeypatch):
    class Jumping(datetime):
        years = 2030

        @classmethod
        def now(cls, tz=None):
            cls.years -= 10
            return datetime(cls.years, 1, 1, tzinfo=tz)

    plain, jumped = StudyFolder(tmp_path / "plain"), StudyFolder(tmp_path / "jumped")
    plan = planned(dataset, plain, loss=["bce"])
    assert carried_out(plan, plain) == [None]
    for module in ("training.worker", "core.locks"):
        monkeypatch.setattr(f"segstudy.{module}.datetime", Jumping)
    planned(dataset, jumped, loss=["bce"])
    assert carried_out(plan, jumped) == [None]
    for file in (plain.runs / plan.runs[0].key).iterdir():
        if file.name != "run.json":
            assert file.read_bytes() == (jumped.runs / plan.runs[0].key / file.name).read_bytes()
    (record,) = jumped.run_records(jumped.finished())
    assert all(seconds >= 0 for seconds in record.seconds.model_dump().values())


def test_a_report_says_which_environments_a_resumed_run_has_seen():
    session = SessionRecord(after_epoch=2, environment={"threads": 2})
    records = [
        RunRecord.model_construct(environment={"threads": 1}, resumed=[session]),
        RunRecord.model_construct(environment={"threads": 1}),  # of the first version
    ]
    row = Row("a", {}, tuple(records), (), 2, 2)
    assert environments([row]) == [{"threads": 1}, {"threads": 2}]


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("[enforce fail] not enough memory: you tried to allocate 8 bytes"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (OSError(errno.EIO, "Input/output error"), False),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory lane"), False),
    ],
)
def test_short_memory_has_many_words(error, short):
    assert (reason_of(error) == "out of memory") == short


@pytest.mark.parametrize("what", ["memory", "disk"])
def test_a_state_that_cannot_be_read_now_is_kept_for_later(dataset, tmp_path, own, monkeypatch, what):
    """Short memory or a sulking disk says nothing about what was saved."""
    folder, said = StudyFolder(tmp_path / "study"), []
    plan = planned(dataset, folder, loss=[own("raise RuntimeError('now')", "sometimes")], epochs=[3])
    carried_out(plan, folder, epoch=lambda *_: (tmp_path / "now").touch())
    (tmp_path / "now").unlink()
    with monkeypatch.context() as patch:
        if what == "memory":
            patch.setattr("segstudy.training.loop.copy_weights", short_of_memory)
        else:
            patch.setattr("segstudy.store.checkpoints._whole_content", broken_disk)
        assert carried_out(plan, folder) == ["out of memory" if what == "memory" else "crashed"]
    assert folder.begun()
    assert carried_out(plan, folder, say=lambda _job, text: said.append(text)) == [None]
    assert said == ["continues after epoch 1 of 3"]


def short_of_memory(_model):
    raise torch.OutOfMemoryError("CUDA out of memory")


def broken_disk(file):
    raise OSError(errno.EIO, "Input/output error", str(file))


def test_a_network_of_ones_own_that_is_edited_meanwhile_is_not_trained_under_the_old_key(
    dataset, tmp_path, own
):
    folder = StudyFolder(tmp_path / "study")
    loss = own("return bce(logits, target)")
    plan = planned(dataset, folder, loss=[loss, "bce"])
    own("return 2 * bce(logits, target)")
    assert carried_out(plan, folder) == ["source changed", None]
    again = planned(dataset, folder, loss=[loss, "bce"])
    assert again.runs[0].key != plan.runs[0].key
    assert carried_out(again, folder) == [None]
