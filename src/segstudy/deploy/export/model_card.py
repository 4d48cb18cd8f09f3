"""The card of a trained model: data, training, scores with their uncertainty, limits. For people to read.

After Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv:1810.03993).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from segstudy.analysis.subgroups import members_of
from segstudy.core.checksums import refuse_altered
from segstudy.core.intensity import AUTO, FULL
from segstudy.core.outputs import BINARY
from segstudy.metrics import HEADLINE, column, limits, limits_on, shown_in
from segstudy.stats.intervals import Scores, by_group, score_interval
from segstudy.store.card import Card, read_card
from segstudy.store.folder import StudyFolder
from segstudy.store.records import CARD, DataRecord, TrainedRecord
from segstudy.store.tables import read_table
from segstudy.store.trained_models import Models, parts_of, run_name

FEWEST = 20  # images of a subgroup for an interval
SCORES = {column(name): metric for name, metric in shown_in("card").items()}
TOLERANCES = {each.tolerance: each.default_tolerance for each in SCORES.values() if each.tolerance}
INTENDED = (
    "Outlining objects of the kind it was trained on, in images made as those of its training data were; for "
    "research and for measuring, with a person looking at the result."
)
LIMITS = (
    "This is not a medical device and no diagnosis rests on it.",
    "The scores are of images from the same source as the training data; other cameras, sites and "
    "populations usually score lower. `segstudy evaluate` measures that.",
    "Probabilities are the network's own and may be over- or underconfident; see the calibration error.",
    "The interval of a single training leaves out how much another seed would differ.",
)
LIMIT_OF_WINDOWS = (
    "Images are segmented in windows at their own resolution. In images of another magnification or ground "
    "resolution than those of the training, objects have other sizes in pixels, and scores are usually lower."
)
PROTOCOL = (
    "image_size",
    "resize",
    "width",
    "batch_size",
    "optimizer",
    "lr",
    "scheduler",
    "augmentation",
    "precision",
)


def model_card(models: Models, record: TrainedRecord) -> dict[str, Any]:
    """Return everything that is known of one trained model.

    Args:
        models: its place, within its study or outside of it.
        record: its run's.

    Returns:
        ``name``, ``key``, ``architecture``, ``loss``, ``data``, ``protocol``, ``selection``, ``scores`` (of
        validation and test, each with a 95 % interval over images), ``subgroups`` (of the test subset),
        ``environment``, and in words ``intended_use`` and ``limits``. What only the study or ``run.json``
        would know is None where they are not there, and scores have no intervals then. With several classes
        or ignored pixels also ``classes``.
    """
    card = read_card(models.folder(record) / CARD)
    data = _data_of(models.home, record)
    groups, categories = (data.groups, data.categories) if data else ({}, {})
    images = images_of(models, record)
    parts = parts_of(models.home, record) if models.home else {}
    return {
        "name": run_name(record),
        "key": record.key,
        "architecture": record.architecture,
        "loss": record.loss,
        "num_parameters": record.num_parameters,
        "data": {
            **{name: getattr(data, name, None) for name in ("name", "reader")},
            "fingerprint": record.description.data,
            **{name: getattr(data, name, None) for name in ("terms", "citation")},
            "num_images": (len(data.samples) or None) if data else None,
            **{f"num_{part}": len(ids) for part, ids in parts.items()},
        },
        "protocol": {
            **{name: record.protocol[name] for name in PROTOCOL},
            **({} if card.overlap is None else {"overlap": card.overlap}),
            **_channels_and_intensity(record.protocol),
            **{name: record.protocol.get(name, default) for name, default in TOLERANCES.items()},
            **_budget(record.protocol),
        },
        "seed": record.seed,
        "fold": record.fold,
        "selection": {
            "by": record.protocol["select"],
            "epoch": record.summary.selected_epoch,
            "tuned_threshold": record.summary.tuned_threshold,
        },
        "scores": _means(record) if images is None else _scores(images, groups),
        "subgroups": []
        if images is None or models.home is None
        else _subgroups(models.home, images, groups, categories),
        "environment": record.environment,
        "started": record.started,
        "intended_use": INTENDED,
        "limits": [*LIMITS, *([] if card.windowing is None else [LIMIT_OF_WINDOWS])],
        **({} if card.outputs == BINARY else {"classes": _classes(card)}),
    }


def _classes(card: Card) -> dict[str, Any]:
    """Return what the model's classes are, and the scores of each; those ``scored`` are in the headline."""
    outputs = card.outputs
    return {
        "task": outputs.task,
        "names": list(outputs.names),
        "scored": [outputs.names[number] for number in outputs.scored],
        "values": card.classes,
        "ignore": None if card.ignore is None else list(card.ignore),
        "scores": {} if card.class_scores is None else card.class_scores,
    }


def _data_of(home: StudyFolder | None, record: TrainedRecord) -> DataRecord | None:
    """Return the study's description of the data, if they are those that the run was trained on."""
    found = home.data() if home else None
    return found if found and found.fingerprint == record.description.data else None


def images_of(models: Models, record: TrainedRecord) -> pl.DataFrame | None:
    """Return the run's scores image by image; None if its folder has only the model."""
    file = models.folder(record) / "images.parquet"
    if not file.is_file():
        return None
    refuse_altered(file, file.with_name("run.json"))
    return read_table(file)


def _scores(images: pl.DataFrame, groups: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    scored: dict[str, dict[str, Any]] = {}
    for part in ("validation", "test"):
        table = images.filter(part=part).sort("id")
        owners = [groups.get(i, i) for i in table["id"]]
        columns = {each.name: each.to_numpy() for each in table if each.name.startswith("native_")}
        scored[part] = {
            name: _interval(columns[name][None], owners, limits_on(name, columns))
            for name in SCORES
            if name in table.columns
        }
    return scored


def _means(record: TrainedRecord) -> dict[str, dict[str, Any]]:
    """Return the scores of a model without its run's tables, without intervals."""
    found = record.summary.scores
    return {
        part: {
            name: {"mean": found[part][name], "low": None, "high": None}
            for name in SCORES
            if name in found.get(part, {})
        }
        for part in ("validation", "test")
    }


def _channels_and_intensity(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return how images are read where it is not as those that need no mention."""
    scale, channels = protocol.get("intensity") or FULL.kind, protocol.get("channels")
    named = {} if scale in (FULL.kind, AUTO.kind) else {"intensity": scale}
    return named if channels is None else {"channels": channels, **named}


def _budget(protocol: Mapping[str, Any]) -> dict[str, Any]:
    name = protocol["budget"]
    return {name: protocol[name]} if name else {}


def _interval(scores: Scores, owners: Sequence[str], ends: tuple[float, float]) -> dict[str, float | None]:
    """Return the mean of a column, and its 95 % interval if there are enough images."""
    if scores.shape[1] < FEWEST:
        return {"mean": float(np.mean(scores)), "low": None, "high": None}
    found = score_interval(by_group(scores, owners), *ends)
    return {"mean": found.mean, "low": found.low, "high": found.high}


def _subgroups(
    home: StudyFolder,
    images: pl.DataFrame,
    groups: Mapping[str, str],
    categories: Mapping[str, str | None],
) -> list[dict[str, Any]]:
    test = images.filter(part="test").sort("id")
    ids = test["id"].to_list()
    place = {each: i for i, each in enumerate(ids)}
    scores = test[column(HEADLINE)].to_numpy()
    return [
        {
            "kind": kind,
            "name": name,
            "num_images": len(mine),
            HEADLINE: _interval(
                scores[[place[i] for i in mine]][None],
                [groups.get(i, i) for i in mine],
                limits(column(HEADLINE)),
            ),
        }
        for (kind, name), mine in members_of(home, ids, categories).items()
        if mine and len(mine) < len(ids)
    ]
