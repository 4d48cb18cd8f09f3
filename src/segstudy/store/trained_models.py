"""Trained models, within a study's folder or outside of one: one run, or all runs of a configuration."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segstudy.config.protocol import Protocol
from segstudy.config.runs import ADDED_LATER
from segstudy.core.errors import UserError
from segstudy.data.samples import PARTS
from segstudy.store.card import Card, read_card
from segstudy.store.folder import StudyFolder
from segstudy.store.records import CARD, WEIGHTS, Description, Summary, TrainedRecord
from segstudy.store.run_records import read_run_record


@dataclass(frozen=True)
class Models:
    """The runs of one configuration that were trained.

    Attributes:
        home: the study they belong to; None for a model outside of its study.
        keys: of the runs, in order of seed and fold.
        name: the configuration's; for one of several runs, with the seed.
        alone: the folder of a model outside of its study: ``model.json`` and ``model.safetensors`` at least.
    """

    home: StudyFolder | None
    keys: tuple[str, ...]
    name: str
    alone: Path | None = None

    def records(self) -> Sequence[TrainedRecord]:
        """Return ``run.json`` of each; without one, the record from the card (see ``record_of``)."""
        if self.home is not None:
            return self.home.run_records(self.keys)
        assert self.alone is not None
        return [record_of(self.alone)]

    def folder(self, record: TrainedRecord) -> Path:
        if self.home is not None:
            return self.home.runs / record.key
        assert self.alone is not None
        return self.alone

    def best(self) -> "Models":
        """Return the run with the highest validation IoU, by which models are selected."""
        if self.home is None:
            return self
        record = max(self.records(), key=_validation_iou)
        return Models(self.home, (record.key,), run_name(record))

    def study(self, why: str) -> StudyFolder:
        """Return the study they belong to.

        Raises:
            UserError: they are outside of it; ``why`` says why it is needed.
        """
        if self.home is None:
            raise UserError(
                f"{self.alone}: lies outside of its study, and {why}; give STUDY/runs/{self.keys[0]}, where "
                "it was trained"
            )
        return self.home


def one_run(path: Path) -> Models:
    """Return the single model in a folder: a run of a study, or a model anywhere.

    Raises:
        UserError: the folder is neither.
    """
    place = path.resolve()
    home = StudyFolder(place.parent.parent)
    if place.parent == home.runs.resolve() and home.exists() and (path / "run.json").is_file():
        (record,) = home.run_records([place.name])
        return Models(home, (record.key,), run_name(record))
    if not (path / CARD).is_file():
        raise UserError(
            f"{path}: neither a study's folder nor that of a finished run; a model is a folder with {CARD} "
            f"and {WEIGHTS}, such as STUDY/runs/<key>, or an exported file"
        )
    alone = record_of(path)
    return Models(None, (alone.key,), run_name(alone), alone=path)


def record_of(folder: Path) -> TrainedRecord:
    """Read the record of a run from its folder alone, in the form of ``run.json``.

    Without a ``run.json`` it is made from the card; fields that only that file has are None or empty.

    Raises:
        UserError: no card, a damaged card, or a damaged ``run.json``.
    """
    card = read_card(folder / CARD)
    if (folder / "run.json").is_file():
        record = read_run_record(folder)
        if record.key != card.key:
            raise UserError(
                f"{folder}: run.json and {CARD} belong to different runs; copy it again from its study"
            )
        return record
    return _from_card(card)


def _from_card(card: Card) -> TrainedRecord:
    described = ADDED_LATER | card.training
    loss, seed = str(described.get("loss", "unknown")), described.get("seed")
    batch = f"-b{described['batch_size']}" if "batch_size" in described else ""
    protocol = {name: described.get(name) for name in Protocol.model_fields}

    def text(name: str) -> str | None:
        return found if isinstance(found := described.get(name), str) else None

    return TrainedRecord(
        name=f"{card.architecture}-{loss}{batch}",
        key=card.key,
        architecture=card.architecture,
        loss=loss,
        protocol=protocol | {"image_size": list(card.image_size), "resize": card.resize},
        seed=seed if isinstance(seed, int) else None,
        fold=None,
        description=Description(data=text("data"), split=text("split")),
        summary=Summary(
            selected_epoch=card.selected_epoch,
            tuned_threshold=card.tuned_threshold,
            scores={part: dict(means) for part, means in card.scores.items()},
            class_scores=card.class_scores,
        ),
        num_parameters=None,
        started=None,
        environment={},
    )


def run_name(record: TrainedRecord) -> str:
    """Return a run's name: its configuration's, with seed and fold."""
    fold = "" if record.fold is None else f"-fold{record.fold}"
    seed = "" if record.seed is None else f"-seed{record.seed}"
    return f"{record.name}{seed}{fold}"


def _validation_iou(record: TrainedRecord) -> float:
    iou = record.summary.scores.get("validation", {}).get("native_iou")
    return -1.0 if iou is None else iou


def parts_of(home: StudyFolder, record: TrainedRecord) -> dict[str, Sequence[str]]:
    """Return the ids that this run was trained, selected and tested on; none if the study lacks them."""
    for split in home.splits():
        if split.ids.fingerprint == record.description.split:
            return {part: split.ids.part(part) for part in PARTS}
    return {}
