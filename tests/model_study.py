"""A small study with trained models, to predict with, export and serve."""

from pathlib import Path

from small import TINY, write_dataset

import segstudy

ARCHITECTURES = ["segnet", "unet", "unet2", "dilated_unet"]


def train(folder: Path) -> Path:
    """Four architectures on drawn discs; returns the study's folder, the data lie beside."""
    data = write_dataset(folder / "discs", n=24)
    options = TINY | {
        "width": 4,
        "epochs": 6,
        "architecture": ARCHITECTURES,
        "loss": ["bce"],
        "batch_size": [4],
    }
    segstudy.run(data, protocol="classic", out=folder / "study", images=False, workers=1, **options)
    return folder / "study"
