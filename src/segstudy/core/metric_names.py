"""Names and constants of metrics that the store needs, without the libraries that compute them."""

from typing import Literal

Size = Literal["network", "native"]

# Share of the diagonal, where a protocol names no other: the width of boundary IoU (arXiv:2103.16562).
NSD_TOLERANCE = 0.02

# At which foreground probabilities are cut; between two of them lies a bin of probabilities.
THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 20))


def column(metric: str, size: Size = "native") -> str:
    """Return the column of a metric in a table of images, such as ``native_iou``."""
    return f"{size}_{metric}"
