"""The images on which an exported file is compared with its model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segstudy.core.classes import parse_classes
from segstudy.core.errors import UserError
from segstudy.core.intensity import reading_of
from segstudy.core.mask_rules import MaskMeaning, parse
from segstudy.data.datasets import read, refuse_gone
from segstudy.data.epoch_order import Positions
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import Samples, open_prepared, prepare
from segstudy.deploy.export.model_card import images_of
from segstudy.store.card import read_card
from segstudy.store.records import CARD, TrainedRecord
from segstudy.store.trained_models import Models, parts_of

COMPARED_IMAGES = 200  # of data that are not the study's own


@dataclass(frozen=True)
class GateImages:
    """Prepared images, for comparison and for calibration.

    Attributes:
        samples: all of them.
        compared: positions of those that masks are compared on.
        calibration: positions of others, that INT8 is calibrated on.
        what: the compared images, in words.
    """

    samples: Samples
    compared: Positions
    calibration: Positions
    what: str


def gate_images(models: Models, record: TrainedRecord, data: Path | None = None) -> GateImages:
    """Return the study's own test images, with its training images to calibrate on.

    Of a model outside of its study: images that the user gives, its test images among them where the run's
    tables name them, else all.

    Raises:
        UserError: they are not where the study says, no longer the same, or nowhere said.
    """
    if models.home is None:
        return _given(models, record, data)
    prepared = prepared_for(models, record, data)
    parts = parts_of(models.home, record)
    if not parts:
        raise UserError(
            f"{models.home.path}: its split.json no longer has this run's split; run the study again"
        )
    test, train = prepared.positions(parts["test"]), prepared.positions(parts["train"])
    return GateImages(prepared, test, train, "test images")


def prepared_for(models: Models, record: TrainedRecord, data: Path | None = None) -> Samples:
    """Return the study's own images, prepared as for the run.

    Raises:
        UserError: they are not where the study says, or no longer the same.
    """
    study = models.study("its images are needed").study()
    if data is not None:
        study = study.model_copy(update={"data": str(data)})
    refuse_gone(study.data)
    try:
        dataset = read(study.data, study.reader, study.exclude)
    except UserError as error:
        raise UserError(
            f"the study's images are needed: {error}; give their current folder with --data"
        ) from None
    found = fingerprint(dataset.samples)
    if found != record.description.data:
        raise UserError(
            f"{dataset.root}: not the images and masks of the training; give their folder with --data"
        )
    protocol = record.protocol
    height, width = protocol["image_size"]
    meaning = _meaning(protocol)
    settings = ((height, width), protocol["resize"], meaning, reading_of(protocol))
    windowing = read_card(models.folder(record) / CARD).windowing
    return open_prepared(prepare(dataset.samples, found, *settings), windowing)


def _meaning(protocol: Mapping[str, Any]) -> MaskMeaning:
    """Return the meaning of masks when a model was trained; older records have no rule and no classes."""
    foreground, classes = protocol.get("foreground"), protocol.get("classes")
    return MaskMeaning(
        parse(protocol.get("masks") or "auto"),
        tuple(foreground) if foreground else None,
        parse_classes(classes) if classes else (),
        tuple(protocol.get("ignore") or ()),
    )


def _given(models: Models, record: TrainedRecord, data: Path | None) -> GateImages:
    """Return images for a model outside of its study; no compared image is used for calibration."""
    folder = models.folder(record)
    if data is None:
        raise UserError(
            f"{folder}: lies outside of its study, so say with --data which images and masks the exported "
            "masks are compared on: best the data set that it was trained on"
        )
    dataset, card = read(data), read_card(folder / CARD)
    found = fingerprint(dataset.samples)
    meaning = _meaning(card.training)
    settings = (card.image_size, card.resize, meaning, card.scale)
    prepared = open_prepared(prepare(dataset.samples, found, *settings), card.windowing)
    table = images_of(models, record)
    if found == card.training.get("data") and table is not None:
        test = prepared.positions(table.filter(part="test")["id"].to_list())
        seen = prepared.positions(table["id"].to_list())
        return GateImages(prepared, test, np.setdiff1d(np.arange(len(prepared.ids)), seen), "test images")
    everything = np.arange(len(prepared.ids))
    what = f"images of {dataset.name}"
    return GateImages(prepared, spread(everything[::2], COMPARED_IMAGES), everything[1::2], what)


def spread(positions: Sequence[int] | Positions, most: int) -> Positions:
    """Return at most so many positions, spread evenly over the data set."""
    ordered = np.sort(np.asarray(positions))
    chosen: Positions = ordered[np.linspace(0, len(ordered) - 1, min(len(ordered), most)).astype(int)]
    return chosen
