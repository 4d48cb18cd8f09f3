"""The metrics: scores of one predicted mask against the true one.

``METRICS`` describes each completely: a new one is a function and its line here. Columns of tables, the
leaderboard, the report, the model card and printed results are derived from it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.metric_names import NSD_TOLERANCE, Size, column
from segstudy.core.outputs import BINARY, Outputs
from segstudy.core.plugins import usable
from segstudy.metrics import calibration, overlap, surface
from segstudy.metrics.counts import Mask, confusion
from segstudy.metrics.metric import EVERYWHERE, NOWHERE, OFF_THE_TABLE, Metric, Place, Takes

Score = dict[str, float | None]  # ``mean``, ``low`` and ``high`` of a metric over images

IOU, OVERLAP, BOUNDARY, CALIBRATION = (
    "IoU, native size",
    "overlap, test",
    "boundary, test",
    "calibration, test",
)
_DISTANCES = (
    "Hausdorff distance at the 95th percentile and average surface distance between the two boundaries, "
    "native size; {missed} costs the diagonal of its image. In % of that diagonal beside it."
)
_PROBABILITIES = (
    "Expected calibration error of {probability} (15 bins, each image by itself) and its mean "
    "squared error; the least is the best."
)
# The order is the one of the columns of ``images.parquet``.
METRICS: dict[str, Metric] = {
    "iou": Metric(function=overlap.iou, title="IoU", short="IoU", group=IOU, is_headline=True),
    "dice": Metric(
        function=overlap.dice,
        title="Dice",
        short="Dice",
        group=OVERLAP,
        definition="Test, native size, {cut}.",
    ),
    "precision": Metric(
        function=overlap.precision, title="precision", short="precision", group=OVERLAP, shown=NOWHERE
    ),
    "recall": Metric(function=overlap.recall, title="recall", short="recall", group=OVERLAP, shown=NOWHERE),
    "specificity": Metric(
        function=overlap.specificity, title="specificity", short="specificity", group=OVERLAP, shown=NOWHERE
    ),
    "accuracy": Metric(
        function=overlap.accuracy, title="accuracy", short="accuracy", group=OVERLAP, shown=NOWHERE
    ),
    "thresholded_jaccard": Metric(
        function=overlap.thresholded_jaccard,
        title="thresholded Jaccard",
        short="thr. Jaccard",
        group=OVERLAP,
        help="IoU below .65 as 0",
        definition="Thresholded Jaccard: test IoU at native size, an image below .65 counting as 0.",
        shown=frozenset({"csv", "report", "list"}),
    ),
    "iou_tuned": Metric(
        function=overlap.iou,
        takes="tuned_counts",
        title="IoU at the tuned threshold",
        short="tuned IoU",
        group=IOU,
        heading="test, tuned",
        help="at the threshold best on validation",
        definition="Test, native size, cut at the threshold with the highest validation IoU at network size.",
        shown=OFF_THE_TABLE,
    ),
    "hd95_px": Metric(
        function=surface.hd95_px,
        takes="distances",
        title="HD95",
        short="HD95",
        name="95th percentile of the Hausdorff distance",
        group=BOUNDARY,
        help="95th percentile of boundary distances",
        definition=_DISTANCES,
        unit="px",
        digits=1,
        higher_is_better=False,
        highest=np.inf,
        penalty="hd95_frac",
        sizes=("native",),
    ),
    "asd_px": Metric(
        function=surface.asd_px,
        takes="distances",
        title="average surface distance",
        short="ASD",
        group=BOUNDARY,
        help="average surface distance",
        definition=_DISTANCES,
        unit="px",
        digits=1,
        higher_is_better=False,
        highest=np.inf,
        penalty="asd_frac",
        sizes=("native",),
        shown=frozenset({"csv", "report"}),
    ),
    "hd95_frac": Metric(
        function=surface.hd95_frac,
        takes="distances",
        title="HD95 over the diagonal",
        short="HD95",
        group=BOUNDARY,
        help="in % of the image's diagonal",
        definition=_DISTANCES,
        unit="%",
        digits=1,
        report_digits=2,
        higher_is_better=False,
        sizes=("native",),
        shown=frozenset({"csv", "report", "list"}),
        after="hd95_px",
    ),
    "asd_frac": Metric(
        function=surface.asd_frac,
        takes="distances",
        title="average surface distance over the diagonal",
        short="ASD",
        group=BOUNDARY,
        definition=_DISTANCES,
        unit="%",
        digits=1,
        higher_is_better=False,
        sizes=("native",),
        shown=frozenset({"csv", "list"}),
        after="asd_px",
    ),
    "nsd": Metric(
        function=surface.nsd,
        takes="distances",
        title="normalised surface distance",
        short="NSD",
        group=BOUNDARY,
        help="share of the boundaries within {nsd_tolerance}",
        definition="Normalised surface distance: the share of both boundaries no farther than "
        "{nsd_tolerance} from the other.",
        sizes=("native",),
        shown=OFF_THE_TABLE,
        tolerance="nsd_tolerance",
        default_tolerance=NSD_TOLERANCE,
        citation="nsd",
    ),
    "ece": Metric(
        function=calibration.ece,
        takes="errors",
        title="calibration error (ECE)",
        short="ECE",
        group=CALIBRATION,
        help="expected calibration error, 15 bins",
        definition=_PROBABILITIES,
        higher_is_better=False,
        sizes=("native",),
        shown=OFF_THE_TABLE,
    ),
    "brier": Metric(
        function=calibration.brier,
        takes="errors",
        title="Brier score",
        short="Brier",
        group=CALIBRATION,
        help="mean squared error of the probabilities",
        definition=_PROBABILITIES,
        higher_is_better=False,
        sizes=("native",),
        shown=OFF_THE_TABLE,
    ),
}
(HEADLINE,) = (name for name, metric in METRICS.items() if metric.is_headline)
METRICS |= usable("metric", METRICS, Metric)  # those of plug-ins behind ours

__all__ = [
    "EVERYWHERE",
    "HEADLINE",
    "METRICS",
    "Metric",
    "Score",
    "column",
    "in_order",
    "limits_on",
    "mask_scores",
    "prob_scores",
    "shown_in",
    "unknown_of_masks",
]


def of_column(name: str) -> Metric | None:
    """Return the metric of a column in a table of images."""
    size, _, metric = name.partition("_")
    return METRICS.get(metric) if size in ("network", "native") else None


def limits(column_name: str) -> tuple[float, float]:
    """Return the lowest and highest value of a column in a table of images; infinite if it is unknown."""
    metric = of_column(column_name)
    return (metric.lowest, metric.highest) if metric else (-np.inf, np.inf)


def limits_on(column_name: str, scores: Mapping[str, NDArray[np.float64]]) -> tuple[float, float]:
    """Return the same on some images: a distance in pixels is at most the largest of their diagonals.

    Args:
        column_name: of the metric.
        scores: of these images by column, arrays of one shape; the diagonals follow from a distance and
            its share of the diagonal, the metric's ``penalty``.
    """
    lowest, highest = limits(column_name)
    metric = of_column(column_name)
    if metric is None or metric.unit != "px" or column(metric.penalty) not in scores:
        return lowest, highest
    share = scores[column(metric.penalty)]
    diagonals = scores[column_name][share > 0] / share[share > 0]
    return lowest, min(highest, float(diagonals.max(initial=0.0)))


def in_order() -> dict[str, Metric]:
    """Return all metrics in the order of reading: one with an ``after`` follows that metric."""
    names = [name for name, metric in METRICS.items() if not metric.after]
    for name, metric in METRICS.items():
        if metric.after:
            names.insert(names.index(metric.after) + 1, name)
    return {name: METRICS[name] for name in names}


def shown_in(place: Place) -> dict[str, Metric]:
    """Return the metrics of one place, those of a group side by side."""
    shown = {name: metric for name, metric in in_order().items() if place in metric.shown}
    groups = list(dict.fromkeys(metric.group for metric in shown.values()))
    return dict(sorted(shown.items(), key=lambda item: groups.index(item[1].group)))


def prob_scores(  # noqa: PLR0913 (what is compared, and how)
    prob: NDArray[np.float32],
    prediction: Mask,
    target: Mask,
    size: Size,
    nsd_tolerance: float = NSD_TOLERANCE,
    *,
    tuned: Mask | None = None,
    valid: Mask | None = None,
) -> dict[str, float]:
    """Return every metric of one image and class at a size, by column.

    Args:
        prob: the probabilities of the class ``(H, W)``.
        prediction: where it is predicted.
        target: where it is true.
        size: of all, ``network`` or ``native``.
        nsd_tolerance: of the normalised surface distance, a share of the diagonal.
        tuned: where it is predicted at the threshold best on validation; without it, metrics of that are left
            out.
        valid: the pixels that count, if some are ignored. Neither mask has the others, and their boundaries
            run along them.
    """
    if valid is not None:
        prediction, target = prediction & valid, target & valid

    def counted(plane: NDArray[Any]) -> NDArray[Any]:
        return plane if valid is None else plane[valid]

    makers: dict[Takes, Callable[[], tuple[Any, ...]]] = {
        "counts": lambda: (confusion(prediction, target, valid),),
        "distances": lambda: (surface.distances(prediction, target, nsd_tolerance),),
        "probabilities": lambda: (counted(prob), counted(target)),
        "errors": lambda: (calibration.errors(counted(prob), counted(target)),),
    }
    if tuned is not None:
        at_tuned = tuned if valid is None else tuned & valid
        makers["tuned_counts"] = lambda: (confusion(at_tuned, target, valid),)
    return _scores(makers, size)


def mask_scores(
    prediction: Mask,
    target: Mask,
    size: Size = "native",
    takes: Iterable[Takes] = ("counts", "distances"),
    nsd_tolerance: float = NSD_TOLERANCE,
    valid: Mask | None = None,
) -> dict[str, float]:
    """Return every metric of one image and class that needs no probabilities, by column.

    Args:
        prediction: ``(H, W)``.
        target: ``(H, W)``, the true mask.
        size: of both, ``network`` or ``native``.
        takes: ``counts`` alone leaves out surface distances, which are slow.
        nsd_tolerance: of the normalised surface distance, a share of the diagonal.
        valid: as in ``prob_scores``.
    """
    if valid is not None:
        prediction, target = prediction & valid, target & valid
    makers: dict[Takes, Callable[[], tuple[Any, ...]]] = {
        "counts": lambda: (confusion(prediction, target, valid),),
        "distances": lambda: (surface.distances(prediction, target, nsd_tolerance),),
    }
    return _scores({each: makers[each] for each in takes}, size)


def unknown_of_masks(outputs: Outputs = BINARY) -> Iterator[str]:
    """Return the columns that a mask alone cannot have: those at network size, and those of probabilities."""
    has_tuned = outputs.task == "binary"
    there = {name: each for name, each in METRICS.items() if has_tuned or each.takes != "tuned_counts"}
    yield from (column(name, "network") for name, each in there.items() if "network" in each.sizes)
    yield from (column(name) for name, each in there.items() if each.needs_probabilities)


def _scores(makers: Mapping[Takes, Callable[[], tuple[Any, ...]]], size: Size) -> dict[str, float]:
    found: dict[str, float] = {}
    made: dict[str, tuple[Any, ...]] = {}
    for name, metric in METRICS.items():
        if size in metric.sizes and metric.takes in makers:
            if metric.takes not in made:
                made[metric.takes] = makers[metric.takes]()
            found[column(name, size)] = metric.function(*made[metric.takes])
    return found
