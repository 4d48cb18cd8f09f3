"""The reasons for which a run fails, and their remedies."""

from segstudy.config.runs import Run
from segstudy.core.atomic_files import DiskError
from segstudy.core.device import is_out_of_memory
from segstudy.core.errors import UserError
from segstudy.core.locks import HeldError
from segstudy.data.hashed_arrays import PreparedDataGoneError
from segstudy.training.loop import DivergedError

LINE = 300  # characters of a line that are shown
AGAIN = "the next `run` continues after its last saved epoch"
REMEDIES = {
    "diverged": "lower lr, or leave this configuration out; `run --retry` tries it again",
    "out of memory": "fewer workers (--workers), a smaller image or width",
    "crashed": f"the traceback says where; {AGAIN}",
    "worker died": f"killed from outside, often for lack of memory: fewer --workers; {AGAIN}",
    "disk full": f"free some room on the study's disk; {AGAIN}",
    "disk error": f"look after the study's disk; {AGAIN}",
    "prepared data gone": f"the next `run` prepares the data again; {AGAIN}",
    "source changed": "run again: with its new source it is another run, with a key of its own",
    "at work elsewhere": "wait until that process has finished this run, or stop it",
}


class SourceChangedError(UserError):
    """A user's own file is not the one that the study was planned with."""


REASONS: dict[type[Exception], str] = {
    DivergedError: "diverged",
    HeldError: "at work elsewhere",
    PreparedDataGoneError: "prepared data gone",
    SourceChangedError: "source changed",
}


def reason_of(error: Exception) -> str:
    """Return the reason of an error, a key of ``REMEDIES``."""
    if is_out_of_memory(error.__cause__ or error):
        return "out of memory"
    if isinstance(error, DiskError):
        return "disk full" if error.full else "disk error"
    return next((reason for kind, reason in REASONS.items() if isinstance(error, kind)), "crashed")


def remedy(reason: str, run: Run, log: str = "") -> str:
    """Return the remedy for a failed run; for lack of memory, with numbers.

    Args:
        reason: of ``REMEDIES``.
        run: which failed.
        log: output of the process that died; its last line is shown before any guess.
    """
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")
    if reason == "worker died" and last:
        return f"its last line was: {last[:LINE]}; if that does not say why: {_guess(reason, run)}"
    return _guess(reason, run)


def _guess(reason: str, run: Run) -> str:
    protocol = run.configuration.protocol
    at_once = min(protocol.micro_batch or protocol.batch_size, protocol.batch_size)
    if reason not in ("out of memory", "worker died") or at_once < 4:
        return REMEDIES[reason]
    half = at_once // 2
    if reason == "worker died":
        return f"{REMEDIES[reason]}; where memory was short, --set micro_batch={half} takes about half of it"
    return (
        f"--set micro_batch={half} keeps the batch of {protocol.batch_size} and takes about half the memory: "
        f"gradients add up over passes of {half} images, but batch norm normalises by {half} images too, so "
        f"give it to all that are compared; or {REMEDIES[reason]}"
    )
