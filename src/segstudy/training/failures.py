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
    "diverged": "use a lower lr, or leave this configuration out; `run --retry` tries it again",
    "out of memory": "use fewer workers (--workers), smaller images or a smaller width",
    "crashed": f"the traceback says where; {AGAIN}",
    "worker died": f"killed by the system, often because memory ran out: use fewer --workers; {AGAIN}",
    "disk full": f"free some space on the study's disk; {AGAIN}",
    "disk error": f"check the study's disk; {AGAIN}",
    "prepared data gone": f"the next `run` prepares the data again; {AGAIN}",
    "source changed": "run again: with its new source, it is another run with its own key",
    "at work elsewhere": "wait until that process has finished this run, or stop it",
}


class SourceChangedError(UserError):
    """A user's own file is not the one that the study was planned with."""


class OtherHardwareError(UserError):
    """The hardware or a library is another one than the study's runs must have; see ``Job.hardware``."""


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
        return f"{REMEDIES[reason]}; if memory ran out, --set micro_batch={half} needs about half of it"
    return (
        f"--set micro_batch={half} keeps the batch size of {protocol.batch_size} and needs about half the "
        f"memory; but batch norm uses only the {half} images of a pass, so use it for all configurations "
        f"that you compare; or {REMEDIES[reason]}"
    )
