"""A study on a Ray cluster that loses machines ends byte for byte as one that was trained here in peace.

    python tests/chaos_on_ray.py --kills 3

The cluster has four machines of one core: Ray's own processes for each, on this machine, each with a cache of
its own. While the study is trained, machines are killed (SIGKILL of the raylet and all its workers at once),
one joins, and the process that gives the runs, ``segstudy run``, is killed once and started again. Losses of
the user's own, which travel with the runs, count how often they are computed: so all epochs that were trained
are counted, also those that were lost.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table
from small import write_dataset

from segstudy.core.libraries import ray as import_ray

MACHINES = 4
SEEDS = 4
RUNS = 2 * 3 * SEEDS  # two architectures, three losses
LOSS = """
import os
import sys

from segstudy import losses


def counted(loss):
    def own(logits, target):
        if not any("worker_process" in word for word in sys.orig_argv):
            return loss(logits, target)  # a trial step of the estimate
        log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, b".")
        os.close(log)
        return loss(logits, target)

    return own


bce, dice, focal = counted(losses.bce), counted(losses.dice), counted(losses.focal)
"""
LOSSES = ("bce", "dice", "focal")


class Machines:
    """A Ray cluster on this machine: a head without cores, and machines that can be killed."""

    def __init__(self, folder: Path, num: int, cpus: int = 1):
        import_ray()
        from ray.cluster_utils import Cluster

        self.folder, self._cpus, self._joined = folder, cpus, 0
        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": False, "env_vars": self._env("head")},
        )
        self.nodes: list[Any] = []
        for _ in range(num):
            self.join()

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def _env(self, name: str) -> dict[str, str]:
        return {"SEGSTUDY_CACHE": str(self.folder / f"cache-{name}"), "RAY_USAGE_STATS_ENABLED": "0"}

    def join(self) -> None:
        """A further machine, which has none of the data."""
        name = f"machine{self._joined}"
        self._joined += 1
        self.nodes.append(self.cluster.add_node(num_cpus=self._cpus, env_vars=self._env(name)))

    def processes(self, node: Any) -> list[psutil.Process]:
        """The raylet of a machine, and all that it has started."""
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        return [raylet, *raylet.children(recursive=True)]

    def at_work(self) -> list[Any]:
        """The machines on which a run is being trained."""
        return [
            node
            for node in self.nodes
            if any("worker_process" in " ".join(_words(each)) for each in self.processes(node))
        ]

    def kill(self, node: Any) -> None:
        """End a machine as a power cut would."""
        for process in self.processes(node):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.nodes.remove(node)

    def shutdown(self) -> None:
        self.cluster.shutdown()


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@dataclass
class Chaos:
    """A study that is trained while machines die.

    Attributes:
        command: of ``segstudy run``, without ``--out`` and what follows.
        folder: of the study.
        machines: of the cluster.
        epochs: of each run.
        said: what the command printed, of all its starts.
        happened: what was done to it, in words.
    """

    command: list[str]
    folder: Path
    machines: Machines
    epochs: int
    said: Path
    happened: list[str] = field(default_factory=list)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with self.said.open("ab") as said:
            where = ["--out", str(self.folder), "--ray-address", self.machines.address]
            self.process = subprocess.Popen(
                [*self.command, *where, "--executor", "ray"], stdout=said, stderr=said
            )

    def saved_frac(self) -> float:
        """Which part of all epochs no kill can take away any more."""
        finished = {run.name for run in self.folder.glob("runs/*") if "." not in run.name}
        try:
            states = sorted(self.folder.glob("checkpoints/*/*.state"))
        except FileNotFoundError:  # a run ended just then
            return self.saved_frac()
        newest = {state.parent.name: int(state.stem) for state in states}
        partly = sum(epoch for key, epoch in newest.items() if key not in finished)
        return (len(finished) * self.epochs + partly) / (RUNS * self.epochs)

    def wait_until(self, condition: Callable[[], object], timeout_s: float = 600) -> bool:
        """Wait while the study is trained; False if it ended before."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert self.process is not None
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < end, self.said.read_text()[-2000:]
            time.sleep(0.02)
        return True

    def kill_machine(self, draws: random.Random) -> None:
        if self.wait_until(self.machines.at_work):
            node = draws.choice(self.machines.at_work() or self.machines.nodes)
            self.machines.kill(node)
            self.happened.append(f"machine killed at {self.saved_frac():.0%}")

    def kill_head(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.happened.append(f"segstudy run killed and started again at {self.saved_frac():.0%}")
        self.start()

    def join(self) -> None:
        self.machines.join()
        self.happened.append(f"machine joined at {self.saved_frac():.0%}")


def files(folder: Path) -> dict[str, bytes]:
    """Every file of every run but run.json, and what was planned."""
    found = [path for path in folder.glob("runs/*/*") if path.name != "run.json"]
    found += [folder / name for name in ("study.toml", "split.json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def different(a: dict[str, bytes], b: dict[str, bytes]) -> list[str]:
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def command(data: Path, own: Path, epochs: int) -> list[str]:
    options = {
        "--architecture": "unet,segnet",
        "--loss": ",".join(f"{own}:{loss}" for loss in LOSSES),
        "--seeds": str(SEEDS),
        "--epochs": str(epochs),
        "--image-size": "48",
        "--width": "4",
        "--batch-size": "8",
        "--threads": "1",
        "--checkpoint-every": "1",
    }
    words = [word for option in options.items() for word in option]
    return [sys.executable, "-P", "-m", "segstudy", "run", str(data), *words, "--set", "record_test=false"]


def chaos(folder: Path, kills: int, seed: int = 0, epochs: int = 12) -> dict[str, object]:
    """Train a study by each executor, on the cluster under kills, and compare; what was counted, by name."""
    os.environ["SEGSTUDY_CACHE"] = str(folder / "cache")
    data, log, own = write_dataset(folder / "set", n=24), folder / "steps", folder / "own.py"
    own.write_text(LOSS.format(log=str(log)))
    words, found = command(data, own, epochs), {}
    for executor in ("serial", "processes"):
        began = time.monotonic()
        out = ["--out", str(folder / executor), "--executor", executor]
        subprocess.run([*words, *out], check=True, capture_output=True)
        found[executor] = f"{time.monotonic() - began:.0f}"
    needed = log.stat().st_size  # of `processes`: only worker processes count
    log.unlink()
    machines = Machines(folder, MACHINES)
    try:
        began = time.monotonic()
        siege = Chaos(words, folder / "ray", machines, epochs, folder / "said.txt")
        siege.start()
        _besiege(siege, kills, random.Random(seed))
        assert siege.process is not None
        code = siege.process.wait()
        found["ray"] = f"{time.monotonic() - began:.0f}"
    finally:
        machines.shutdown()
    said = siege.said.read_text()
    trained = log.stat().st_size
    serial = files(folder / "serial")
    return {
        "runs": len(list((folder / "ray").glob("runs/*"))),
        "what happened": siege.happened,
        "exit code": code,
        "seconds: serial, processes, ray": ", ".join(found.values()),
        "runs moved to another machine": said.count("the run continues on another machine"),
        "of these from the start": said.count("on another machine, from the start"),
        "runs continued from a saved state": said.count("continues after epoch"),
        "epochs trained / epochs needed": round(trained / needed, 4),
        "files compared": len(serial),
        "files that differ, processes": different(serial, files(folder / "processes")),
        "files that differ, ray": different(serial, files(folder / "ray")),
        "failures": [file.name for file in (folder / "ray").glob("failures/*")],
    }


def _besiege(siege: Chaos, kills: int, draws: random.Random) -> None:
    """Kill machines and the head, and let one join, spread over the training."""
    acts: list[Callable[[], None]] = [lambda: siege.kill_machine(draws)] * kills
    if kills:
        acts[1:1] = [siege.join]
        acts[3:3] = [siege.kill_head]
    for number, act in enumerate(acts, 1):
        due = (number - 0.5 + draws.uniform(-0.3, 0.3)) / (len(acts) + 1)
        if not siege.wait_until(lambda due=due: siege.saved_frac() >= due):  # type: ignore[misc]
            break
        act()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=3, help="of machines; 0: nothing happens")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a new folder for all studies, which stays")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = (options.keep or Path(tempfile.mkdtemp())).resolve()
    folder.mkdir(exist_ok=True)
    try:
        counted = chaos(folder, options.kills, options.seed, options.epochs)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    table = Table("counted", "", title="a study on Ray while machines die")
    for name, value in counted.items():
        table.add_row(name, "; ".join(value) or "none" if isinstance(value, list) else str(value))
    Console().print(table)
    wrong = ("files that differ, processes", "files that differ, ray", "failures", "exit code")
    sys.exit(any(counted[name] for name in wrong))


if __name__ == "__main__":
    main()
