"""A study small enough to be trained in a test: a few dozen drawn circles, as ordinary files."""

from pathlib import Path

import numpy as np
from PIL import Image
from tiff_writer import tiff

SIZES = ((40, 48), (48, 40), (44, 44))


def write_dataset(folder: Path, n: int = 16, seed: int = 0) -> Path:
    """n pictures of one dark disc each, with the disc as mask, in the `folder` layout."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        height, width = SIZES[i % len(SIZES)]
        y, x = np.mgrid[:height, :width]
        centre = rng.uniform(0.35, 0.65, 2) * (height, width)
        mask = np.hypot(y - centre[0], x - centre[1]) < rng.uniform(8, 16)
        image = np.where(mask[..., None], (120, 70, 50), (220, 180, 150)) + rng.normal(
            0, 12, (height, width, 3)
        )
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"disc{i:02}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / f"disc{i:02}.png")
    return folder


# Options of segstudy.run for a study of seconds.
TINY = {"image_size": 32, "width": 2, "epochs": 2, "fields": {"record_test": False}}


def write_classes(folder: Path, n: int = 12, *, overlapping: bool = False, void: bool = False) -> Path:
    """n pictures of a disc with a cup in it, in the `folder` layout; every fourth has no cup.

    Masks are 0, 1 and 2; with ``overlapping`` they are 0 and 255 in masks/disc/ and masks/cup/, and the disc
    holds the cup too. With ``void`` the outermost pixels of the masks are 255.
    """
    for name in ("images", *(("masks/disc", "masks/cup") if overlapping else ("masks",))):
        (folder / name).mkdir(parents=True)
    for i in range(n):
        rng = np.random.default_rng(i)
        height, width = SIZES[i % len(SIZES)]
        y, x = np.mgrid[:height, :width]
        far = np.hypot(*(axis - rng.uniform(0.4, 0.6) * axis.max() for axis in (y, x)))
        disc, cup = far < rng.uniform(11, 16), far < rng.uniform(4, 8) * (i % 4 > 0)
        colours = np.where(
            cup[..., None], (60, 40, 90), np.where(disc[..., None], (190, 120, 60), (220, 200, 180))
        )
        image = (colours + rng.normal(0, 12, colours.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"eye{i:02}.png")
        if overlapping:
            for name, mask in (("disc", disc), ("cup", cup)):
                Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / name / f"eye{i:02}.png")
            continue
        numbers = disc.astype(np.uint8) + cup
        if void:
            numbers[[0, -1]] = 255
        Image.fromarray(numbers).save(folder / "masks" / f"eye{i:02}.png")
    return folder


CLASSES = "background=0,disc=1,cup=2"  # of the masks of `write_classes`


def write_channels(folder: Path, channels: int, n: int = 12) -> Path:
    """n TIFFs of 12 bits with one disc each, which only the last channel shows, in the `folder` layout."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for i in range(n):
        rng = np.random.default_rng(i)
        height, width = SIZES[i % len(SIZES)]
        y, x = np.mgrid[:height, :width]
        mask = np.hypot(y - height * rng.uniform(0.35, 0.65), x - width * rng.uniform(0.35, 0.65)) < 10
        values = rng.normal(1500, 200, (height, width, channels))
        values[..., -1] += 1500 * mask
        bands = values.clip(0, 4095).astype(np.uint16)
        (folder / "images" / f"disc{i:02}.tif").write_bytes(tiff(bands[..., 0] if channels == 1 else bands))
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / f"disc{i:02}.png")
    return folder
