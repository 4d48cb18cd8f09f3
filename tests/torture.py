"""One small study, hit by SIGKILLs all the time it runs, ends byte for byte as if nothing had happened.

    python tests/torture.py --kills 100

A study is trained once in peace and once under fire. The kills are spread evenly over its training (by epochs
finished and saved), and after each the study is started again. Four kinds, in random order:

- mid-epoch: the `segstudy run` process, while its workers train and nothing is being written;
- write: the worker that is writing, and its caller; counted only if half a file or folder is left as proof;
- worker: a worker alone; its caller lives, writes the failure down and goes on;
- start: the `segstudy run` process before it trains.

After each kill of a caller none of its workers may live longer than 5 s. In the end every file but run.json
is compared, and what a report derives from run.json (times) after giving both studies the same run.json.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table
from small import write_dataset

EPOCHS = 24
ARCHITECTURES, LOSSES = ("unet", "segnet"), ("bce", "dice", "tversky")
RUNS = len(ARCHITECTURES) * len(LOSSES)
SURVIVAL_S = 5.0
SHARES = {"write": 0.25, "worker": 0.32, "start": 0.05}  # of all kills; the others hit in mid-epoch
DERIVED = ("report.html", "leaderboard.csv", "reports.json", "forecast.json")  # and figures/: they hold times
OF_ITS_TIME = ("run.json", "preregistration.json", *DERIVED)  # differ without any difference of results


@dataclass
class Siege:
    """What has happened so far."""

    data: Path
    folder: Path
    epochs: int
    draws: random.Random
    process: "subprocess.Popen[bytes] | None" = None
    hits: Counter[str] = field(default_factory=Counter)
    progress: list[float] = field(default_factory=list)
    starts: int = 0
    survivors: int = 0
    unproven: int = 0

    @property
    def total(self) -> int:
        return self.epochs * RUNS

    def saved(self) -> int:
        """Epochs that no kill can take away any more."""
        finished = [run for run in self.folder.glob("runs/*") if "." not in run.name]
        newest = {
            state.parent.name: int(state.stem) for state in sorted(self.folder.glob("checkpoints/*/*.state"))
        }
        open_runs = {key: epoch for key, epoch in newest.items() if not (self.folder / "runs" / key).exists()}
        return self.epochs * len(finished) + sum(open_runs.values())


def command(data: Path, folder: Path, epochs: int) -> list[str]:
    options = {
        "--out": str(folder),
        "--architecture": ",".join(ARCHITECTURES),
        "--loss": ",".join(LOSSES),
        "--epochs": str(epochs),
        "--image-size": "64",
        "--width": "10",
        "--batch-size": "8",
        "--executor": "processes",
        "--workers": "2",
        "--threads": "1",
    }
    words = [word for option in options.items() for word in option]
    return [sys.executable, "-m", "segstudy", "run", str(data), *words]


def being_written(folder: Path) -> list[Path]:
    return [*folder.glob("checkpoints/*/*.new"), *folder.glob("runs/*.partial")]


def start(siege: Siege) -> psutil.Process:
    """The study's process, started if it is not running."""
    if siege.process is None or siege.process.poll() is not None:
        siege.starts += 1
        log = (siege.folder.parent / "said.txt").open("ab")
        siege.process = subprocess.Popen(
            command(siege.data, siege.folder, siege.epochs), stdout=log, stderr=log
        )
        log.close()
    return psutil.Process(siege.process.pid)


def wait_until(siege: Siege, condition: Callable[[], object], pause_s: float = 0.01) -> bool:
    """Wait while the study is trained, started again whenever it ends; False when all is done."""
    while not condition():
        if siege.saved() == siege.total and not being_written(siege.folder):
            return False
        start(siege)
        time.sleep(pause_s)
    return True


def kill_caller(siege: Siege, also: psutil.Process | None = None) -> None:
    """Kill the study's process, after a worker of it if one is given, and see who lives on."""
    caller = start(siege)
    workers = caller.children(recursive=True)
    for process in filter(None, (also, caller)):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert siege.process is not None
    siege.process.wait()
    _, alive = psutil.wait_procs(workers, timeout=SURVIVAL_S)
    siege.survivors += sum(is_alive(worker) for worker in alive)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def training(siege: Siege) -> list[psutil.Process]:
    """The workers that hold a run's lock at this moment."""
    found = []
    for lock in siege.folder.glob("locks/*"):
        process = holder_of(lock)
        with suppress(psutil.NoSuchProcess):
            if process and siege.process and process.ppid() == siege.process.pid and is_alive(process):
                found.append(process)
    return found


def holder_of(lock: Path) -> psutil.Process | None:
    try:
        return psutil.Process(json.loads(lock.read_text())["pid"])
    except (OSError, ValueError, psutil.NoSuchProcess):  # let go of, being signed, or dead
        return None


def hit_mid_epoch(siege: Siege) -> bool:
    before = siege.saved()
    if not wait_until(siege, lambda: siege.saved() > before and training(siege)):
        return False
    time.sleep(siege.draws.uniform(0.0, 0.15))
    if not wait_until(siege, lambda: training(siege) and not being_written(siege.folder), pause_s=0.0):
        return False
    kill_caller(siege)
    if being_written(siege.folder):  # it began to write just then: what was asked for is not proven
        siege.unproven += 1
        return hit_mid_epoch(siege)
    return True


def hit_write(siege: Siege) -> bool:
    if not wait_until(siege, lambda: training(siege)):
        return False
    for left in being_written(siege.folder):  # of the kill before
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    if not wait_until(siege, lambda: being_written(siege.folder), pause_s=0.0):
        return False
    half = next(iter(being_written(siege.folder)), None)
    key = half and (half.parent.name if half.suffix == ".new" else half.stem)
    writer = holder_of(siege.folder / "locks" / key) if key else None
    kill_caller(siege, also=writer)
    if not being_written(siege.folder):
        siege.unproven += 1
        return hit_write(siege)
    return True


def hit_worker(siege: Siege) -> bool:
    if not wait_until(siege, lambda: training(siege)):
        return False
    time.sleep(siege.draws.uniform(0.0, 0.4))
    workers = training(siege)
    if not workers:
        return hit_worker(siege)
    siege.draws.choice(workers).kill()
    time.sleep(0.2)
    assert siege.process is not None
    assert siege.process.poll() in (None, 1), "the caller died with its worker"
    return True


def hit_start(siege: Siege) -> bool:
    if siege.process is not None and siege.process.poll() is None:
        if not wait_until(siege, lambda: training(siege)):
            return False
        kill_caller(siege)
    start(siege)
    time.sleep(siege.draws.uniform(0.1, 2.5))
    kill_caller(siege)
    return True


HITS = {"mid-epoch": hit_mid_epoch, "write": hit_write, "worker": hit_worker, "start": hit_start}


def besiege(siege: Siege, kills: int) -> None:
    """Hit the study so often while it is trained, then let it finish."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(max(1, round(share * kills)))]
    kinds += ["mid-epoch"] * (kills - len(kinds))
    siege.draws.shuffle(kinds)
    for number, kind in enumerate(kinds, 1):
        due = siege.total * number / (kills + 2)
        if not wait_until(siege, lambda due=due: siege.saved() >= due):  # type: ignore[misc]
            break
        if not HITS[kind](siege):
            break
        siege.hits[kind] += 1
        siege.progress.append(siege.saved() / siege.total)
    for _ in range(4):  # runs whose worker was killed are failures until the next start
        start(siege)
        assert siege.process is not None
        if siege.process.wait() == 0:
            return
    raise SystemExit("the study did not end well")


def files(folder: Path) -> dict[str, bytes]:
    """Every file but run.json and what a report makes of it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in OF_ITS_TIME and path.parent.name != "figures"
    }


def reported(folder: Path, like: Path) -> dict[str, bytes]:
    """All files of a copy of a study, after a report on it with the run.json of another."""
    copy = folder.with_name(f"{folder.name}-reported")
    shutil.copytree(folder, copy)
    for name in ("reports.json", "forecast.json", "preregistration.json"):
        shutil.copy(like / name, copy / name)
    for record in like.glob("runs/*/run.json"):
        shutil.copy(record, copy / "runs" / record.parent.name / "run.json")
    subprocess.run([sys.executable, "-m", "segstudy", "report", copy], check=True, stdout=subprocess.DEVNULL)
    return {str(p.relative_to(copy)): p.read_bytes() for p in sorted(copy.rglob("*")) if p.is_file()}


def resumed_runs(folder: Path) -> tuple[int, int]:
    """Runs that were resumed, and how often."""
    sessions = [len(json.loads(file.read_text())["resumed"]) for file in folder.glob("runs/*/run.json")]
    return sum(map(bool, sessions)), sum(sessions)


def different(a: dict[str, bytes], b: dict[str, bytes]) -> list[str]:
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def torture(kills: int, folder: Path, seed: int = 0, epochs: int = EPOCHS) -> dict[str, object]:
    """Train a study in peace and under fire, and compare; what was counted, by name."""
    data = write_dataset(folder / "set", n=48)
    peace, fire = folder / "peace" / "study", folder / "fire" / "study"
    peace.parent.mkdir()
    fire.parent.mkdir()
    os.environ["SEGSTUDY_CACHE"] = str(folder / "cache")
    began = time.monotonic()
    subprocess.run(command(data, peace, epochs), check=True, capture_output=True)
    peace_s = time.monotonic() - began
    siege = Siege(data, fire, epochs, random.Random(seed))
    besiege(siege, kills)
    under_fire_s = time.monotonic() - began - peace_s
    runs, sessions = resumed_runs(fire)
    a, b = files(peace), files(fire)
    c, d = reported(peace, like=peace), reported(fire, like=peace)
    deciles = Counter(min(9, int(10 * fraction)) for fraction in siege.progress)
    return {
        "kills": siege.hits.total(),
        **{f"kills, {kind}": siege.hits[kind] for kind in HITS},
        "kills by tenth of the training": " ".join(str(deciles[tenth]) for tenth in range(10)),
        "kills not counted, for want of proof": siege.unproven,
        "starts": siege.starts,
        "processes that outlived their caller by 5 s": siege.survivors,
        "runs resumed": f"{runs} of {RUNS}, {sessions} times",
        "seconds in peace, under fire": f"{peace_s:.0f}, {under_fire_s:.0f}",
        "files compared": len(a.keys() | b.keys()),
        "files that differ": different(a, b),
        "files compared after a report on the same run.json": len(c.keys() | d.keys()),
        "files that differ then": different(c, d),
    }


def failed(counted: dict[str, object], kills: int) -> bool:
    return bool(
        counted["files that differ"]
        or counted["files that differ then"]
        or counted["processes that outlived their caller by 5 s"]
        or counted["kills"] != kills
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a new folder for both studies, which stays")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = options.keep or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    try:
        counted = torture(options.kills, folder, options.seed)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    table = Table("counted", "", title="torture")
    for name, value in counted.items():
        table.add_row(name, ", ".join(value) or "none" if isinstance(value, list) else str(value))
    Console().print(table)
    sys.exit(failed(counted, options.kills))


if __name__ == "__main__":
    main()
