"""Where the progress of a study is shown or logged: the table of trackers."""

from collections.abc import Sequence

from segstudy.core.errors import UserError
from segstudy.study.trackers.base import StudyStart, StudyTracker, Tracker, Trackers

__all__ = ["TRACKERS", "StudyStart", "StudyTracker", "Tracker", "Trackers", "chosen_trackers"]

TRACKERS: dict[str, Tracker] = {
    tracker.name: tracker
    for tracker in (
        Tracker(
            name="terminal",
            description="a live table on a terminal, plain lines elsewhere",
            make="segstudy.study.trackers.terminal:Display",
        ),
    )
}


def chosen_trackers(chosen: str | Sequence[str]) -> list[Tracker]:
    """The trackers of these names, each once; a text is a comma list.

    Raises:
        UserError: an unknown name, with the choices.
    """
    names = chosen.split(",") if isinstance(chosen, str) else chosen
    return [_tracker(name) for name in dict.fromkeys(name.strip() for name in names)]


def _tracker(name: str) -> Tracker:
    if name not in TRACKERS:
        raise UserError(f"unknown tracker {name!r}: use one of {', '.join(TRACKERS)}")
    return TRACKERS[name]
