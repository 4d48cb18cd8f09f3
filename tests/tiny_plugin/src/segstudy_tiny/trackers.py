"""A line for every event, in ``tiny-tracker.txt`` of the study's folder."""

from typing import Any

from segstudy.study.trackers import StudyStart, Tracker


class Lines:
    def study_begins(self, start: StudyStart) -> None:
        self.file = start.folder / "tiny-tracker.txt"
        self._write(f"begins with {len(start.runs)}")

    def run_begins(self, job: Any) -> None:
        self._write("run begins")

    def run_progresses(self, job: Any, row: dict[str, float]) -> None:
        self._write(f"epoch {row['epoch']}")

    def run_notes(self, job: Any, text: str) -> None:
        self._write(text)

    def run_ends(self, job: Any, outcome: Any) -> None:
        self._write(f"run {outcome.status}")

    def study_ends(self) -> None:
        self._write("ends")

    def _write(self, text: str) -> None:
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(f"{text}\n")


TINY_TRACKER = Tracker(
    name="tiny_tracker", description="lines in a file", make="segstudy_tiny.trackers:Lines"
)
