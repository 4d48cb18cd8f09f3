"""Peak memory and time of ``segstudy predict`` for TIFFs of 1, 4 and 16 times the area.

    python benchmarks/large_tiff.py docs/results/export/large-tiff.json

The images are RGB in tiles of 256 px, compressed by JPEG, as slide scanners write them; the U-Net has fresh
weights, which need the memory and time of trained ones. Each prediction is a process of its own, with masks
and probabilities; its peak is what the system counts as resident, with the libraries. The smaller ones are
segmented as a whole too, as the command does; and by window, for which its limit is taken away.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from machine import described, write_result
from numpy.typing import NDArray

from segstudy.core.outputs import BINARY
from segstudy.data.large_tiff import is_large_tiff
from segstudy.models import build
from segstudy.store.weights import copy_weights, model_files

SIDES_PX = (5_000, 10_000, 20_000)
TILE_PX, OVERLAP_PX, WIDTH = 512, 128, 16
STORED_PX = 256


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES_PX)
    parser.add_argument("--place", type=Path, help="a folder with room for 2 GB")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.place) as folder:
        place = Path(folder)
        model = write_model(place / "model")
        measured(asked.engine, model, write_image(place / "first.tif", 1_000), place)  # converts it
        images = [write_image(place / f"{side}.tif", side) for side in asked.sides]
        found = [measured(asked.engine, model, image, place) for image in images]
    result = {"machine": described(), "tile_px": TILE_PX, "overlap_px": OVERLAP_PX, "width": WIDTH}
    for each in found:
        print(
            f"{each['side_px']:6} px: {each['peak_mb']:5} MB, {each['seconds']:6.1f} s by window"
            + (f"; {each['peak_mb_whole']:5} MB as a whole" if "peak_mb_whole" in each else "")
        )
    if asked.out:
        write_result(asked.out, {**result, "engine": asked.engine, "images": found})


def write_model(folder: Path) -> Path:
    """Write a U-Net of fresh weights whose images are not resized."""
    network = build("unet", WIDTH, 0, BINARY)
    card = {
        **{"key": "0" * 16, "architecture": "unet", "width": WIDTH, "image_size": [TILE_PX, TILE_PX]},
        **{"resize": "tiles", "overlap": OVERLAP_PX, "threshold": 0.5, "selected_epoch": 1},
        **{"tuned_threshold": None, "scores": {}},
        "training": {"numerics": {"preprocessing": 1, "architecture": 1}},
    }
    folder.mkdir()
    for name, content in model_files(copy_weights(network), card).items():
        (folder / name).write_bytes(content)
    return folder


def write_image(file: Path, side: int) -> Path:
    """Write a square image of spots, tile by tile."""
    tifffile.imwrite(
        file,
        _tiles(side),
        shape=(side, side, 3),
        dtype=np.uint8,
        tile=(STORED_PX, STORED_PX),
        photometric="ycbcr",
        compression="jpeg",
        subsampling=(1, 1),
    )
    return file


def _tiles(side: int) -> Iterator[NDArray[np.uint8]]:
    y, x = np.mgrid[:STORED_PX, :STORED_PX] / STORED_PX
    number = -(-side // STORED_PX)
    for i in range(number**2):
        spot = np.hypot(y - 0.5, x - 0.3 - 0.4 * (i % 7) / 7) < 0.1 + 0.2 * (i % 5) / 5
        yield np.where(spot[..., None], (120, 70, 150), (230, 200, 220)).astype(np.uint8)


def measured(engine: str, model: Path, image: Path, place: Path) -> dict[str, Any]:
    """Predict an image, and return the seconds and the peak of the memory."""
    seconds, peak = predicted(engine, model, image, place, by_window=True)
    side = int(tifffile.TiffFile(image).pages[0].imagewidth)
    mask = place / f"{image.stem}-True" / "masks" / f"{image.stem}.tif"
    assert tifffile.TiffFile(mask).pages[0].shape == (side, side)
    found = {
        "side_px": side,
        "seconds": round(seconds, 1),
        "peak_mb": round(peak),
        "image_mb": round(image.stat().st_size / 1e6),
        "mask_mb": round(mask.stat().st_size / 1e6, 1),
    }
    if not is_large_tiff(image):
        seconds, peak = predicted(engine, model, image, place, by_window=False)
        found |= {"seconds_whole": round(seconds, 1), "peak_mb_whole": round(peak)}
    return found


def predicted(engine: str, model: Path, image: Path, place: Path, by_window: bool) -> tuple[float, float]:
    """Predict an image in another process; return the seconds and the peak of the memory in MB."""
    out = place / f"{image.stem}-{by_window}"
    command = ["predict", str(model), str(image), "--out", str(out), "--probability", "--engine", engine]
    limit = "from segstudy.data import large_tiff; large_tiff.MAX_PIXELS = 0; " if by_window else ""
    code = f"import sys; {limit}from segstudy.__main__ import main; main()"
    environment = {**os.environ, "SEGSTUDY_CACHE": str(place / "cache")}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *command], env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{image.name}: ended with {status}")
    return time.perf_counter() - began, usage.ru_maxrss / 1000


if __name__ == "__main__":
    main()
