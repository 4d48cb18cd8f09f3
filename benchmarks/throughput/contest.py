"""What the contenders of ``throughput.py`` share: what is asked of them, the data, what they answer."""

import argparse
import json
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.split import Split, make_split


@dataclass(frozen=True)
class Task:
    """Train each architecture once per seed, validate after every epoch.

    Attributes:
        data: a data set's folder.
        architectures: names.
        seeds: 0 to N-1.
        epochs, batch_size, image_size, width: of every training.
        variant: of segstudy alone.
    """

    data: str
    architectures: tuple[str, ...]
    seeds: int
    epochs: int
    batch_size: int
    image_size: int
    width: int
    variant: str


def task() -> Task:
    """As the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--architectures", default="segnet,unet,unet2,dilated_unet")
    parser.add_argument("--variant", default="")
    for name, default in (("seeds", 1), ("epochs", 3), ("batch-size", 8), ("image-size", 128), ("width", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    fields = vars(parser.parse_args())
    return Task(**{**fields, "architectures": tuple(fields["architectures"].split(","))})


@dataclass(frozen=True)
class Arrays:
    """Images ``(N, 3, H, W)`` in [0, 1] and masks ``(N, 1, H, W)`` of one part, float32."""

    images: NDArray[np.float32]
    masks: NDArray[np.float32]


def samples_of(data: str) -> tuple[tuple, Split]:
    """The data set and the split that segstudy would take."""
    samples = read(data).samples
    return samples, make_split(samples, "auto", 0)


def arrays(asked: Task) -> dict[str, Arrays]:
    """Training and validation images in memory, as a notebook holds them."""
    samples, split = samples_of(asked.data)
    size = (asked.image_size, asked.image_size)
    prepared = open_prepared(prepare(samples, fingerprint(samples), size, "squash"))
    found = {}
    for name in ("train", "validation"):
        at = prepared.positions(split.part(name))
        images = np.ascontiguousarray(prepared.images[at].transpose(0, 3, 1, 2), np.float32) / 255
        found[name] = Arrays(images, prepared.masks[at][:, None].astype(np.float32))
    return found


def iou(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Per image, at a logit of 0."""
    predicted, true = logits >= 0, masks >= 0.5
    union = (predicted | true).sum((1, 2, 3))
    return torch.where(union == 0, 1.0, (predicted & true).sum((1, 2, 3)) / union.clamp(min=1))


class Answer:
    """Seconds of every training, and its best validation IoU; printed as JSON at the end."""

    def __init__(self) -> None:
        self._begun = self._mark = time.perf_counter()
        self._trainings: list[dict[str, object]] = []

    def trained(self, architecture: str, seed: int, best_iou: float) -> None:
        """One training has ended."""
        now = time.perf_counter()
        self._trainings.append(
            {"architecture": architecture, "seed": seed, "seconds": now - self._mark, "iou": best_iou}
        )
        self._mark = now

    def give(self) -> None:
        """Say how it went."""
        print(json.dumps({"seconds": time.perf_counter() - self._begun, "trainings": self._trainings}))
