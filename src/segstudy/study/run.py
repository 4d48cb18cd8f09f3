"""The command ``run``: train the missing runs of a study under its lock, then write the report."""

import shlex
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segstudy.config.check_command import check_command
from segstudy.config.runs import Run
from segstudy.config.study import Study
from segstudy.core.errors import Stopped, UserError
from segstudy.core.locks import hold, is_held
from segstudy.core.progress import Stage, silent
from segstudy.core.quantities import counted
from segstudy.core.signals import Stop, asked_to_stop, noting, stopped_at
from segstudy.data.leakage import refuse_leaks
from segstudy.deploy.predict.best_run import convert_best
from segstudy.reporting.page import write_report
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import Looks, looks_of
from segstudy.store.report_coverage import is_current
from segstudy.store.tidying import tidy
from segstudy.study.choices import Choice, as_asked, quicker, refusal
from segstudy.study.dropped_configurations import describe_dropped
from segstudy.study.duration import write_forecast
from segstudy.study.earlier_versions import num_of_earlier_versions
from segstudy.study.estimate import Estimate, estimate
from segstudy.study.execution import jobs_of
from segstudy.study.findings import refuse_empty
from segstudy.study.folder_check import refuse_occupied
from segstudy.study.hardware import HardwareWatch, hardware_of
from segstudy.study.look_plans import begin, needed, seed_plan_for
from segstudy.study.look_requests import Request
from segstudy.study.machine import Machine, choose_machine
from segstudy.study.options import MACHINE_OPTIONS
from segstudy.study.plan import Plan, make_plan, missing_runs, preregister, write_plan
from segstudy.study.remaining_time import seconds_of
from segstudy.study.trackers import TRACKERS, StudyStart, Tracker, Trackers
from segstudy.study.trackers.silent_runs import SilentRuns
from segstudy.study.trackers.terminal import Display
from segstudy.study.until_settled import Trainer, until_settled
from segstudy.study.up_to_date import records, write_records
from segstudy.training.executors import executor_named
from segstudy.training.executors.base import Watch
from segstudy.training.failures import REMEDIES
from segstudy.training.job import Job, Outcome
from segstudy.training.worker import failure

ASK_ABOVE_HOURS = 2.0
# What else is stored with a finished run: see ``training.job.Job``.
EXTRA = "segstudy.deploy.export.own_networks:own_onnx"


@dataclass(frozen=True)
class Call:
    """A call of ``run``.

    Attributes:
        source: a study file, a data set's folder, a study's folder, or None.
        options: of the study and of the machine.
        study: of source and options.
        folder: of the study.
        retry: also runs that diverged before.
        images: whether the report may show pictures of the data.
        trackers: where the progress is shown or logged.
        sequential: what is asked of a sequential study; None if the seeds are fixed.
    """

    source: str | Path | None
    options: Mapping[str, Any]
    study: Study
    folder: StudyFolder
    retry: bool = False
    images: bool = True
    trackers: tuple[Tracker, ...] = tuple(each for each in TRACKERS.values() if each.is_display)
    sequential: Request | None = None

    @property
    def max_hours(self) -> float:
        """When to stop for this time."""
        limit = self.sequential.max_hours if self.sequential else None
        return float("inf") if limit is None else limit


Choose = Callable[[Sequence[Choice]], Choice | None]


def train_missing(
    call: Call, confirm: Callable[[Estimate], bool] | None, choose: Choose | None, display: Display
) -> StudyFolder:
    """Train every run of a study that is not stored yet, then write the report; as ``segstudy.run``.

    Args:
        call: of ``run``.
        confirm: called before a long training.
        choose: picks one of several studies there, or none.
        display: shows the plan and asks questions; it is also the tracker with ``is_display``.

    Returns:
        The folder of the requested study, or of the one that was chosen instead.

    Raises:
        Stopped: before all was trained and reported.
    """
    began_ns = time.time_ns()
    with noting("nothing was trained, and nothing was written"):
        machine, chosen = _prospect(call, display)
        hours = min(chosen.ahead.hours, call.max_hours)
        if hours > ASK_ABOVE_HOURS and not (confirm is not None and confirm(chosen.ahead)):
            chosen = _chosen(chosen, call, machine, choose, display)
        chosen.folder.refuse_unwritable()
    _carry_through(chosen, replace(machine, workers=chosen.ahead.workers), call, began_ns, display)
    return chosen.folder


def _prospect(call: Call, display: Display) -> tuple[Machine, Choice]:
    """Show the requested study with its plan and cost, and return it as a choice."""
    asked, folder, options = call.study, call.folder, call.options
    _refuse_unnamed_margin(call)
    plan, machine, missing = planned(
        asked, folder, options, call.retry, refuse_held=True, stage=display.stage
    )
    folder.refuse_unwritable()
    seed_plan = seed_plan_for(plan, folder, call.sequential)
    plan, missing = needed(plan, missing, seed_plan)
    display.plan(plan.overview(), len(missing))
    for sentence in seed_plan.outlook(bool(missing)):
        display.say(sentence)
    # A sequential study keeps all its configurations.
    dropped = "" if seed_plan.is_sequential else describe_dropped(folder, plan.runs)
    num_unnamed = len(folder.finished() - {run.key for run in plan.runs}) - plan.num_earlier
    display.unnamed(num_unnamed, folder.path, dropped)
    ahead = estimate(plan, missing, machine, not options.get("workers"), display.stage)
    if missing:
        display.estimate(ahead, replace(machine, workers=ahead.workers))
    return machine, Choice("all of it", "", asked, folder, plan, tuple(missing), ahead, seed_plan)


def _refuse_unnamed_margin(call: Call) -> None:
    """Refuse a call that would change the margin of a study with results without naming it.

    Raises:
        UserError: with both margins.
    """
    folder, asked = call.folder, call.study.margin
    if not folder.exists() or not folder.finished() or (stored := folder.study().margin) == asked:
        return
    if call.options.get("margin") is None and "margin" not in (call.options.get("fields") or {}):
        raise UserError(
            f"margin must stay {stored:g}, because {folder.path} has results, got {asked:g}; to change it "
            f"all the same, name it: --set margin={asked:g} (the report will say so)"
        )


def _chosen(asked: Choice, call: Call, machine: Machine, choose: Choose | None, display: Display) -> Choice:
    """Return the study to train, if the requested one takes long.

    Raises:
        UserError: there is no terminal to choose at.
        Stopped: the user chose none.
    """
    choices = quicker(asked, call.source, call.options, machine, display.stage)
    choices.append(as_asked(asked, call.source, call.options))
    display.choices(choices, numbered=choose is not None)
    if choose is None:
        raise refusal(asked, choices[:-1])
    picked = choose(choices)
    if picked is None:
        raise Stopped("nothing was trained, and nothing was written", signal.SIGINT)
    if picked is not choices[-1]:
        display.plan(picked.plan.overview(), len(picked.missing))
    return picked


def _carry_through(chosen: Choice, machine: Machine, call: Call, began_ns: int, display: Display) -> None:
    """Train under the study's lock, and write the report."""
    plan, folder = chosen.plan, chosen.folder
    with noting("nothing was trained; the study is as it was"), hold(folder.lock, "this study"):
        finished = folder.finished()  # perhaps by the process that held the lock before
        tidy(folder)
        refuse_occupied(plan, folder, call.source)  # another study may be there by now
        with noting("nothing was trained; the plan may be stored; to continue, run the same command again"):
            begin(chosen.seed_plan, folder)  # before study.toml: else the study could go on with fixed seeds
            write_plan(plan, folder)
            keys = [run.key for run in plan.runs]
            made = records(chosen.study, folder, plan.dataset.samples, keys, plan.overview(), began_ns)
        missing = [run for run in chosen.missing if run.key not in finished]
        looks = chosen.seed_plan.looks
        with noting(f"finished runs and saved states are kept; continue with: {_call('run', folder)}"):
            if looks is None:
                _train(chosen, missing, machine, display, _trackers(call, display))
            else:
                display.say(_train_until_settled(chosen, looks, missing, machine, call, display))
        with noting(f"all trained runs are stored; the report is written by {_call('report', folder)}"):
            tidy(folder)
            if chosen.missing or not is_current(folder, call.images):
                display.stage("writing the report", 0, 0)
                write_report(folder, call.images)
            if looks is None and folder.finished().issuperset(keys):
                write_records(made)
    if chosen.missing:
        with noting("all trained runs and the report are stored"):
            convert_best(folder, display.stage)


def _train_until_settled(
    chosen: Choice, looks: Looks, missing: Sequence[Run], machine: Machine, call: Call, display: Display
) -> str:
    """Train a sequential study, stage by stage; return a sentence on its state."""
    folder = chosen.folder
    looks = looks_of(folder, rebuild=True) or looks  # perhaps of the process that held the lock before
    deadline = time.monotonic() + call.max_hours * 3600

    def among(runs: Sequence[Run]) -> list[Run]:
        keys, finished = {run.key for run in runs}, folder.finished()
        return [run for run in missing if run.key in keys and run.key not in finished]

    def train(runs: Sequence[Run]) -> None:
        if left := among(runs):
            _train(chosen, left, machine, display, _trackers(call, display), deadline)

    def seconds(runs: Sequence[Run]) -> float:
        return seconds_of(folder, chosen.ahead.forecast, [run.key for run in among(runs)])

    with noting(f"finished runs and taken looks are kept; continue with: {_call('run', folder)}"):
        return until_settled(chosen.plan, folder, looks, Trainer(train, seconds, display.say, deadline))


def _trackers(call: Call, display: Display) -> Trackers:
    """Return the trackers of the training: the display if it was chosen, and the others."""
    trackers = {each.name: display if each.is_display else each.made() for each in call.trackers}
    chosen = Trackers(trackers)
    return Trackers({**trackers, "silent runs": SilentRuns(chosen.run_notes)})


def _train(
    chosen: Choice,
    missing: Sequence[Run],
    machine: Machine,
    display: Display,
    trackers: Trackers,
    deadline: float = float("inf"),
) -> None:
    """Train, tell the trackers, and stop when asked to, or at the deadline of ``time.monotonic``.

    Raises:
        Stopped: before all was trained.
        UserError: with ``machine.same_hardware``, a run that would have mixed hardware.
    """
    plan, folder, done = chosen.plan, chosen.folder, 0
    hardware = HardwareWatch(folder)
    if missing:
        write_forecast(folder.path, chosen.ahead.forecast)
        hardware = hardware_of(plan, folder, machine)
    if hardware.mixed:
        display.say(f"note: {hardware.mixed}")
    again = f"continue with: {_call('run', folder)}"
    try:
        with (
            asked_to_stop(display.stopping) as stop,
            stopped_at(stop, deadline),
            noting(f"stopped at once: finished runs and saved states are kept; {again}"),
        ):
            jobs = _prepared(chosen, missing, machine, stop, display.stage)
            jobs = [job.model_copy(update={"hardware": hardware.required}) for job in jobs]
            display.stage.end()
            if missing:
                preregister(plan, folder, chosen.seed_plan.looks)
            trackers.study_begins(_start(chosen, missing))
            by_key = {job.run.key: job for job in jobs}
            watch = Watch(
                trackers.run_progresses, trackers.run_notes, stop, trackers.run_begins, trackers.run_waits
            )
            executor, options = executor_named(machine.executor), machine.executor_options
            for outcome in executor.train(jobs, machine.max_workers, watch, options):
                job = by_key[outcome.key]
                done += outcome.status in ("finished", "failed")
                _record_failure(job, outcome)
                trackers.run_ends(job, outcome)
                if line := hardware.run_ended(job, outcome):
                    trackers.run_notes(job, line)
                if hardware.refused:
                    stop.set()
    finally:
        trackers.study_ends()
    hardware.raise_refused()
    _raise_stopped(stop, plan, folder, num_left=len(missing) - done)


def _record_failure(job: Job, outcome: Outcome) -> None:
    """Record a failure that has no record: a disk elsewhere may be full, a plug-in may write none."""
    if outcome.status == "failed" and not (StudyFolder(job.study).failures / f"{outcome.key}.json").exists():
        reason = outcome.reason if outcome.reason in REMEDIES else "crashed"
        failure(job, reason, outcome.detail or "the executor gave no reason")


def _start(chosen: Choice, missing: Sequence[Run]) -> StudyStart:
    plan, folder = chosen.plan, chosen.folder
    runs, forecast = tuple(run.key for run in missing), chosen.ahead.forecast
    return StudyStart(
        folder.path, plan.overview(), runs, forecast, _best(plan, folder), chosen.seed_plan.until
    )


def _raise_stopped(stop: Stop, plan: Plan, folder: StudyFolder, num_left: int) -> None:
    """Raise ``Stopped`` if a signal ended the training before all was trained."""
    if stop.signal is not None and num_left:
        num_finished = len(folder.finished() & {run.key for run in plan.runs})
        finished = f"{num_finished} of {counted(len(plan.runs), 'run')} finished"
        begun = len(folder.begun() - folder.finished())
        saved = f", {begun} started and saved" if begun else ""
        raise Stopped(f"{finished}{saved}; continue with: {_call('run', folder)}", stop.signal)


def _prepared(
    chosen: Choice, missing: Sequence[Run], machine: Machine, stop: Stop, stage: Stage
) -> list[Job]:
    """Return the jobs, with the data prepared at network size; a request to stop ends the preparation."""

    def unless_stopped(what: str, done: int, total: int) -> None:
        if stop.signal is not None:
            raise Stopped(
                f"nothing was trained yet; continue with: {_call('run', chosen.folder)}",
                stop.signal,
            )
        stage(what, done, total)

    jobs = jobs_of(chosen.plan, missing, chosen.folder, machine, unless_stopped)
    unless_stopped("starting the training", 0, 0)
    # On a GPU, the estimate is mostly the GPU's memory.
    memory = chosen.ahead.worker_bytes if machine.device == "cpu" else 0
    return [job.model_copy(update={"extra": EXTRA, "memory_bytes": memory}) for job in jobs]


def _call(name: str, folder: StudyFolder) -> str:
    return f"segstudy {name} {shlex.quote(str(folder.path))}"


def _best(plan: Plan, folder: StudyFolder) -> tuple[float, str] | None:
    """Return validation IoU at network size and configuration of the best finished run of this plan."""
    found, names = [], plan.names()
    for record in folder.run_records(folder.finished() & names.keys()):
        iou = record.summary.scores.get("validation", {}).get("network_iou")
        if iou is not None:
            found.append((float(iou), names[record.key]))
    return max(found, default=None)


def planned(
    asked: Study,
    folder: StudyFolder,
    options: Mapping[str, Any],
    retry: bool = False,
    refuse_held: bool = False,
    stage: Stage = silent,
) -> tuple[Plan, Machine, list[Run]]:
    """Return the plan of a study, its machine, and the runs that are not stored yet.

    Raises:
        UserError: a wrong call, study file or data set; one photograph in several parts of what will be
            trained, or a part of it without foreground; somebody at work on it, if that must be refused.
    """
    for path in (asked.data, str(folder.path)):
        if any("\ud800" <= character <= "\udfff" for character in path):
            raise UserError(f"{path}: is not in UTF-8, so it cannot be stored; rename the folder")
    if refuse_held and is_held(folder.lock):
        with hold(folder.lock, "this study"):  # names the holder before data are read
            pass
    named = {name: options[name] for name in MACHINE_OPTIONS if options.get(name) is not None}
    machine = choose_machine(**named)
    made = make_plan(asked, machine, folder.data(), stage)
    refuse_occupied(made, folder, options.get("study"))
    missing = missing_runs(made, folder, retry)
    if machine.same_hardware:
        hardware_of(made, folder, machine)
    if not made.study.accept_duplicates:
        refuse_leaks(made.leaks(missing), check_command(made.study))
    refuse_empty(made.empty_subsets(missing))
    finished = folder.finished()
    earlier = num_of_earlier_versions(missing, finished)
    begun = num_of_earlier_versions(missing, folder.begun() - finished)
    return replace(made, num_earlier=earlier, num_earlier_begun=begun), machine, missing
