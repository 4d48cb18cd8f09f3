"""Scores of one image by metric, for the tests of metrics."""

import numpy as np

from segstudy.metrics import METRICS
from segstudy.metrics.calibration import errors
from segstudy.metrics.counts import Mask, confusion
from segstudy.metrics.surface import distances


def overlap_scores(prediction: Mask, target: Mask) -> dict[str, float]:
    return _of("counts", confusion(prediction, target))


def surface_scores(prediction: Mask, target: Mask) -> dict[str, float]:
    return _of("distances", distances(prediction, target))


def calibration_scores(prob: np.ndarray, target: Mask) -> dict[str, float]:
    return _of("errors", errors(prob, target))


def _of(takes: str, *given) -> dict[str, float]:
    return {name: metric.function(*given) for name, metric in METRICS.items() if metric.takes == takes}
