"""The hardware of a study's runs while they are trained: a difference is said, or refused on request.

Hardware is all that may change a run's last bits: device, processor, threads, libraries; see
``core.environment``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segstudy.core.environment import differing, differing_text
from segstudy.core.errors import UserError
from segstudy.core.quantities import counted
from segstudy.store.folder import StudyFolder
from segstudy.study.machine import Machine
from segstudy.study.plan import Plan
from segstudy.training.executors import executor_named
from segstudy.training.job import Job, Outcome

Environment = Mapping[str, Any]
MAY_DIFFER = "last bits may differ; the report says which runs (--same-hardware refuses this)"


class HardwareWatch:
    """The environments of a study's runs, as they become known, and what differs between them.

    Attributes:
        required: the environment that each run must have; None where a difference is only said.
        mixed: how this call mixes hardware, as far as it is known before the training; else empty.
        refused: how a run would have mixed hardware, or did, where that must not be; else empty.
    """

    def __init__(self, folder: StudyFolder, required: dict[str, Any] | None = None):
        self.required = required
        self.mixed = self.refused = ""
        self._folder = folder
        self._known: list[Environment] = []
        self._found: dict[str, list[str]] = {}

    def see(self, environments: Iterable[Environment]) -> str:
        """Add environments and return what differs now and did not before; empty if nothing."""
        self._known += [each for each in environments if each not in self._known]
        found, before = differing(self._known), self._found
        self._found = found
        return ", ".join(
            f"{name} ({', '.join(values)})" for name, values in found.items() if before.get(name) != values
        )

    def run_ended(self, job: Job, outcome: Outcome) -> str:
        """Return a line where this run has mixed hardware; ``refused`` is set where that must not be."""
        news = ""
        if outcome.status == "refused":
            news = outcome.detail or ""
        elif outcome.status == "finished":
            (record,) = self._folder.run_records([outcome.key])
            news = self.see(record.environments)
        if news and self.required is not None:
            self.refused = self.refused or f"{job.name} (seed {job.run.seed}): {news}"
            return ""
        return f"was trained on other hardware than runs before: {news}; {MAY_DIFFER}" if news else ""

    def raise_refused(self) -> None:
        """Raise what was refused.

        Raises:
            UserError: with what differs.
        """
        if self.refused:
            raise UserError(
                f"--same-hardware: other hardware for {self.refused}; finished runs and saved states are "
                "kept: train on one hardware only, or leave --same-hardware out"
            )


def hardware_of(plan: Plan, folder: StudyFolder, machine: Machine) -> HardwareWatch:
    """Compare the machines that train now with those of the finished runs of a plan.

    Raises:
        UserError: with ``machine.same_hardware``: the finished runs differ already, these machines do, or
            no hardware is known.
    """
    watch = HardwareWatch(folder)
    finished = sorted(folder.finished() & {run.key for run in plan.runs})
    records = list(folder.run_records(finished))
    there = [each for record in records for each in record.environments]
    earlier = watch.see(there)
    here = executor_named(machine.executor).trained_in(
        machine.device, machine.threads, machine.executor_options
    )
    news = watch.see(here)
    if news and there:
        watch.mixed = (
            f"this is not the hardware of {counted(len(records), 'finished run')}: {news}; {MAY_DIFFER}"
        )
    elif news:
        watch.mixed = f"the machines that train differ: {news}; {MAY_DIFFER}"
    if machine.same_hardware:
        if earlier:
            raise UserError(_already_mixed(folder, earlier))
        if news or not (here or there):
            raise UserError(_refusal(there, here, len(records)))
        watch.required = _merged([*here, *there])
    return watch


def _merged(environments: Sequence[Environment]) -> dict[str, Any]:
    """Return environments that do not differ as one: records of older versions have fewer fields."""
    return {name: value for each in environments for name, value in each.items() if value is not None}


def _already_mixed(folder: StudyFolder, earlier: str) -> str:
    return (
        f"--same-hardware: the finished runs in {folder.path} differ already: {earlier}; leave "
        "--same-hardware out, or delete the runs of one hardware: `segstudy remove`"
    )


def _refusal(there: Sequence[Environment], here: Sequence[Environment], num_runs: int) -> str:
    """Return how the machines that train now differ from those of the finished runs, or among themselves."""
    if not here:
        return (
            "--same-hardware: no machine that would train has said what its hardware is; start the machines "
            "first, or leave --same-hardware out"
        )
    if among := differing_text(here):
        return (
            f"--same-hardware: the machines that would train differ: {among}; nothing was trained: use equal "
            "machines, or leave --same-hardware out"
        )
    now, before = _merged(here), _merged(there)
    moved = [f"{name} is {now[name]} here, {before[name]} there" for name in differing([now, before])]
    return (
        f"--same-hardware: other hardware than that of {counted(num_runs, 'finished run')}: "
        f"{', '.join(moved)}; nothing was trained: use such a machine, or leave --same-hardware out"
    )
