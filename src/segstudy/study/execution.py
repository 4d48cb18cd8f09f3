"""The execution of a plan: prepare the data, train and store runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from segstudy.config.protocol import Protocol, unique
from segstudy.config.runs import Run
from segstudy.core.intensity import Scale
from segstudy.core.mask_rules import MaskMeaning
from segstudy.core.progress import Stage, silent
from segstudy.data.prepared import prepare
from segstudy.data.preprocess import Resize, Size, of_whole
from segstudy.data.thumbnails import THUMBNAIL_PX
from segstudy.evaluation.baselines import write_baselines
from segstudy.evaluation.second_rater import write_second_rater
from segstudy.store.folder import StudyFolder
from segstudy.study.machine import Machine
from segstudy.study.plan import Plan
from segstudy.study.splits import whole_splits
from segstudy.study.thumbnails import write_thumbnails
from segstudy.training.executors import executor_named
from segstudy.training.executors.base import Watch
from segstudy.training.job import Job, Outcome

RESIZING = "resizing the images"

Reading = tuple[Size, Resize, MaskMeaning, Scale]


def carry_out(
    plan: Plan,
    runs: Sequence[Run],
    folder: StudyFolder,
    machine: Machine,
    watch: Watch | None = None,
    stage: Stage = silent,
) -> Iterator[Outcome]:
    """Train and store these runs of a plan; arguments as for ``jobs_of``.

    Yields:
        Outcomes as runs end; a failed one never stops the others. Runs that were not begun when the watch
        asked to stop have none.

    Raises:
        UserError: data that cannot be prepared, or a folder that cannot be written.
    """
    jobs = jobs_of(plan, runs, folder, machine, stage)
    executor = executor_named(machine.executor)
    yield from executor.train(jobs, machine.max_workers, watch or Watch(), machine.executor_options)


def jobs_of(
    plan: Plan, runs: Sequence[Run], folder: StudyFolder, machine: Machine, stage: Stage = silent
) -> list[Job]:
    """Prepare the data for the network, once, and return the job of each run.

    Args:
        plan: what the runs belong to; already written to the folder.
        runs: which of them to train, in this order.
        folder: where they are stored.
        machine: how to train them.
        stage: called with what is being done; it may raise to stop it.

    Raises:
        UserError: data that cannot be prepared, or a folder that cannot be written.
    """
    names, prepared = plan.names(), _prepared(plan, runs, folder, stage)
    return [
        Job(
            run=run,
            name=names[run.key],
            study=folder.path.resolve(),
            prepared=prepared[_reading(p)].resolve(),
            split=plan.split_of(run),
            device=machine.device,
            threads=machine.threads,
            checkpoint_every=machine.checkpoint_every,
        )
        for run in runs
        for p in [run.configuration.protocol]
    ]


def _reading(protocol: Protocol) -> Reading:
    """What decides a run's prepared data."""
    return protocol.image_size, protocol.resize, protocol.mask_meaning(), protocol.scale()


def _of_whole(reading: Reading) -> Reading:
    """Return the same for pictures of whole images; tiles may be smaller than these pictures."""
    size, resize, meaning, scale = reading
    if resize == "tiles":
        size = max(size[0], THUMBNAIL_PX), max(size[1], THUMBNAIL_PX)
    return size, of_whole(resize), meaning, scale


def _prepared(plan: Plan, runs: Sequence[Run], folder: StudyFolder, stage: Stage) -> dict[Reading, Path]:
    """Prepare the data of these runs, and write what the report needs of the images besides.

    Raises:
        UserError: as ``jobs_of``.
    """
    samples, total = plan.dataset.samples, len(plan.dataset.samples)

    def prepared_as(reading: Reading) -> Path:
        stage_title = "cutting the images into chunks" if reading[1] == "tiles" else RESIZING
        return prepare(samples, plan.data, *reading, progress=lambda done: stage(stage_title, done, total))

    def shrunk(done: int, total: int) -> None:
        stage("making small images for the report", done, total)

    first = plan.study.configurations()[0].protocol
    stage("scoring the baselines", 0, 0)
    splits = whole_splits(plan.splits)
    written = write_baselines(
        folder, samples, plan.data, splits, first, lambda done: stage(RESIZING, done, total)
    )
    # With them small images are made again, whose masks may have other classes now.
    others = [_of_whole(_reading(first))] if written else []
    readings = unique([*(_reading(run.configuration.protocol) for run in runs), *others])
    prepared = {reading: prepared_as(reading) for reading in readings}
    meanings = {each.protocol.mask_meaning() for each in plan.study.configurations()}
    write_second_rater(folder, plan.study.data, samples, plan.data, meanings)
    if readings:
        whole = _of_whole(readings[0])
        stage("making small images for the report", 0, 0)
        write_thumbnails(folder, prepared[whole] if whole in prepared else prepared_as(whole), shrunk)
    return prepared
