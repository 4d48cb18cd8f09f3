"""What may be used is counted, not what the machine has: processors bound to, control groups, memory."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from segstudy.core import resources
from segstudy.core.resources import allowed_cores, allowed_memory
from segstudy.study.machine import choose_machine

ONE, TWO, ALL = {0}, {0, 1}, set(range(8))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Eight processors, two to a core, and control groups as files; returns a function that writes them."""

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    monkeypatch.setattr(resources, "PROC", tmp_path / "proc")
    monkeypatch.setattr(resources, "SYS", tmp_path / "sys")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: ALL, raising=False)
    monkeypatch.setattr("psutil.cpu_count", lambda logical=True: 8 if logical else 4)
    siblings = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    write({siblings.format(i): f"{i % 4},{i % 4 + 4}\n" for i in range(8)})
    return write


def test_without_limits_all_cores_count(machine):
    assert allowed_cores() == 4
    assert allowed_cores(hyperthreads=True) == 8


@pytest.mark.parametrize(("bound", "cores"), [({0}, 1), ({0, 4}, 1), ({0, 1}, 2), ({1, 2, 5, 6}, 2)])
def test_processors_that_the_process_is_bound_to(machine, monkeypatch, bound, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: bound, raising=False)
    assert allowed_cores() == cores
    assert allowed_cores(hyperthreads=True) == len(bound)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("100000 100000", 1), ("250000 100000", 2), ("20000 100000", 1), ("max 100000", 4), ("oddly put", 4)],
)
@pytest.mark.parametrize("at", ["sys/fs/cgroup/user/job", "sys/fs/cgroup/user", "sys/fs/cgroup"])
def test_a_share_of_version_2_at_any_level(machine, quota, cores, at):
    machine({"proc/self/cgroup": "0::/user/job\n", f"{at}/cpu.max": quota + "\n"})
    assert allowed_cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [("100000", 1), ("300000", 3), ("-1", 4)])
@pytest.mark.parametrize("folder", ["cpu,cpuacct/box", "cpu/box", "cpu"])
def test_a_share_of_version_1_and_a_path_of_the_host(machine, quota, cores, folder):
    at = f"sys/fs/cgroup/{folder}"
    files = {f"{at}/cpu.cfs_quota_us": quota, f"{at}/cpu.cfs_period_us": "100000"}
    machine({"proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/box\n0::/\n", **files})
    assert allowed_cores() == cores


def test_one_allowed_core_plans_one_worker_with_one_thread(machine, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: ONE, raising=False)
    chosen = choose_machine("cpu")
    assert (chosen.threads, chosen.workers, chosen.executor) == (1, 1, "serial")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: TWO, raising=False)
    assert choose_machine("cpu").workers == 2
    machine({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"})
    assert choose_machine("cpu").workers == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no binding to processors on this system")
def test_a_process_bound_to_one_processor_plans_one_worker():
    script = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from segstudy.study.machine import choose_machine; chosen = choose_machine('cpu'); "
        "print(chosen.threads, chosen.workers, chosen.executor)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["1", "1", "serial"]


def test_memory_that_a_container_may_take(machine, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1000))
    assert allowed_memory() == 1000
    machine({"proc/self/cgroup": "2:memory:/box\n0::/box\n"})
    machine({"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "70\n"})
    assert allowed_memory() == 1000
    v1 = "sys/fs/cgroup/memory/box/memory"
    machine({f"{v1}.limit_in_bytes": "9223372036854771712", f"{v1}.usage_in_bytes": "90"})
    assert allowed_memory() == 1000
    machine({"sys/fs/cgroup/memory.max": "700\n"})
    assert allowed_memory() == 630
    machine({f"{v1}.limit_in_bytes": "100"})
    assert allowed_memory() == 10


def test_nothing_else_counts_processors():
    """One function for threads, workers and thread pools: nobody counts what is not allowed."""
    root = os.path.dirname(os.path.dirname(resources.__file__))  # noqa: PTH120
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118
            if name.endswith(".py") and name != "resources.py":
                with open(path, encoding="utf-8") as stream:  # noqa: PTH123
                    text = stream.read()
                words = ("cpu_count", "sched_getaffinity", "ThreadPoolExecutor()", "virtual_memory")
                found += [(name, word) for word in words if word in text]
    assert not found


def test_a_real_control_group_of_one_processor(tmp_path):
    """Where this system lets us make one (version 1, or 2 with the controller on)."""
    makers = [("cpu", "cpu.cfs_quota_us", "100000"), (".", "cpu.max", "100000 100000")]
    for root, limit, quota in makers:
        group = Path("/sys/fs/cgroup") / root / f"segstudy-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(quota)
            script = (
                f"open({str(group / 'cgroup.procs')!r}, 'w').write(str(__import__('os').getpid())); "
                "from segstudy.core.resources import allowed_cores; print(allowed_cores(hyperthreads=True))"
            )
            found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        except OSError:  # a plain folder, or a group without this limit
            continue
        finally:
            group.rmdir()
        assert found.stdout.strip() == "1"
        return
    pytest.skip("control groups cannot be made here: the tests with files as control groups stand for it")
