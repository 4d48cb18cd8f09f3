"""Scores of trained models on a data set they have not seen, beside those on their own test subset."""

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from PIL import Image

from segstudy.analysis.class_scores import summarised
from segstudy.config.protocol import Protocol
from segstudy.config.runs import ADDED_LATER
from segstudy.core.environment import written_now
from segstudy.core.errors import UserError
from segstudy.core.intensity import Scale, reading_of
from segstudy.core.mask_rules import AUTO, MaskMeaning
from segstudy.core.metric_names import NSD_TOLERANCE
from segstudy.core.network_outputs import OutputError
from segstudy.core.outputs import Outputs
from segstudy.data.batches import pixels_on
from segstudy.data.check import examine, refuse_errors
from segstudy.data.duplicates import near_duplicates, thumbnail
from segstudy.data.fingerprint import fingerprint
from segstudy.data.intensity_survey import refuse_other_range
from segstudy.data.prepared import Prepared, Samples, open_prepared, prepare
from segstudy.data.preprocess import of_whole
from segstudy.data.samples import Dataset
from segstudy.data.thumbnails import small_image
from segstudy.deploy.engines.stored import stored_network
from segstudy.evaluation.forward import probabilities
from segstudy.evaluation.mask_meaning import described_classes, with_classes_of
from segstudy.evaluation.per_image import score_images
from segstudy.evaluation.summary import data_of, refuse_taken, summarise
from segstudy.store.card import read_card
from segstudy.store.folder import StudyFolder
from segstudy.store.own_networks import is_own
from segstudy.store.records import (
    CARD,
    STORED_ONNX,
    EvaluationRecord,
    ExternalRecord,
    TrainedRecord,
)
from segstudy.store.tables import read_table
from segstudy.store.trained_models import Models
from segstudy.store.weights import load_model

SEEN_NAMED = 200  # ids in a message: they will be written into a file, so nearly always all of them
SEEN = "only its study says which images it was trained on"  # why a model is evaluated within its study


def evaluate_models(  # noqa: PLR0913 (an option each)
    models: Models,
    dataset: Dataset,
    folder: StudyFolder,
    device: str,
    name: str | None = None,
    meaning: MaskMeaning = AUTO,
    *,
    network: str | None = None,
) -> dict[str, Any]:
    """Predict all samples of a data set with each model and store the scores as ``external/<name>/``.

    Args:
        models: to test.
        dataset: the external test set, all of it.
        folder: the study whose folder takes the result.
        device: ``cpu``, ``cuda`` or ``mps``.
        name: of the result; ``<configuration>-on-<data set>`` if left out.
        meaning: of the masks of this data set; classes that are not named are the models'.
        network: ``my.py:Net``, for models whose network comes from a file of one's own.

    Returns:
        The record written, with the scores on the models' own test subset under ``in_domain``.

    Raises:
        UserError: wrong data, images that were trained or selected on, or a name that is taken.
    """
    name = name or f"{models.name}-on-{dataset.name}"
    data = fingerprint(dataset.samples)

    def same(record: ExternalRecord) -> bool:
        keys = record.keys if isinstance(record, EvaluationRecord) else []
        return record.data.fingerprint == data and keys == list(models.keys)

    refuse_taken(folder, [name], "evaluation", same)
    _refuse_own_data(models.study(SEEN), data, dataset)
    meaning = _like_trained(models.records()[0], meaning)
    scale = reading_of(models.records()[0].protocol)
    found = examine(dataset, meaning, scale=scale.of_model())
    refuse_errors(found.problems, is_for_model=True)
    refuse_other_range(found.intensities.problems, len(dataset.samples), scale)
    protocol, reading = _protocol(models.records()[0]), (found.masks.meaning, scale)
    _refuse_seen(models, _resized(protocol, dataset, data, reading))
    prepared = _prepared(protocol, dataset, data, reading)
    runs = models.records()
    where = torch.device(device)
    scores = [_predicted(models.folder(run), run, prepared, where, network) for run in runs]
    images = pl.concat(of_run for of_run, _ in scores)
    of_classes = [each for _, each in scores if each is not None]
    groups = {sample.id: sample.group for sample in dataset.samples}
    record = {
        "kind": "evaluation",
        "configuration": runs[0].name,
        "keys": list(models.keys),
        "seeds": sorted({run.seed for run in runs if run.seed is not None}),
        "data": {
            "name": dataset.name,
            "reader": dataset.reader,
            "fingerprint": data,
            "terms": dataset.terms,
            "citation": dataset.citation,
        },
        **described_classes(found.masks.meaning),
        "num_images": len(dataset.samples),
        "nsd_tolerance": _tolerance(runs[0]),
        "scores": summarise(images, groups),
        **_by_class(of_classes, prepared.outputs, groups),
        "in_domain": _in_domain(models),
        **written_now(device),
    }
    folder.write_external(name, record, images, pl.concat(of_classes) if of_classes else None)
    return {"name": name, **record}


def _prepared(protocol: Protocol, dataset: Dataset, data: str, reading: tuple[MaskMeaning, Scale]) -> Samples:
    """Return the external images, prepared as those of the models' training."""
    folder = prepare(dataset.samples, data, protocol.image_size, protocol.resize, *reading)
    return open_prepared(folder, protocol.windowing())


def _resized(protocol: Protocol, dataset: Dataset, data: str, reading: tuple[MaskMeaning, Scale]) -> Prepared:
    """Return the same resized, as images of different sizes are compared."""
    how = of_whole(protocol.resize)
    return open_prepared(prepare(dataset.samples, data, protocol.image_size, how, *reading))


def _predicted(
    folder: Path, record: TrainedRecord, prepared: Samples, device: torch.device, network: str | None
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Return the rows of the images and those of the classes, as a run has them, with seed and fold.

    All are of the subset ``test``. Of models with one foreground there are no rows of classes.

    Raises:
        UserError: as ``checkpoint.load_model``; the model gives values that are not probabilities.
    """
    prob: Collection[NDArray[np.float32]]
    everything, card = np.arange(len(prepared.ids)), read_card(folder / CARD)
    try:
        if network is None and is_own(card, folder / CARD) and (folder / STORED_ONNX).is_file():
            stored = stored_network(folder, card)
            prob = [prepared.predicted(int(position), stored.probabilities) for position in everything]
        else:
            model, _ = load_model(folder, network)
            pixels = pixels_on(prepared, device)
            prob = probabilities(model.to(device), pixels, everything, record.protocol["precision"])
    except OutputError as error:
        raise UserError(f"{folder}: {error}; this model cannot be scored: train it again") from None
    scores = score_images(prob, prepared, everything, "test", card.tuned_threshold, _tolerance(record))
    return _of_run(scores.images, record), None if scores.classes is None else _of_run(scores.classes, record)


def _like_trained(record: TrainedRecord, asked: MaskMeaning) -> MaskMeaning:
    """Return the meaning of other masks for models of these classes: that of the training if none is given.

    Raises:
        UserError: other classes than those of the models.
    """
    trained = _protocol(record).mask_meaning()
    found = with_classes_of(trained, asked)
    if trained.classes and not found.classes:
        return replace(found, classes=trained.classes, ignore=found.ignore or trained.ignore)
    return found


def _protocol(record: TrainedRecord) -> Protocol:
    return Protocol.model_validate(ADDED_LATER | record.protocol)


def _tolerance(record: TrainedRecord) -> float:
    return float(record.protocol.get("nsd_tolerance", NSD_TOLERANCE))


def _of_run(rows: pl.DataFrame, record: TrainedRecord) -> pl.DataFrame:
    return rows.select(
        pl.lit(record.seed, pl.Int64).alias("seed"),
        pl.lit(record.fold, pl.Int64).alias("fold"),
        pl.all(),
    )


def _in_domain(models: Models) -> dict[str, Any]:
    """Return the scores of the same runs on the test subset of their own study."""
    home = models.study(SEEN)
    data = data_of(home)
    rows = [_of_run(home.images([record.key]), record) for record in models.records()]
    test = pl.concat(rows, how="diagonal").filter(pl.col("part") == "test")
    return {
        "data": {"name": data.name, "fingerprint": data.fingerprint},
        "num_images": test["id"].n_unique(),
        "scores": summarise(test, data.groups)["test"],
        **_by_class(
            [_of_run(home.classes([record.key]), record) for record in models.records()],
            _protocol(models.records()[0]).outputs(),
            data.groups,
        ),
    }


def _by_class(
    rows: Sequence[pl.DataFrame], outputs: Outputs, groups: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return ``class_scores`` of a record, of the rows of each model; nothing with one foreground."""
    if outputs.task == "binary" or not rows:
        return {}
    found = summarised(pl.concat(rows, how="diagonal"), outputs, groups)
    return {} if found is None else {"class_scores": found}


def _refuse_own_data(home: StudyFolder, data: str, dataset: Dataset) -> None:
    if data == data_of(home).fingerprint:
        raise UserError(
            f"{dataset.root}: is the data set of {home.path} itself; `segstudy table {home.path}` has the "
            "scores on its test subset"
        )


def _refuse_seen(models: Models, prepared: Prepared) -> None:
    """Refuse images on which the models were trained or their epochs selected.

    Images are compared by what they show, as ``check`` does, so that a photograph is also found under another
    name, or in another size, compression, crop or orientation. Each is compared with each that was seen, if
    these are at most 8,192 x 8,192 pairs; of more, an index finds the pairs to compare, and may miss a few.

    Raises:
        UserError: naming such images.
    """
    home, known = models.study(SEEN), _seen(models)
    new = [_thumbnail(small_image(prepared, i)) for i in range(len(prepared.ids))]  # by the same steps
    names, both = [*known, *prepared.ids], np.stack([*known.values(), *new])
    seen = {names[there]: names[here] for here, there in near_duplicates(both, len(known))}
    if seen:
        shown = [there if there == here else f"{there} ({here})" for there, here in seen.items()]
        more = f" and {len(seen) - SEEN_NAMED} more" if len(seen) > SEEN_NAMED else ""
        raise UserError(
            f"{len(seen)} of the images were used for training or selection in {home.path}: "
            f"{', '.join(shown[:SEEN_NAMED])}{more}; leave them out with --exclude FILE, one id per line"
        )


def _seen(models: Models) -> dict[str, NDArray[np.uint8]]:
    """Return thumbnails of all images in the training and validation subsets of these models, by id."""
    home = models.study(SEEN)
    parts = {each.ids.fingerprint: each.ids for each in home.splits()}
    trained_on = [parts.get(record.description.split or "") for record in models.records()]
    ids = {i for split in trained_on if split for i in (*split.train, *split.validation)}
    file = home.path / "thumbnails.parquet"
    stored = dict(read_table(file, ["id", "image"]).iter_rows()) if file.is_file() else {}
    data = data_of(home).fingerprint
    changed = any(record.description.data != data for record in models.records())
    if changed or None in trained_on or ids - stored.keys():
        raise UserError(
            f"{home.path}: no longer says which images {models.name} was trained on; "
            "give a model of the present study"
        )
    return {i: _thumbnail(stored[i]) for i in sorted(ids)}


def _thumbnail(jpeg: bytes) -> NDArray[np.uint8]:
    return thumbnail(np.asarray(Image.open(io.BytesIO(jpeg), formats=("JPEG",))))
