"""The executor on Ray, with clusters on this machine: the same bytes, lost machines, failures, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from chaos_on_ray import Machines, chaos
from small import write_dataset

from segstudy.store.folder import StudyFolder

pytestmark = pytest.mark.slow
SMALL = [*("--architecture", "unet", "--batch-size", "4", "--image-size", "32", "--width", "2")]
SMALL += ["--threads", "1", "--set", "record_test=false"]
OWN = """
import os
from segstudy.losses import bce

def broken(logits, target):
    raise RuntimeError("no such luck")

def deadly(logits, target):
    print("my last words", flush=True)
    os.kill(os.getpid(), 9)

def diverging(logits, target):
    return bce(logits, target) * float("nan")
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """Two machines with caches of their own."""
    found = Machines(tmp_path_factory.mktemp("machines"), 2)
    yield found
    found.shutdown()


def command(dataset, out, *more) -> list[str]:
    words = [sys.executable, "-P", "-m", "segstudy", "run", dataset, "--out", out, *SMALL, *more]
    return [str(word) for word in words]


def run(dataset, out, *more, code=0) -> str:
    done = subprocess.run(command(dataset, out, *more), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr + done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.glob("runs/*/*") if file.name != "run.json"]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_the_bytes_of_serial_and_processes_though_machines_and_the_head_are_killed(tmp_path):
    counted = chaos(tmp_path, kills=3, epochs=6)
    print(counted)
    assert (counted["runs"], counted["exit code"], counted["failures"]) == (24, 0, [])
    assert (counted["files that differ, processes"], counted["files that differ, ray"]) == ([], [])
    assert len(counted["what happened"]) == 5  # type: ignore[arg-type]
    # With --checkpoint-every 1, an epoch of each run that was at work is lost at most: 4 machines, 4 blows.
    assert 1 <= float(str(counted["epochs trained / epochs needed"])) <= 1 + (3 + 4) / (24 * 6)


def test_failures_are_those_of_processes_and_the_other_runs_finish(dataset, machines, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(OWN)
    losses = ",".join(["bce", *(f"{own}:{name}" for name in ("broken", "deadly", "diverging"))])
    found = {}
    for executor, more in {"processes": [], "ray": ["--ray-address", machines.address]}.items():
        words = ["--loss", losses, "--epochs", "2", "--executor", executor, *more]
        # A trial step before the training would refuse them: they are allowed to fail only there.
        run_planned(dataset, tmp_path / executor, words, tmp_path)
        folder = StudyFolder(tmp_path / executor)
        failed = {
            f.loss: (f.reason, f.detail, f.remedy, "Traceback" in f.log) for f in folder.failed().values()
        }
        found[executor] = failed, contents(folder.path)
    assert found["ray"] == found["processes"]
    assert {reason for reason, *_ in found["ray"][0].values()} == {"crashed", "worker died", "diverged"}
    assert "my last words" in str(found["ray"][0].values())
    assert len(found["ray"][1]) == 6


def run_planned(dataset, out, words, place) -> None:
    """Run without the trial step of the estimate, which would stop before anything is trained."""
    script = place / "script.py"
    script.write_text(
        "import sys\nfrom segstudy.study import estimate\n"
        "real = estimate.timed_step\n"
        "def timed(configuration, machine):\n"
        "    return real(configuration.model_copy(update={'loss': 'bce'}), machine)\n"
        "estimate.timed_step = timed\n"
        "from segstudy.__main__ import main\nsys.argv = ['segstudy', *sys.argv[1:]]\nmain()\n"
    )
    words = [sys.executable, "-P", str(script), *command(dataset, out, *words)[4:]]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr


def test_data_that_were_altered_on_a_machine_are_sent_again(dataset, machines, tmp_path):
    where = ["--executor", "ray", "--ray-address", machines.address, "--epochs", "1"]
    run(dataset, tmp_path / "first", "--loss", "bce,dice", *where)
    arrays = list(machines.folder.glob("cache-machine*/prepared/*/images.npy"))
    assert arrays
    for file in arrays:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    run(dataset, tmp_path / "second", "--loss", "bce,dice", *where)
    assert contents(tmp_path / "second") == contents(tmp_path / "first")
    assert all(file.read_bytes()[-1] == content[-1] ^ 1 for file in arrays)
    assert not list(machines.folder.glob("cache-*/ray/*"))  # nothing else stays on a machine


LONG = ["--loss", "bce,dice,focal", "--epochs", "400", "--executor", "ray", "--workers", "2"]


@pytest.fixture
def of_its_own(dataset, tmp_path):
    """A study on a cluster that it starts itself: the process, its folder, and what it has started."""
    process = subprocess.Popen(
        command(dataset, tmp_path / "study", *LONG),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "RAY_ADDRESS": "local"},
        start_new_session=True,
    )
    end = time.monotonic() + 240
    while not list((tmp_path / "study").glob("checkpoints/*/*.state")):
        assert process.poll() is None, process.stderr.read()  # type: ignore[union-attr]
        assert time.monotonic() < end
        time.sleep(0.1)
    started = psutil.Process(process.pid).children(recursive=True)
    assert any("raylet" in each.name() for each in started)
    yield process, tmp_path / "study", started
    process.kill()
    process.wait()
    assert process.stderr is not None
    process.stderr.close()


def test_ctrl_c_saves_says_how_to_continue_and_leaves_no_process(dataset, of_its_own):
    process, study, started = of_its_own
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "started and saved; continue with: segstudy run" in said
    assert "Traceback" not in said
    assert len(list(study.glob("checkpoints/*/*.state"))) >= 2
    assert not list(study.glob("failures/*"))
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not alive


def test_a_second_ctrl_c_stops_at_once(of_its_own):
    process, _, started = of_its_own
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.05)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not alive


def test_no_process_outlives_a_head_that_is_killed(of_its_own):
    """Ray's two agents look after their raylet only every two seconds, and then for a minute for the head."""
    process, study, started = of_its_own
    training = [each for each in started if "worker_process" in " ".join(each.cmdline())]
    agents = [each for each in started if "Agent" in each.name()]
    assert training
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(training, timeout=5)
    assert not alive
    _, alive = psutil.wait_procs([each for each in started if each not in agents], timeout=20)
    assert not alive
    _, alive = psutil.wait_procs(agents, timeout=150)
    assert not alive
    assert not any("." not in run.name for run in study.glob("runs/*"))


def test_a_run_waits_for_a_machine_that_has_its_cores(dataset, machines, tmp_path):
    where = ["--ray-address", machines.address, "--executor", "ray", "--loss", "bce", "--epochs", "1"]
    words = command(dataset, tmp_path / "study", *where)
    words[words.index("--threads") + 1] = "2"  # two cores, and each machine has one
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "waiting for one that joins" in line:
            break
    else:
        raise AssertionError(said)
    assert "no machine of the cluster has 2 CPUs" in said
    machines.cluster.add_node(num_cpus=2)
    process.communicate(timeout=240)
    assert process.returncode == 0
    (record,) = (json.loads(file.read_text()) for file in (tmp_path / "study").glob("runs/*/run.json"))
    assert record["environment"]["threads"] == 2


def test_a_machine_without_space_for_the_data_is_not_used(dataset, tmp_path):
    machines = Machines(tmp_path / "machines", 0)
    try:
        machines.cluster.add_node(num_cpus=1, env_vars={"SEGSTUDY_CACHE": "/dev/null/cache"})
        where = [
            "--executor",
            "ray",
            "--ray-address",
            machines.address,
            "--epochs",
            "1",
            "--loss",
            "bce,dice",
        ]
        said = run(dataset, tmp_path / "study", *where, code=2)
        assert "is not used: the data cannot be stored there" in said
        assert "no machine of the cluster can train" in said
        machines.join()
        run(dataset, tmp_path / "study", *where)
        assert len(list((tmp_path / "study").glob("runs/*"))) == 2
    finally:
        machines.shutdown()


def test_a_machine_that_cannot_start_segstudy_is_named_and_left_out(dataset, tmp_path):
    """Ray's own table must say on which machine a place failed: no code of ours ran there."""
    broken = tmp_path / "broken" / "segstudy"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('segstudy is half installed')")
    machines = Machines(tmp_path / "machines", 0)
    try:
        machines.cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(broken.parent)})
        where = ["--executor", "ray", "--ray-address", machines.address, "--epochs", "1"]
        words = [*where, "--loss", "bce,dice"]
        said = run(dataset, tmp_path / "study", *words, code=2)
        assert "no machine of the cluster can train" in said
        assert "no worker starts there" in said
        assert "segstudy is half installed" in said
        machines.join()
        said = run(dataset, tmp_path / "study", *words)
        assert len(list((tmp_path / "study").glob("runs/*"))) == 2
    finally:
        machines.shutdown()
