"""Wrong masks planted into a data set: mirrored, shifted, swapped with another image's, half erased."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fake_data import save
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.bool_]
SHIFT_FRAC = 0.15  # of height and of width
KINDS = ("mirrored", "shifted", "swapped", "half missing")


@dataclass(frozen=True)
class Picture:
    """An image with its true mask."""

    id: str
    group: str
    image: NDArray[np.uint8]
    mask: Mask


@dataclass(frozen=True)
class Planted:
    """A wrong mask, and its IoU with the true one."""

    kind: str
    mask: Mask
    iou: float


def plant(pictures: Sequence[Picture], frac: float, seed: int) -> dict[str, Planted]:
    """Return wrong masks for this share of the images, by id: each kind about equally often.

    No mask is chosen by how wrong it becomes: a round lesion in the middle hardly differs from its mirror
    image.
    """
    rng = np.random.default_rng(seed)
    number = round(frac * len(pictures))
    usable = [picture for picture in pictures if picture.mask.any()]
    chosen = [usable[i] for i in rng.permutation(len(usable))[:number]]
    num_swapped = 2 * round(number / 8)
    wrong = {}
    for i, picture in enumerate(chosen):
        if i < num_swapped:
            kind, mask = "swapped", _resized(chosen[i ^ 1].mask, picture.mask.shape)
        else:
            kind = ("mirrored", "shifted", "half missing")[(i - num_swapped) % 3]
            mask = {"mirrored": mirrored, "shifted": shifted, "half missing": half}[kind](picture.mask, rng)
        wrong[picture.id] = Planted(kind, mask, iou(mask, picture.mask))
    return wrong


def mirrored(mask: Mask, rng: np.random.Generator) -> Mask:
    """Left and right, or top and bottom, exchanged."""
    return np.flip(mask, int(rng.integers(2)))


def shifted(mask: Mask, rng: np.random.Generator) -> Mask:
    """Moved towards a corner; what leaves the frame is lost."""
    out = mask
    for axis, length in enumerate(mask.shape):
        by = round(SHIFT_FRAC * length) * int(rng.choice([-1, 1]))
        out = np.roll(out, by, axis)
        gone = slice(0, by) if by > 0 else slice(by, None)
        out[(slice(None),) * axis + (gone,)] = False
    return out


def half(mask: Mask, rng: np.random.Generator) -> Mask:
    """One half erased, on one side of the middle of its extent."""
    axis = int(rng.integers(2))
    places = np.flatnonzero(mask.any(axis=1 - axis))
    middle = (int(places[0]) + int(places[-1]) + 1) // 2
    gone = slice(0, middle) if rng.integers(2) else slice(middle, None)
    out = mask.copy()
    out[(slice(None),) * axis + (gone,)] = False
    return out


def iou(a: Mask, b: Mask) -> float:
    """Of two masks; 1 of two empty ones."""
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 1.0


def write(root: Path, pictures: Sequence[Picture], wrong: Mapping[str, Planted]) -> Path:
    """Write ``images/``, ``masks/`` and ``metadata.csv`` with the wrong masks in place of the true ones."""
    for picture in pictures:
        save(root / "images" / f"{picture.id}.png", picture.image)
        planted = wrong.get(picture.id)
        save(root / "masks" / f"{picture.id}.png", planted.mask if planted else picture.mask)
    with (root / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "group"])
        table.writerows([picture.id, picture.group] for picture in pictures)
    return root


def _resized(mask: Mask, shape: tuple[int, ...]) -> Mask:
    image = Image.fromarray(mask).resize((shape[1], shape[0]), Image.Resampling.NEAREST)
    return np.asarray(image).astype(bool)
