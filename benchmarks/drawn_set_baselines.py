"""How far trivial methods get on the drawn set: mean per-image IoU at 64 px, over all its images.

python benchmarks/drawn_set_baselines.py
"""

import numpy as np
from numpy.typing import NDArray

from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import Prepared, open_prepared, prepare
from segstudy.metrics.counts import confusion
from segstudy.metrics.overlap import iou


def otsu(grey: NDArray[np.uint8]) -> int:
    """The threshold that separates two classes best (Otsu 1979): darker than it is foreground."""
    share = np.bincount(grey.ravel(), minlength=256) / grey.size
    weight, moment = share.cumsum(), (share * np.arange(256)).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (moment[-1] * weight - moment) ** 2 / (weight * (1 - weight))
    return int(np.nanargmax(between)) + 1


def mean_iou(prepared: Prepared, predicted: list[NDArray[np.bool_]]) -> float:
    pairs = zip(predicted, prepared.masks, strict=True)
    return float(np.mean([iou(confusion(p, np.asarray(m))) for p, m in pairs]))


def main() -> None:
    samples = read("synthetic").samples
    prepared = open_prepared(prepare(samples, fingerprint(samples), (64, 64), "squash"))
    images = list(prepared.images)
    print(f"{len(images)} images")
    print(f"all foreground: {mean_iou(prepared, [np.ones(i.shape[:2], np.bool_) for i in images]):.3f}")
    for channel, name in enumerate(("red", "green", "blue")):
        fixed = max(mean_iou(prepared, [i[..., channel] < t for i in images]) for t in range(40, 200, 5))
        each = mean_iou(prepared, [i[..., channel] < otsu(i[..., channel]) for i in images])
        print(f"{name}: best fixed threshold {fixed:.3f}, Otsu's of each image {each:.3f}")


if __name__ == "__main__":
    main()
