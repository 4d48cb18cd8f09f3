"""The table of trackers, which show or log the progress of a study."""

from collections.abc import Sequence

from segstudy.study.trackers.base import StudyStart, StudyTracker, Tracker, Trackers

__all__ = ["TRACKERS", "StudyStart", "StudyTracker", "Tracker", "Trackers", "chosen_trackers"]

TRACKERS: dict[str, Tracker] = {
    tracker.name: tracker
    for tracker in (
        Tracker(
            name="terminal",
            description="a live table on a terminal, plain lines elsewhere",
            make="segstudy.study.trackers.terminal:Display",
            is_display=True,
        ),
    )
}


def chosen_trackers(chosen: str | Sequence[str]) -> list[Tracker]:
    """Return the trackers of these names, ours or plug-ins', each once; a text is a comma-separated list.

    Raises:
        UserError: an unknown name, with the choices.
    """
    names = chosen.split(",") if isinstance(chosen, str) else chosen
    from segstudy.core.plugins import record_named  # `--help` does without

    once = dict.fromkeys(name.strip() for name in names)
    return [record_named("tracker", name, TRACKERS, Tracker) for name in once]
