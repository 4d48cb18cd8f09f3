"""Train a study's runs on a machine that has neither the data set nor a shared disk.

    python benchmarks/jobs_elsewhere.py plan study.toml FOLDER            # where the data are
    python benchmarks/jobs_elsewhere.py train FOLDER --workers 8 --minutes 9   # on the other machine
    segstudy report FOLDER/study                                          # where the data are

``plan`` writes the study's folder, the data at network size and the jobs, as `segstudy run` would have
them; ``train`` gives the jobs to the executor of `segstudy run`. Runs are stored as everywhere, whole or not
at all, and the same command continues after an interruption. FOLDER holds all that must be copied.
"""

import argparse
import json
import shutil
import threading
import time
from pathlib import Path

from segstudy.config.study_file import load
from segstudy.store.folder import StudyFolder
from segstudy.training.executors import executor_named
from segstudy.training.executors.base import Watch
from segstudy.training.job import Job


def plan(study_file: Path, folder: Path) -> None:
    """Write the study's folder, the prepared data and the jobs of all missing runs."""
    from segstudy.study.execution import jobs_of
    from segstudy.study.machine import choose_machine  # they need more packages than training
    from segstudy.study.plan import make_plan, missing_runs, preregister, write_plan

    made = make_plan(load(study_file), machine := choose_machine("cpu"))
    study = StudyFolder(folder / "study")
    write_plan(made, study)
    jobs = jobs_of(made, missing_runs(made, study), study, machine)
    preregister(made, study)
    for prepared in {job.prepared for job in jobs}:
        shutil.copytree(prepared, folder / "prepared" / prepared.name, dirs_exist_ok=True)
    (folder / "jobs.json").write_text(json.dumps([job.model_dump(mode="json") for job in jobs]))
    print(f"{len(jobs)} jobs in {folder / 'jobs.json'}")


def train(folder: Path, asked: argparse.Namespace) -> None:
    """Train the jobs whose runs are not stored, in their order, until the time is over."""
    study = StudyFolder((folder / "study").resolve())
    moved = {
        "study": study.path,
        "device": asked.device,
        "threads": asked.threads,
        "checkpoint_every": asked.checkpoint_every,
    }
    jobs = [Job.model_validate(job) for job in json.loads((folder / "jobs.json").read_text())]
    jobs = [
        job.model_copy(update={**moved, "prepared": (folder / "prepared" / job.prepared.name).resolve()})
        for job in jobs
        if not study.is_finished(job.run.key)
    ]
    watch, start = Watch(), time.perf_counter()
    timer = threading.Timer(60 * asked.minutes, watch.stop.set) if asked.minutes else None
    if timer:
        timer.start()
    for outcome in executor_named("processes").train(jobs, asked.workers, watch):
        name = next(job.name for job in jobs if job.run.key == outcome.key)
        minutes = (time.perf_counter() - start) / 60
        print(f"{minutes:6.2f} min  {outcome.status}  {name}  {outcome.reason or ''} {outcome.detail or ''}")
    if timer:
        timer.cancel()
    print(f"{len(jobs)} jobs; {(time.perf_counter() - start) / 60:.2f} min")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    planning = commands.add_parser("plan")
    planning.add_argument("study", type=Path)
    planning.add_argument("folder", type=Path)
    training = commands.add_parser("train")
    training.add_argument("folder", type=Path)
    training.add_argument("--device", default="cuda")
    training.add_argument("--workers", type=int, default=1)
    training.add_argument("--threads", type=int, default=1)
    training.add_argument("--checkpoint-every", type=int, default=1)
    training.add_argument("--minutes", type=float, default=0, help="stop then, after the epoch; 0: never")
    asked = parser.parse_args()
    if asked.command == "plan":
        plan(asked.study, asked.folder)
    else:
        train(asked.folder, asked)


if __name__ == "__main__":
    main()
