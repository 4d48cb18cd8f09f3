"""A metric: of the pixels called background, the share that is."""

from segstudy.metrics import Metric
from segstudy.metrics.counts import Confusion


def negative_predictive_value(counts: Confusion) -> float:
    predicted = counts.tn + counts.fn
    return counts.tn / predicted if predicted else 1.0


TINY_METRIC = Metric(
    function=negative_predictive_value, title="negative predictive value", short="NPV", group="overlap, test"
)
