"""Training what a study lacks, under its lock, and its report at the end."""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from segstudy import config
from segstudy.display import Display, duration
from segstudy.errors import Stopped, UserError
from segstudy.estimate import Estimate, estimate
from segstudy.executors import EXECUTORS, Watch
from segstudy.interruption import asked_to_stop
from segstudy.locks import hold, is_held
from segstudy.occupancy import refuse_occupied
from segstudy.receipt import receipts, write_receipts
from segstudy.reporting.page import write_report
from segstudy.request import MACHINE_OPTIONS
from segstudy.stages import Stage, silent
from segstudy.store import StudyFolder
from segstudy.study import Machine, Plan, choose_machine, jobs_of, make_plan, missing_runs, write_plan

ASK_ABOVE_HOURS = 2.0


def train_missing(  # noqa: PLR0913 (what a call of `run` says)
    asked: config.Study,
    folder: StudyFolder,
    options: Mapping[str, Any],
    *,
    retry: bool,
    images: bool,
    confirm: Callable[[Estimate], bool],
    display: Display,
) -> None:
    """Train every run of a study that is not stored yet, then write the report; as ``segstudy.run``."""
    began_ns = time.time_ns()
    plan, machine, missing = planned(asked, folder, options, retry, refuse_held=True, stage=display.stage)
    folder.refuse_unwritable()
    display.plan(plan.overview(), len(missing))
    display.unnamed(len(folder.finished() - {run.key for run in plan.runs}))
    if missing:
        ahead = estimate(plan, missing, machine, fit_memory=not options.get("workers"), stage=display.stage)
        machine = replace(machine, workers=ahead.workers)
        display.estimate(ahead, machine)
        if ahead.hours > ASK_ABOVE_HOURS and not confirm(ahead):
            raise UserError(
                f"about {duration(ahead.hours * 3600)} are ahead: --yes, in Python yes=True, goes on "
                "without asking"
            )
    with hold(folder.lock, "this study"):
        finished = folder.finished()  # perhaps by whoever held the lock before
        folder.tidy()
        refuse_occupied(plan, folder)  # perhaps another study by now
        write_plan(plan, folder)
        keys = [run.key for run in plan.runs]
        made = receipts(asked, folder, plan.dataset.samples, keys, plan.overview(), began_ns)
        _train(plan, [run for run in missing if run.key not in finished], folder, machine, display)
        folder.tidy()
        if missing or not (folder.path / "report.html").is_file():
            display.stage("writing the report", 0, 0)
            write_report(folder, images)
        if folder.finished().issuperset(keys):
            write_receipts(made)


def _train(
    plan: Plan, missing: Sequence[config.Run], folder: StudyFolder, machine: Machine, display: Display
) -> None:
    """Train, show it, and stop when asked to.

    Raises:
        Stopped: before all was trained.
    """
    try:
        with asked_to_stop(display.stopping) as stop:
            watch = Watch(display.epoch, display.say, stop)
            done = 0
            jobs = jobs_of(plan, missing, folder, machine, display.stage)
            display.start(len(missing))
            for outcome in EXECUTORS[machine.executor](jobs, machine.workers, watch):
                done += outcome.status != "stopped"
                display.outcome(outcome, done, len(missing))
    finally:
        display.stop()
    if stop.signal is not None and done < len(missing):
        num_finished = len(folder.finished() & {run.key for run in plan.runs})
        finished = f"{num_finished} of {len(plan.runs)} runs are finished"
        raise Stopped(
            f"{finished}, those begun are saved; go on with: segstudy run {shlex.quote(str(folder.path))}",
            stop.signal,
        )


def planned(
    asked: config.Study,
    folder: StudyFolder,
    options: Mapping[str, Any],
    retry: bool = False,
    refuse_held: bool = False,
    stage: Stage = silent,
) -> tuple[Plan, Machine, list[config.Run]]:
    """The plan of a study, where it would be trained, and which of its runs are not stored yet.

    Raises:
        UserError: a wrong call, study file or data set; somebody at work on it, if that is to be refused.
    """
    for path in (asked.data, str(folder.path)):
        if any("\ud800" <= character <= "\udfff" for character in path):
            raise UserError(
                f"{path}: is not in UTF-8, so that it could not be written down; rename the folder"
            )
    if refuse_held and is_held(folder.lock):
        with hold(folder.lock, "this study"):  # says who holds it, before data are read
            pass
    named = {name: options[name] for name in MACHINE_OPTIONS if options.get(name) is not None}
    machine = choose_machine(**named)
    made = make_plan(asked, machine, folder.read_json("data.json"), stage)
    refuse_occupied(made, folder)
    return made, machine, missing_runs(made, folder, retry)
