"""Names and constants of metrics that the store needs, without the libraries that compute them."""

from typing import Literal

Size = Literal["network", "native"]
ClassScores = dict[str, dict[str, dict[str, float]]]  # by subset, class and column

# Share of the diagonal, where a protocol names no other: the width of boundary IoU (arXiv:2103.16562).
NSD_TOLERANCE = 0.02

# At which foreground probabilities are cut; between two of them lies a bin of probabilities.
THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 20))


def column(metric: str, size: Size = "native") -> str:
    """Return the column of a metric in a table of images, such as ``native_iou``."""
    return f"{size}_{metric}"


def at_native_size(class_scores: ClassScores) -> ClassScores:
    """Return means by subset and class without those at network size.

    Early studies of several classes stored them, over the images that have the class at native size: small
    ones that vanish at the network's size counted as right.
    """
    network = column("", "network")
    return {
        part: {
            each: {name: mean for name, mean in means.items() if not name.startswith(network)}
            for each, means in classes.items()
        }
        for part, classes in class_scores.items()
    }
