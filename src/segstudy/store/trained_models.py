"""Trained models in a study's folder or outside of one: one run, or all trainings of a configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segstudy.config.protocol import Protocol
from segstudy.config.runs import ADDED_LATER
from segstudy.core.errors import UserError
from segstudy.data.samples import PARTS
from segstudy.data.split import Split
from segstudy.store.card import Card, read_card
from segstudy.store.folder import StudyFolder, read_run_record
from segstudy.store.records import CARD, WEIGHTS


@dataclass(frozen=True)
class Models:
    """Trainings of one configuration.

    Attributes:
        home: the study they belong to; None for a model that lies outside of its study.
        keys: of the runs, in order of seed and fold.
        name: the configuration's, or that and the seed for one of several trainings.
        alone: the folder of a model outside of its study: ``model.json`` and ``model.safetensors`` at least.
    """

    home: StudyFolder | None
    keys: tuple[str, ...]
    name: str
    alone: Path | None = None

    def records(self) -> list[dict[str, Any]]:
        """``run.json`` of each; of a model without one, what its card says (see ``record_of``)."""
        if self.home is not None:
            return self.home.run_records(self.keys)
        assert self.alone is not None
        return [record_of(self.alone)]

    def folder(self, record: Mapping[str, Any]) -> Path:
        if self.home is not None:
            return self.home.runs / str(record["key"])
        assert self.alone is not None
        return self.alone

    def best(self) -> "Models":
        """The training with the highest validation IoU, the number that models are selected by."""
        if self.home is None:
            return self
        record = max(self.records(), key=_validation_iou)
        return Models(self.home, (record["key"],), run_name(record))

    def study(self, why: str) -> StudyFolder:
        """The study they belong to.

        Raises:
            UserError: they lie outside of it; ``why`` says what it is needed for.
        """
        if self.home is None:
            raise UserError(
                f"{self.alone}: lies outside of its study, and {why}; give STUDY/runs/{self.keys[0]}, where "
                "it was trained"
            )
        return self.home


def one_run(path: Path) -> Models:
    """The single training in a folder: a run of a study, or a model anywhere.

    Raises:
        UserError: something else is there.
    """
    place = path.resolve()
    home = StudyFolder(place.parent.parent)
    if place.parent == home.runs.resolve() and home.exists() and (path / "run.json").is_file():
        (record,) = home.run_records([place.name])
        return Models(home, (record["key"],), run_name(record))
    if not (path / CARD).is_file():
        raise UserError(
            f"{path}: neither a study's folder nor that of a finished run; a model is a folder with {CARD} "
            f"and {WEIGHTS}, such as STUDY/runs/<key>, or an exported file"
        )
    record = record_of(path)
    return Models(None, (record["key"],), run_name(record), alone=path)


def record_of(folder: Path) -> dict[str, Any]:
    """What is known of a training from its folder alone, as ``run.json`` has it.

    Without a ``run.json`` the card says it; what only that file would know is None or empty.

    Raises:
        UserError: no card, a damaged one, or a damaged ``run.json``.
    """
    card = read_card(folder / CARD)
    if (folder / "run.json").is_file():
        record = read_run_record(folder)
        if record["key"] != card.key:
            raise UserError(
                f"{folder}: run.json and {CARD} are of different runs; copy the folder again from its study"
            )
        return record
    return _from_card(card)


def _from_card(card: Card) -> dict[str, Any]:
    described = ADDED_LATER | card.training
    loss, seed = str(described.get("loss", "unknown")), described.get("seed")
    batch = f"-b{described['batch_size']}" if "batch_size" in described else ""
    protocol = {name: described.get(name) for name in Protocol.model_fields}
    return {
        "name": f"{card.architecture}-{loss}{batch}",
        "key": card.key,
        "architecture": card.architecture,
        "loss": loss,
        "protocol": protocol | {"image_size": list(card.image_size), "resize": card.resize},
        "seed": seed if isinstance(seed, int) else None,
        "fold": None,
        "description": card.training,
        "summary": {
            "selected_epoch": card.selected_epoch,
            "tuned_threshold": card.tuned_threshold,
            "scores": card.scores,
        },
        "num_parameters": None,
        "started": None,
        "environment": {},
    }


def run_name(record: Mapping[str, Any]) -> str:
    """One training's name: its configuration's, with seed and fold."""
    fold = "" if record["fold"] is None else f"-fold{record['fold']}"
    seed = "" if record["seed"] is None else f"-seed{record['seed']}"
    return f"{record['name']}{seed}{fold}"


def _validation_iou(record: Mapping[str, Any]) -> float:
    return float(record["summary"]["scores"]["validation"]["native_iou"])


def parts_of(home: StudyFolder, record: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """The ids that this run was trained, selected and tested on; nothing where the study forgot."""
    for split in (home.read_json("split.json") or {"splits": []})["splits"]:
        parts: dict[str, Sequence[str]] = {part: split[part] for part in PARTS}
        if Split(*(tuple(ids) for ids in parts.values())).fingerprint == record["description"]["split"]:
            return parts
    return {}
