"""Executors: the same bytes from all, one answer a job, and no worker that outlives its parent."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from small import write_dataset

from segstudy.config.study import override, preset_study
from segstudy.core.device import gpu_for, visible_gpus
from segstudy.models import build
from segstudy.models.cost import num_macs, num_parameters
from segstudy.models.unet import UNet
from segstudy.store.folder import StudyFolder
from segstudy.study.execution import carry_out
from segstudy.study.machine import Machine
from segstudy.study.plan import make_plan, missing_runs, write_plan
from segstudy.training.executors.base import Watch

TINY = {
    "image_size": [32],
    "width": [2],
    "epochs": [2],
    "architecture": ["unet", "segnet"],
    "batch_size": [3],
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)


def trained(dataset, path, executor, workers=2, epoch=lambda *_: None, **fields):
    study = override(preset_study("classic", "tiny", str(dataset)), {**TINY, "loss": ["bce"], **fields})
    machine = Machine("cpu", threads=1, workers=workers, executor=executor)
    plan, folder = make_plan(study, machine), StudyFolder(path)
    write_plan(plan, folder)
    return folder, list(carry_out(plan, missing_runs(plan, folder), folder, machine, Watch(epoch)))


def contents(folder):
    """Every file of every run but run.json, byte by byte."""
    return {
        str(path.relative_to(folder.runs)): path.read_bytes()
        for path in folder.runs.rglob("*")
        if path.is_file() and path.name != "run.json"
    }


@pytest.fixture(scope="module")
def by_processes(dataset, tmp_path_factory):
    """Two runs in two workers: their folder, outcomes and epochs, and the processes there were before."""
    before, rows = set(psutil.Process().children()), []
    folder, outcomes = trained(
        dataset,
        tmp_path_factory.mktemp("processes") / "s",
        "processes",
        epoch=lambda job, row: rows.append((job.name, row["epoch"])),
    )
    return folder, outcomes, rows, before


def test_serial_and_processes_write_the_same_bytes(dataset, tmp_path, by_processes):
    serial, _ = trained(dataset, tmp_path / "serial", "serial")
    processes, outcomes, _, _ = by_processes
    assert {outcome.status for outcome in outcomes} == {"finished"}
    assert len(contents(serial)) == 2 * 6
    assert contents(serial) == contents(processes)
    for name in ("study.toml", "split.json"):
        assert (serial.path / name).read_bytes() == (processes.path / name).read_bytes()


def test_a_run_that_crashes_fails_alone_and_says_why(dataset, tmp_path):
    own = tmp_path / "own.py"
    own.write_text("def broken(logits, target):\n    raise RuntimeError('no such luck')\n")
    folder, outcomes = trained(
        dataset, tmp_path / "s", "serial", architecture=["unet"], loss=["bce", f"{own}:broken"]
    )
    assert sorted(outcome.status for outcome in outcomes) == ["failed", "finished"]
    (failure,) = folder.failed().values()
    assert failure.reason == "crashed"
    assert "no such luck" in failure.detail
    assert "Traceback" in failure.log


@pytest.mark.slow
def test_a_worker_that_dies_fails_only_its_own_run_and_is_replaced(dataset, tmp_path):
    own = tmp_path / "own.py"
    own.write_text("import os\ndef deadly(logits, target):\n    os.kill(os.getpid(), 9)\n")
    folder, outcomes = trained(
        dataset,
        tmp_path / "s",
        "processes",
        workers=1,
        loss=[f"{own}:deadly", "bce"],
        architecture=["unet"],
    )
    assert sorted(outcome.status for outcome in outcomes) == ["failed", "finished"]
    assert {failure.detail for failure in folder.failed().values()} == {
        "the worker process ended with signal 9"
    }


@pytest.mark.slow
def test_what_a_users_network_prints_does_not_disturb_the_answers(dataset, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "from segstudy.losses import bce\n"
        "def chatty(logits, target):\n    print('{\"outcome\": 1}', flush=True)\n"
        "    return bce(logits, target)\n"
    )
    _, outcomes = trained(dataset, tmp_path / "s", "processes", architecture=["unet"], loss=[f"{own}:chatty"])
    assert [outcome.status for outcome in outcomes] == ["finished"]


def test_progress_comes_from_every_worker(by_processes):
    _, _, rows, _ = by_processes
    assert sorted(rows) == [(name, epoch) for name in ("segnet-bce-b3", "unet-bce-b3") for epoch in (1, 2)]


@pytest.mark.parametrize("ending", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_no_worker_outlives_its_parent_and_no_main_guard_is_needed(dataset, tmp_path, ending):
    """The parent is a plain script without a guard; it is killed in the middle of an epoch."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        from pathlib import Path
        from segstudy.config.study import override, preset_study
        from segstudy.store.folder import StudyFolder
        from segstudy.study.execution import carry_out
        from segstudy.study.machine import Machine
        from segstudy.study.plan import make_plan, write_plan
        from segstudy.training.executors.base import Watch

        study = override(preset_study("classic", "t", {str(dataset)!r}),
            dict(image_size=[192], width=[8], architecture=["unet"], loss=["bce", "dice"], batch_size=[6]))
        machine = Machine("cpu", 1, 2, "processes")
        plan, folder = make_plan(study, machine), StudyFolder(Path({str(tmp_path / "s")!r}))
        write_plan(plan, folder)
        watch = Watch(lambda job, row: print(row["epoch"], flush=True))
        list(carry_out(plan, plan.runs, folder, machine, watch))
        """)
    )
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    parent.stdout.readline()  # an epoch is over, so both workers are at work
    workers = psutil.Process(parent.pid).children()
    assert workers
    os.kill(parent.pid, ending)
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=5)
    parent.stdout.close()
    assert not alive
    assert not list(Path(tmp_path / "s" / "runs").iterdir())


def test_the_pool_is_gone_when_the_last_job_is_done(by_processes):
    *_, before = by_processes
    time.sleep(0.2)
    assert set(psutil.Process().children()) <= before


def test_gpus_are_shared_out_in_turn(monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpu_for(place, visible_gpus()) for place in range(5)] == ["0", "1", "2", "0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5a1")
    assert [gpu_for(place, visible_gpus()) for place in range(3)] == ["2", "GPU-5a1", "2"]


@pytest.mark.slow
def test_a_run_builds_one_network_which_is_counted_as_well(dataset, tmp_path, monkeypatch):
    built = []
    init = UNet.__init__

    def counted(self, *args, **kwargs):
        built.append(self)
        init(self, *args, **kwargs)

    monkeypatch.setattr(UNet, "__init__", counted)
    folder, outcomes = trained(dataset, tmp_path / "s", "serial", architecture=["unet"], loss=["bce"])
    (record,) = folder.run_records(folder.finished())
    assert [outcome.status for outcome in outcomes] == ["finished"]
    assert len(built) == 1
    fresh = build("unet", record.protocol["width"], 0)
    assert record.num_parameters == num_parameters(fresh)
    assert record.cost["num_macs"] == num_macs(fresh, tuple(record.protocol["image_size"]))
