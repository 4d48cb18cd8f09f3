"""Large synthetic pictures with many small objects: what is lost if they are resized.

Discs are speckled and rods are striped, as in ``synthetic_classes``, and both have a few pixels, whatever the
picture's size. They stand in clusters, between spots of the same colours. With two classes discs are
foreground, and rods are not. Nothing here says anything about real images.
"""

import numpy as np
from numpy.typing import NDArray

from segstudy.core.seeding import seed_for
from segstudy.data.datasets.synthetic_classes import (
    COLOURS,
    CORE,
    DISC,
    ROD,
    Object,
    Scene,
    disc,
    ground,
    painted,
    rod,
)
from segstudy.data.datasets.synthetic_images import Field, smooth_noise

NUMERICS = 1  # raised when any pixel below changes

MIN_PX, MAX_PX = 96, 4096  # of a side
AREA_PX = 1600  # for one object, where they stand as close as anywhere
REACH_PX = 28  # from an object's centre to the border of the square in which it is painted
SPOT_REACH_PX = 40


def draw(seed: int, index: int, size_px: int, num_classes: int) -> Scene:
    """Draw sample ``index`` of the set with this seed, side and number of classes, background included."""
    rng = np.random.default_rng(
        seed_for("synthetic fields", seed=seed, sample=index, size_px=size_px, num_classes=num_classes)
    )
    size = size_px, size_px
    crowded = bool(rng.random() < 0.4)
    image, mask = ground(size, rng), np.zeros(size, np.uint8)
    _paint_spots(image, rng)
    centres = _centres(size_px, crowded, rng)
    are_rods = rng.random(len(centres)) < 0.45
    are_rods[:2] = True, False  # no picture is empty
    for centre, is_rod in zip(centres, are_rods, strict=True):
        part = _square(centre, REACH_PX, size_px)
        inner = image[part]
        middle = centre - (part[0].start, part[1].start)
        here = inner.shape[0], inner.shape[1]
        found = [_rod(here, middle, rng)] if is_rod else _disc(here, middle, num_classes, rng)
        for each in found:
            inner[:] = painted(inner, each, rng)
            mask[part][each.depth > 0] = each.number
    if num_classes == 2:
        mask = (mask == DISC).astype(np.uint8)
    image = np.clip(image + rng.normal(0, rng.uniform(0.01, 0.03), image.shape), 0, 1)
    category = "crowded" if crowded else "sparse"
    return Scene(f"field-{index:04}", np.round(image * 255).astype(np.uint8), mask, category)


def _centres(size_px: int, crowded: bool, rng: np.random.Generator) -> Field:
    """Where objects stand ``(n, 2)``: in clusters, closer in some pictures than in others."""
    density = smooth_noise((size_px, size_px), 120, rng)
    centres = rng.uniform(0, size_px, (max(4, size_px**2 // AREA_PX), 2))
    rows, columns = centres.astype(np.int64).T
    chances = np.clip((0.65 if crowded else 0.3) + density[rows, columns], 0.02, 0.95)
    kept = rng.random(len(centres)) < chances
    kept[:2] = True
    return np.asarray(centres[kept])


def _rod(size: tuple[int, int], centre: Field, rng: np.random.Generator) -> Object:
    return rod(size, centre, rng.uniform(0.3, 0.45), rng)


def _disc(size: tuple[int, int], centre: Field, num_classes: int, rng: np.random.Generator) -> list[Object]:
    """A disc; of four classes mostly with its core."""
    radius = rng.uniform(4, 9)
    depth = disc(size, centre, radius, rng)
    found = [Object(DISC, depth, smooth_noise(size, 2.5, rng))]
    if num_classes > CORE and rng.random() < 0.8:
        inner = disc(size, centre, rng.uniform(0.4, 0.6) * radius, rng)
        found.append(Object(CORE, np.minimum(inner, depth - 1), smooth_noise(size, 20, rng)))
    return found


def _paint_spots(image: Field, rng: np.random.Generator) -> None:
    """Paint spots in the colours of the objects, without a border, a texture or a class."""
    size_px = len(image)
    for centre in rng.uniform(0, size_px, (size_px**2 // (6 * AREA_PX), 2)):
        part = _square(centre, SPOT_REACH_PX, size_px)
        inner, colour = image[part], np.array(COLOURS[DISC if rng.random() < 0.5 else ROD])
        middle = centre - (part[0].start, part[1].start)
        depth = disc((inner.shape[0], inner.shape[1]), middle, rng.uniform(5, 12), rng)
        cover = rng.uniform(0.3, 0.7) / (1 + np.exp(-np.clip(depth / rng.uniform(3, 5), -40, 40)))
        inner += cover[..., None] * (colour - inner)


def _square(centre: NDArray[np.float64], reach_px: int, size_px: int) -> tuple[slice, slice]:
    """The square around a place, cut off at the picture's border."""
    row, column = (slice(max(0, int(at) - reach_px), min(size_px, int(at) + reach_px + 1)) for at in centre)
    return row, column
