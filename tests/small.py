"""A study small enough to be trained in a test: a few dozen drawn circles, as ordinary files."""

from pathlib import Path

import numpy as np
from PIL import Image

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
