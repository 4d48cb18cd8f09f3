"""Networks of several classes for tests of predictions: what a pixel's colour says is what they find.

Of exclusive classes red is the background, green the disc and blue the cup; of overlapping ones green is the
disc and blue the cup.
"""

import numpy as np
from numpy.typing import NDArray

from segstudy.deploy.engines.base import Network
from segstudy.store.card import Card

EXCLUSIVE, OVERLAPPING = "background=0,optic disc=1,cup=2", "optic disc,cup"
RED, GREEN, BLUE, BOTH = (200, 30, 20), (20, 200, 30), (10, 40, 200), (0, 250, 250)


def card(classes: str | None, **changed: object) -> Card:
    fields = {
        **{"format": 1, "key": "0123456789abcdef", "architecture": "unet", "width": 4, "image_size": 32},
        **{"resize": "squash", "threshold": 0.5, "training": {"numerics": {"preprocessing": 1}}},
        **{"selected_epoch": 1, "tuned_threshold": 0.5, "scores": {}, "classes": classes},
    }
    return Card.model_validate(fields | changed)


def network(classes: str, **changed: object) -> Network:
    def forward(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        colours = np.moveaxis(images, -1, 1).astype(np.float32)
        if classes == OVERLAPPING:
            return colours[:, 1:] / np.float32(255)
        return np.asarray((colours + 1) / (colours + 1).sum(axis=1, keepdims=True))

    return Network(card(classes, **changed), "colours", "colours, float32", forward)


def eye(height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    """A disc with a cup in it, and a second, smaller disc."""
    y, x = np.mgrid[:height, :width]
    pixels = np.full((height, width, 3), RED, np.uint8)
    pixels[np.hypot(y - height / 2, x - width / 3) < height / 3] = GREEN
    pixels[np.hypot(y - height / 2, x - width / 3) < height / 6] = BLUE
    pixels[np.hypot(y - height / 2, x - 5 * width / 6) < height / 8] = GREEN
    return pixels
