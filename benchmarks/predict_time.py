"""``segstudy predict`` beside OpenVINO used directly (``openvino_loop.py``), and the first call of one image.

    python benchmarks/predict_time.py PH2Dataset MODEL docs/results/speed/predict.json

MODEL is a run's or a study's folder. Both read the same images with the same converted network, write masks
of native size, and are whole processes, imports included; they take turns. The ratio is the median over the
rounds. segstudy also writes measurements of each mask, checks the model's checksums, and can continue when it
was stopped. The first calls have an empty cache each, so that no converted network is there. Python keeps the
compiled modules of both, as it does where they are installed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import described, write_result
from PIL import Image

from segstudy.api.models import images_of
from segstudy.deploy.predict.load import models_of
from segstudy.deploy.predict.volumes import Item
from segstudy.store.card import read_card
from segstudy.store.records import CARD

PREDICT = [sys.executable, "-m", "segstudy", "predict"]
LOOP = [sys.executable, str(Path(__file__).with_name("openvino_loop.py"))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    items = images_of([asked.data])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        result = {
            "machine": described(),
            "num_images": len(items),
            **side_by_side(asked, items, place),
            "first_call_of_one_image_s": first_calls(asked, items[0], place),
        }
    show(result)
    if asked.out:
        write_result(asked.out, result)


def side_by_side(asked: argparse.Namespace, items: list[Item], place: Path) -> dict[str, Any]:
    """Seconds of both, round by round, and the pixels in which their masks differ."""
    cache = {"SEGSTUDY_CACHE": str(place / "cache")}
    ours = [*PREDICT, str(asked.model), str(asked.data), "--engine", "openvino", "--out"]
    seconds([*ours, str(place / "converted")], **cache)
    (file,) = (place / "cache").glob("networks/*/model.xml")
    size = "x".join(map(str, card_of(asked.model).image_size))
    images = [str(item.file) for item in items]
    took: dict[str, list[float]] = {"segstudy_s": [], "openvino_loop_s": []}
    for i in range(asked.rounds + 1):  # the first one fills the cache of the disk
        out, loop_out = place / f"ours-{i}", place / f"loop-{i}"
        loop_out.mkdir()
        pair = seconds([*ours, str(out)], **cache), seconds([*LOOP, str(file), size, str(loop_out), *images])
        for name, each in zip(took, pair, strict=True):
            took[name] += [each] if i else []
    differing = sum(
        int((pixels(out / "masks" / f"{item.name}.png") != pixels(loop_out / f"{i}.png")).sum())
        for i, item in enumerate(items)
    )
    return {**took, "differing_pixels": differing}


def first_calls(asked: argparse.Namespace, item: Item, place: Path) -> list[float]:
    """Seconds of calls for one image with an empty cache."""
    found = []
    for i in range(3):
        words = [*PREDICT, str(asked.model), str(item.file), "--out", str(place / f"first-{i}")]
        found.append(seconds(words, SEGSTUDY_CACHE=str(place / f"cache-{i}")))
    return found


def seconds(command: list[str], **environment: str) -> float:
    """Seconds of a whole process."""
    kept = {
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir(), "bytecode")),
    }
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **kept, **environment})
    return time.perf_counter() - start


def card_of(model: Path) -> Any:
    models = models_of(model).best()
    (record,) = models.records()
    return read_card(models.folder(record) / CARD)


def pixels(file: Path) -> Any:
    return np.asarray(Image.open(file))


def show(result: dict[str, Any]) -> None:
    ours, loop = result["segstudy_s"], result["openvino_loop_s"]
    ratio = statistics.median(a / b for a, b in zip(ours, loop, strict=True))
    print(f"{result['num_images']} images, medians of {len(ours)} rounds")
    print(f"segstudy predict      {statistics.median(ours):.2f} s")
    print(f"OpenVINO directly     {statistics.median(loop):.2f} s")
    print(f"ratio                 {ratio:.2f}")
    print(f"pixels that differ    {result['differing_pixels']}")
    first = ", ".join(f"{each:.2f}" for each in result["first_call_of_one_image_s"])
    print(f"first call, one image {first} s")


if __name__ == "__main__":
    main()
