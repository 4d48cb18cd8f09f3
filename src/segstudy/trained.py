"""Trained models in a study's folder: one run, or all trainings of a configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segstudy.errors import UserError
from segstudy.store import StudyFolder


@dataclass(frozen=True)
class Models:
    """Trainings of one configuration.

    Attributes:
        home: the study they belong to.
        keys: of the runs, in order of seed and fold.
        name: the configuration's, or that and the seed for one of several trainings.
    """

    home: StudyFolder
    keys: tuple[str, ...]
    name: str

    def records(self) -> list[dict[str, Any]]:
        return self.home.run_records(self.keys)

    def folder(self, record: Mapping[str, Any]) -> Path:
        return self.home.runs / str(record["key"])

    def best(self) -> "Models":
        """The training with the highest validation IoU, the number that models are selected by."""
        record = max(self.records(), key=_validation_iou)
        return Models(self.home, (record["key"],), run_name(record))


def one_run(path: Path) -> Models:
    """The single training in a run's folder, which lies in its study.

    Raises:
        UserError: something else is there.
    """
    home = StudyFolder(path.absolute().parent.parent)
    if not (path / "run.json").is_file() or not home.exists():
        raise UserError(
            f"{path}: neither a study's folder nor that of a finished run in its study (runs/<key>)"
        )
    (record,) = home.run_records([path.absolute().name])
    return Models(home, (record["key"],), run_name(record))


def run_name(record: Mapping[str, Any]) -> str:
    """One training's name: its configuration's, with seed and fold."""
    fold = "" if record["fold"] is None else f"-fold{record['fold']}"
    return f"{record['name']}-seed{record['seed']}{fold}"


def _validation_iou(record: Mapping[str, Any]) -> float:
    return float(record["summary"]["scores"]["validation"]["native_iou"])
