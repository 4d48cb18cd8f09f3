"""Models whose images are not resized: a network of fresh weights in a folder, or one of known outputs."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segstudy.core.classes import parse_classes
from segstudy.core.outputs import outputs_of
from segstudy.models import build
from segstudy.store.weights import copy_weights, model_files

TILE, OVERLAP = 32, 8


def tiled_model(
    folder: Path, classes: str | None = None, channels: int | None = None, **card: object
) -> Path:
    """Write a U-Net of fresh weights, and return its folder."""
    outputs = outputs_of(parse_classes(classes) if classes else ())
    network = build("unet", 4, 0, outputs, channels or 3)
    tiles = picture(4 * TILE, 4 * TILE, channels or 3).reshape(4, TILE, 4, TILE, -1)
    batch = torch.from_numpy(tiles).permute(0, 2, 4, 1, 3).reshape(16, -1, TILE, TILE) / 255
    with torch.no_grad():
        last = [each for each in network.modules() if isinstance(each, torch.nn.Conv2d)][-1]
        last.weight *= 30  # so that probabilities differ
        for _ in range(20):  # so that its normalisation fits
            logits = network.train()(batch)
        last.bias -= logits.mean(dim=(0, 2, 3))
    about = {
        **{"key": "0123456789abcdef", "architecture": "unet", "width": 4, "image_size": [TILE, TILE]},
        **{"resize": "tiles", "overlap": OVERLAP, "threshold": 0.5, "selected_epoch": 1, "scores": {}},
        **{"tuned_threshold": None, "classes": classes, "channels": channels},
        "training": {"numerics": {"preprocessing": 1, "architecture": 1}},
    }
    folder.mkdir(parents=True)
    given = {name: value for name, value in (about | card).items() if value is not None or "thr" in name}
    for name, content in model_files(copy_weights(network), given).items():
        (folder / name).write_bytes(content)
    return folder


def picture(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    """A smooth image, so that masks are more than noise."""
    y, x = np.mgrid[:height, :width]
    values = [127 + 120 * np.sin(y / (9 + i) + i) * np.cos(x / (13 - i)) for i in range(channels)]
    return np.stack(values, axis=-1).astype(np.uint8)
