"""What is sent with a run to another machine, and how what comes back is stored: as if trained here."""

import json
from contextlib import suppress
from typing import Any

from segstudy.core.errors import UserError, one_line
from segstudy.store.checkpoints import STATE, Progress
from segstudy.store.folder import StudyFolder
from segstudy.store.records import FailureRecord
from segstudy.store.trained_elsewhere import write_trained_elsewhere
from segstudy.training.executors.base import Watch
from segstudy.training.executors.on_ray.node import Order
from segstudy.training.executors.on_ray.own_code import own_code
from segstudy.training.failures import LINE
from segstudy.training.job import Job, Outcome


def order_of(job: Job, watch: Watch) -> Order:
    """Return what another machine needs to train a run, from its last saved state if there is one."""
    folder = StudyFolder(job.study)
    checkpoints = folder.checkpoints(job.run.key)
    states = {}
    for file, content in checkpoints.contents():
        if content is None:
            with suppress(OSError):  # on a read-only disk the state is only skipped
                checkpoints.set_aside(file)
            watch.say(job, f"{file.name} cannot be used (incomplete or altered) and was moved aside")
        else:
            states[file.relative_to(folder.path).as_posix()] = file.read_bytes()
    return Order(
        job=job.model_dump(mode="json"),
        prepared=job.prepared.name,
        code=own_code(job.run.configuration),
        states=states,
    )


def last_epoch(job: Job) -> int:
    """Return the epoch of the newest saved state of a run; 0 without one, or if the disk does not say."""
    files = StudyFolder(job.study).checkpoints(job.run.key).folder.glob(f"*{STATE}")
    try:
        return max((int(file.stem) for file in files if file.stem.isdecimal()), default=0)
    except OSError:
        return 0


def store_state(job: Job, saved: dict[str, Any], content: bytes, watch: Watch) -> None:
    """Store a state that came back; a failure to store it does not end the training."""
    checkpoints = StudyFolder(job.study).checkpoints(job.run.key)
    try:
        progress = Progress.model_validate(saved)
        checkpoints.write_copy(progress.epoch, content)
        checkpoints.note(progress)
    except (OSError, ValueError) as error:
        epoch = saved.get("epoch", "?")
        watch.say(job, f"its state after epoch {epoch} could not be saved: {one_line(error, LINE)}")


def store_outcome(job: Job, outcome: Outcome, files: dict[str, bytes]) -> None:
    """Store the files of a finished run, or the record of its failure as it was made there.

    Raises:
        UserError: they are of another run, were altered on the way, or cannot be stored.
        ValueError: the record of the failure cannot be read.
    """
    folder, key = StudyFolder(job.study), job.run.key
    if outcome.key != key:
        raise UserError(f"a worker gave the outcome of run {outcome.key} for run {key}; run again")
    if outcome.status == "finished":
        write_trained_elsewhere(folder, key, files)
    elif outcome.status == "failed" and files:
        if set(files) != {f"{key}.json"}:
            raise UserError(
                f"a worker sent {', '.join(sorted(files))} for the failure of run {key}; run again"
            )
        record = json.loads(files[f"{key}.json"])
        FailureRecord.model_validate(record)
        folder.write_failure(key, record)
    if outcome.status == "finished" or outcome.reason == "diverged":  # it would diverge again from its states
        folder.checkpoints(key).clear()
