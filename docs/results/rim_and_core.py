"""A data set of three classes from one with lesion masks: background, rim and core of each lesion.

    python docs/results/rim_and_core.py PH2Dataset ph2-rim-and-core

The rim is what lies inside the lesion within 5 % of the image's diagonal of its edge; the core is the rest.
So the truth of all classes comes from the published masks, and a small or narrow lesion has no core. Writes
``images/`` (the files as they are) and ``masks/`` with the values 0 (background), 1 (rim) and 2 (core).
"""

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.data.datasets import read
from segstudy.data.masks import read_mask
from segstudy.data.sources import first_file

RIM_FRAC = 0.05  # of the diagonal
BACKGROUND, RIM, CORE = 0, 1, 2


def rim_and_core(lesion: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the classes of a lesion's mask ``(H, W)``; the image's own edge is no edge of the lesion.

    >>> rim_and_core(np.ones((4, 4), np.bool_)).min()
    np.uint8(2)
    """
    if lesion.all():
        return np.full(lesion.shape, CORE, np.uint8)
    depth_px = cv2.distanceTransform(lesion.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    inside = np.where(depth_px > RIM_FRAC * np.hypot(*lesion.shape), CORE, RIM)
    return np.where(lesion, inside, BACKGROUND).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="with lesion masks")
    parser.add_argument("out", type=Path, help="a new folder")
    asked = parser.parse_args()
    without_core = 0
    for name in ("images", "masks"):
        (asked.out / name).mkdir(parents=True)
    samples = read(asked.data).samples
    for sample in samples:
        image = first_file(sample.image)
        shutil.copy(image, asked.out / "images" / f"{sample.id}{image.suffix}")
        classes = rim_and_core(read_mask(sample.mask))
        without_core += not (classes == CORE).any()
        Image.fromarray(classes).save(asked.out / "masks" / f"{sample.id}.png")
    print(f"{asked.out}: {len(samples)} images, {without_core} of them without a core")


if __name__ == "__main__":
    main()
