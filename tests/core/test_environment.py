"""What a run was computed with is recorded as it really was, and said where it differs."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from small import write_dataset

import segstudy
from segstudy.cli.studies import main
from segstudy.config.study import override, preset_study
from segstudy.core.environment import (
    BITS,
    SWITCHES,
    arithmetic,
    differing,
    differing_text,
    environment,
)
from segstudy.store.folder import StudyFolder
from segstudy.study.execution import carry_out
from segstudy.study.machine import Machine
from segstudy.study.plan import make_plan, write_plan
from segstudy.training.executors.base import Watch
from segstudy.training.resume import _elsewhere

AVX512 = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
avx512_only = pytest.mark.skipif(not AVX512, reason="needs a processor with AVX-512, and oneDNN")
SHOW = (
    "import json; from segstudy.core.environment import environment; print(json.dumps(environment('cpu', 1)))"
)
SMALL = {"image_size": [32], "width": [2], "architecture": ["unet"], "batch_size": [4]}


@cache
def elsewhere(code: str = SHOW, *words: object, **switches: str) -> str:
    """What a fresh process prints under these variables."""
    plain = {name: value for name, value in os.environ.items() if not SWITCHES.fullmatch(name)}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        env={**plain, **switches},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def plain() -> dict:
    return json.loads(elsewhere())


@pytest.mark.slow
def test_equal_processes_say_the_same(plain):
    assert json.loads(elsewhere.__wrapped__()) == plain  # not the one remembered
    assert plain["switches"] == "none"


@pytest.mark.slow
@avx512_only
@pytest.mark.parametrize(
    "switch",
    [
        "ONEDNN_MAX_CPU_ISA=AVX2",
        "ONEDNN_MAX_CPU_ISA=AVX512_CORE",
        "DNNL_MAX_CPU_ISA=AVX2",
        "ATEN_CPU_CAPABILITY=default",
        "MKL_CBWR=COMPATIBLE",
        "ONEDNN_DEFAULT_FPMATH_MODE=BF16",
    ],
)
def test_every_choice_of_other_kernels_shows_in_the_arithmetic_and_by_name(plain, switch):
    name, value = switch.split("=")
    found = json.loads(elsewhere(**{name: value}))
    assert found["switches"] == switch
    assert "switches" in differing([plain, found])
    if plain["bfloat16"] == "AMX":  # on lesser processors some of these choose what is used anyway
        assert found["arithmetic"] != plain["arithmetic"]


@avx512_only
def test_bfloat16_kernels_are_named_as_they_are_used(plain):
    assert json.loads(elsewhere(ONEDNN_MAX_CPU_ISA="AVX2"))["bfloat16"] == "none"
    assert json.loads(elsewhere(ONEDNN_MAX_CPU_ISA="AVX512_CORE"))["bfloat16"] == "emulated"
    assert plain["bfloat16"] in ("AMX", "AVX-512", "emulated")


def test_threads_and_random_numbers_are_as_they_were():
    arithmetic.cache_clear()
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    found = arithmetic()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    arithmetic.cache_clear()
    torch.set_num_threads(2)
    assert arithmetic() == found
    torch.set_num_threads(threads)


def test_libraries_that_compute_are_recorded():
    found = environment("cpu", 1)
    assert all(found[name] for name in ("torch", "numpy", "scipy", "opencv", "pillow", "kornia", "polars"))
    if torch.backends.mkldnn.is_available():
        assert found["onednn"][0].isdigit()


@pytest.mark.parametrize("name", BITS)
def test_each_of_them_is_said_when_it_differs(name):
    assert differing([{name: "a"}, {name: "b"}, {name: "a"}]) == {name: ["a", "b"]}
    assert differing_text([{name: "a"}, {name: "b"}]) == f"{name} (a, b)"
    assert name in _elsewhere({name: "a"}, {name: "b"})


class OneGpu:
    """What PyTorch says on a machine with a GPU, as far as the environment asks."""

    def __init__(self, monkeypatch, num_multiprocessors: int, driver: Path):
        properties = SimpleNamespace(major=9, minor=0, multi_processor_count=num_multiprocessors)
        monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H100")
        monkeypatch.setattr("torch.cuda.get_device_properties", lambda: properties)
        monkeypatch.setattr("torch.version.cuda", "13.0")
        monkeypatch.setattr("torch.backends.cudnn.version", lambda: 91200)
        monkeypatch.setattr("segstudy.core.environment.DRIVER", driver)
        self.found = environment("cuda", 1)


@pytest.mark.parametrize(
    ("text", "driver"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023",
            "535.104.05",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build", "570.86.15"),
        (None, None),
    ],
)
def test_of_a_gpu_its_kind_size_driver_and_settings_are_recorded(tmp_path, monkeypatch, text, driver):
    if text is not None:
        (tmp_path / "version").write_text(text, encoding="utf-8")
    found = OneGpu(monkeypatch, 132, tmp_path / "version").found
    assert found["device"] == "NVIDIA H100"
    assert found["gpu"] == "sm_90, 132 multiprocessors"
    assert (found["cuda"], found["cudnn"], found["driver"]) == ("13.0", 91200, driver)
    assert found["tf32"] == "convolutions"  # PyTorch's default
    part = OneGpu(monkeypatch, 16, tmp_path / "version").found  # a share of the GPU, with its name
    assert list(differing([found, part])) == ["gpu"]


def test_what_older_records_do_not_say_differs_in_nothing():
    assert not differing([{"cpu": "AVX2"}, {"cpu": "AVX2", "onednn": "3.12", "switches": "none"}])
    assert not differing([{"cores": 2}, {"cores": 8}])
    assert not differing([])


def test_the_hash_is_only_named_where_nothing_else_is():
    assert list(differing([{"cpu": "a", "arithmetic": "1"}, {"cpu": "b", "arithmetic": "2"}])) == ["cpu"]
    assert list(differing([{"cpu": "a", "arithmetic": "1"}, {"cpu": "a", "arithmetic": "2"}])) == [
        "arithmetic"
    ]


RESUME = """
import sys
from functools import cache
from pathlib import Path
from segstudy.config.study import override, preset_study
from segstudy.training.executors.base import Watch
from segstudy.store.folder import StudyFolder
from segstudy.study.execution import carry_out
from segstudy.study.plan import Machine, make_plan, missing_runs, write_plan
study = override(preset_study("classic", "t", sys.argv[1]), dict(image_size=[32], width=[2], epochs=[3],
    architecture=["unet"], loss=["bce"], batch_size=[4]))
machine, folder = Machine("cpu", 1, 1, "serial"), StudyFolder(Path(sys.argv[2]))
plan = make_plan(study, machine)
write_plan(plan, folder)
watch = Watch(say=lambda _job, text: print(text))
if sys.argv[3] == "stop":
    watch = Watch(epoch=lambda _job, row: watch.stop.set())
list(carry_out(plan, missing_runs(plan, folder), folder, machine, watch))
"""


@pytest.mark.slow
@avx512_only
def test_a_run_that_goes_on_under_another_instruction_set_says_so(tmp_path):
    data = write_dataset(tmp_path / "data", n=12)
    elsewhere(RESUME, data, tmp_path / "s", "stop")
    said = elsewhere(RESUME, data, tmp_path / "s", "go on", ONEDNN_MAX_CPU_ISA="AVX2")
    assert "continues after epoch 1 of 3; started with" in said
    assert "switches none, now ONEDNN_MAX_CPU_ISA=AVX2" in said
    assert "its last bits may differ" in said
    again = segstudy.status(tmp_path / "s").differing
    assert "switches (ONEDNN_MAX_CPU_ISA=AVX2, none)" in again


@pytest.fixture
def mixed_study(tmp_path) -> Path:
    """Two runs, the second trained with more threads."""
    data = write_dataset(tmp_path / "data", n=12)
    study = override(
        preset_study("classic", "t", str(data)), {**SMALL, "epochs": [1], "loss": ["bce", "dice"]}
    )
    folder = StudyFolder(tmp_path / "s")
    for threads, at in ((1, 0), (2, 1)):
        machine = Machine("cpu", threads, 1, "serial")
        plan = make_plan(study, machine)
        write_plan(plan, folder)
        (outcome,) = carry_out(plan, plan.runs[at : at + 1], folder, machine, Watch())
        assert outcome.status == "finished"
    return folder.path


@pytest.mark.slow
def test_a_study_whose_runs_differ_says_so_in_status_report_and_at_the_end_of_run(mixed_study, capsys):
    assert segstudy.status(mixed_study).differing == "threads (1, 2)"
    page = " ".join(segstudy.report(mixed_study).read_text(encoding="utf-8").split())
    assert "Between them these differ that may move the last bits of a run: threads (1, 2)." in page
    kinds = "A (1 run): threads 1; B (1 run): threads 2"
    confounded = "Loss is confounded with hardware (bce on A and dice on B)"
    assert f"<li>Hardware: {kinds}.</li>" in page
    assert f"Runs were trained on different hardware: {kinds}. {confounded}" in page  # for a paper
    assert page.count(confounded) == 3  # also among the warnings
    for command in ("status", "run", "verify"):
        with pytest.raises(SystemExit):
            main([command, str(mixed_study)])
        printed = "".join(capsys.readouterr())
        assert command != "status" or f"Hardware: {kinds}.\n" in printed
        assert command == "verify" or confounded in " ".join(printed.split())
        assert (
            "the runs have different environments, so their last bits may differ: threads (1, 2)" in printed
        )
