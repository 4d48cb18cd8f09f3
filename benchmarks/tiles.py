"""Images that are not resized: how windows agree with the whole, and what tiles are worth.

    python benchmarks/tiles.py whole
    python benchmarks/tiles.py mosaics PH2Dataset OUT

``whole``: one float32 U-Net on an image of 1,024 px, at once and in windows of 512 px that overlap by 192 px,
more than its receptive field. Probabilities are to agree within 1e-4 where both are valid: where no window's
border lies within the receptive field of a pixel that counts. The largest difference anywhere is printed too.

``mosaics``: 12 mosaics of 3 x 3 images of PH2, each at half its own size, 4 of them for training, 4 for
validation and 4 for test; so no image is in two of them. The same network is trained with tiles and with
resized mosaics (squash), at the same input size and for the same number of steps, and with one seed each.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

import segstudy
from segstudy.core.windowing import Place, Windowing
from segstudy.data.datasets import read
from segstudy.data.images import read_image
from segstudy.data.masks import read_mask
from segstudy.data.windows import cut, whole
from segstudy.models import build

SIZE, TILE, OVERLAP = 1024, 512, 192
LIMIT = 1e-4
LOGITS_SD = 3
GRID, PARTS = 3, {"train": 4, "validation": 4, "test": 4}


def agreement() -> float:
    """Print the differences between an image at once and in windows; the largest where both are valid."""
    model = build("unet", 8, 0).eval()
    for module in model.modules():  # as after training: batch norm that is not the identity
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, 0, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    image = np.random.default_rng(0).random((SIZE, SIZE, 3), np.float32)

    with torch.inference_mode():  # probabilities as of a trained network, from 0 to 1
        logits = model(torch.from_numpy(image[:TILE, :TILE].transpose(2, 0, 1)[None]))
        centre, spread = logits.mean(), logits.std() / LOGITS_SD

    def network(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
            return ((model(batch) - centre) / spread).sigmoid()[:, 0].numpy()

    def forward(places: Sequence[Place]) -> NDArray[np.float32]:
        return network(np.stack([cut(image, place, (TILE, TILE)) for place in places]))

    windows = Windowing((TILE, TILE), OVERLAP).of((SIZE, SIZE))
    at_once, blended = network(image[None])[0], whole(windows, forward)
    difference = np.abs(at_once - blended)
    field = receptive_field(model)
    single = np.abs(at_once - whole(windows, lambda places: hidden(forward(places), places, field)))
    table = Table("U-Net, 1,024 px", f"windows of {TILE} px, starts {windows.rows}")
    table.add_row("receptive field", f"{2 * field + 1} px, overlap at least {OVERLAP} px")
    table.add_row("probabilities", f"{at_once.min():.3f} to {at_once.max():.3f}")
    valid = np.isfinite(single)
    table.add_row(
        "largest difference where both are valid", f"{single[valid].max():.1e} ({valid.mean():.1%})"
    )
    table.add_row("largest difference anywhere", f"{difference.max():.1e}")
    Console().print(table)
    return float(single[valid].max())


def receptive_field(model: torch.nn.Module) -> int:
    """How far from a pixel the input still changes its logit, in pixels."""
    image = torch.rand(1, 3, TILE, TILE, requires_grad=True)
    middle = TILE // 2
    model(image)[0, 0, middle, middle].backward()
    assert image.grad is not None
    rows = torch.nonzero(image.grad.abs().sum((0, 1, 3)))[:, 0]
    return int((rows - middle).abs().max())


def hidden(prob: NDArray[np.float32], places: Sequence[Place], field: int) -> NDArray[np.float32]:
    """Return probabilities of windows, without those that a border inside of the image may change: NaN."""
    found = prob.copy()
    for each, place in zip(found, places, strict=True):
        for axis, start in enumerate(place):
            along = each if axis == 0 else each.T
            if start > 0:
                along[:field] = np.nan
            if start + TILE < SIZE:
                along[TILE - field :] = np.nan
    return found


def write_mosaics(data: str, folder: Path) -> None:
    """Write 12 mosaics with their masks, and in which subset they are."""
    samples = read(data).samples
    order = np.random.default_rng(0).permutation(len(samples))
    rows, done = ["id,part"], 0
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for part, number in PARTS.items():
        for i in range(number):
            chosen = [samples[k] for k in order[done : done + GRID**2]]
            done += GRID**2
            images = [Image.fromarray(read_image(each.image)) for each in chosen]
            masks = [Image.fromarray(read_mask(each.mask).astype(np.uint8) * 255) for each in chosen]
            for kind, pictures in (("images", images), ("masks", masks)):
                _mosaic(pictures).save(folder / kind / f"{part}{i}.png")
            rows.append(f"{part}{i},{part}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _mosaic(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return pictures side by side, each at half the size of PH2's: 384 x 288 pixels."""
    width, height = 384, 288
    out = Image.new(pictures[0].mode, (GRID * width, GRID * height))
    for i, picture in enumerate(pictures):
        how = Image.Resampling.BILINEAR if picture.mode == "RGB" else Image.Resampling.NEAREST
        out.paste(picture.resize((width, height), how), (i % GRID * width, i // GRID * height))
    return out


def mosaics(data: str, out: Path, steps: int, size: int) -> None:
    """Train by tiles and by resizing, and print the IoU of both."""
    if not (out / "data" / "metadata.csv").exists():
        write_mosaics(data, out / "data")
    study = segstudy.run(
        out / "data",
        out=out / "study",
        architecture="unet",
        loss="combo",
        batch_size=8,
        image_size=size,
        resize=["squash", "tiles"],
        width=8,
        steps=steps,
        split="official",
        record_test=False,
        yes=True,  # the estimate of a busy machine
    )
    Console().print(f"{out / 'study'}: input {size} px, {steps} steps")
    for row in study.leaderboard().iter_rows(named=True):
        scores = ", ".join(
            f"{name} {row[name]:.3f}" for name in ("validation_iou", "test_iou", "test_hd95_px")
        )
        Console().print(f"{row['configuration']}: {scores}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("whole")
    of_mosaics = what.add_parser("mosaics")
    of_mosaics.add_argument("data")
    of_mosaics.add_argument("out", type=Path)
    of_mosaics.add_argument("--steps", type=int, default=800)
    of_mosaics.add_argument("--size", type=int, default=128)
    asked = parser.parse_args()
    if asked.what == "whole":
        sys.exit(0 if agreement() < LIMIT else 1)
    mosaics(asked.data, asked.out, asked.steps, asked.size)


if __name__ == "__main__":
    main()
