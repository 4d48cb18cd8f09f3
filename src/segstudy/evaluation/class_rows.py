"""The table ``classes.parquet``: one row per image, part and class, where there are several classes."""

from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from segstudy.core.outputs import Mask, Outputs
from segstudy.evaluation.blocks import in_blocks
from segstudy.evaluation.class_scores import Compared

COUNTS = ("num_objects", "num_missed", "num_invented")
SCHEMA: dict[str, Any] = {
    "id": pl.String(),
    "part": pl.String(),
    "class": pl.String(),
    "in_truth": pl.Boolean(),
    "in_prediction": pl.Boolean(),
    "predicted_px": pl.List(pl.UInt32()),
    **dict.fromkeys(COUNTS, pl.UInt32()),
}


def class_table(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Return the table of the rows of many images.

    Columns: ``id``, ``part``; ``class``, its name, the background too; ``in_truth`` and ``in_prediction``,
    whether it has any pixel at native size; ``predicted_px``, the pixels of this true class at native size
    that are predicted as each of the classes, in their order (null if classes overlap); ``num_objects``, true
    objects, ``num_missed`` of them and ``num_invented`` predicted ones, which have no pixel of the other mask
    (null for the background); and every metric that the image table has, at network and native size. A class
    that is in neither mask has the scores of two empty masks: IoU 1.
    """
    return in_blocks(rows, overrides=SCHEMA)


def class_rows(
    about: dict[str, Any],
    prediction: Mask,
    truth: Mask,
    native: Compared,
    network: Compared | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the row of each class of one image.

    Args:
        about: columns that all rows of the image share, such as ``id`` and ``part``.
        prediction: the predicted mask at native size.
        truth: the true one.
        native: the comparison of the two.
        network: that at network size, if there is one.
    """
    outputs = native.outputs
    confusion = confusion_of(prediction, truth, outputs)
    for number, name in enumerate(outputs.names):
        yield {
            **about,
            "class": name,
            "in_truth": native.in_truth[number],
            "in_prediction": native.in_prediction[number],
            "predicted_px": None if confusion is None else confusion[number].tolist(),
            **_objects(prediction, truth, outputs, number),
            **(network.scores[number] if network else {}),
            **native.scores[number],
        }


def confusion_of(prediction: Mask, truth: Mask, outputs: Outputs) -> NDArray[np.int64] | None:
    """Return the pixels of each true class predicted as each class, ``(K, K)``; None if classes overlap."""
    if outputs.task == "multilabel":
        return None
    num_classes, valid = len(outputs.names), outputs.valid(truth)
    true, predicted = (mask.ravel() if valid is None else mask[valid] for mask in (truth, prediction))
    pairs = true.astype(np.intp) * num_classes + predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def _objects(prediction: Mask, truth: Mask, outputs: Outputs, number: int) -> dict[str, int | None]:
    """The numbers of true objects of a class, of those missed, and of predicted ones that are invented.

    An object is an area of pixels that touch at sides or corners, however small.
    """
    if number not in outputs.scored:
        return dict.fromkeys(COUNTS)
    there, found = outputs.plane(truth, number), outputs.plane(prediction, number)
    valid = outputs.valid(truth)
    if valid is not None:
        found = found & valid
    num_objects, missed = _without(there, found)
    return dict(zip(COUNTS, (num_objects, missed, _without(found, there)[1]), strict=True))


def _without(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[int, int]:
    """The number of objects of a mask, and of those without any pixel of the other mask."""
    num_labels, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    num_found = len(np.unique(labels[other & mask]))
    return num_labels - 1, num_labels - 1 - num_found
