"""Images to masks, whole processes: segstudy's engines beside a plain PyTorch loop, on the same files.

    python benchmarks/predicting.py PH2Dataset STUDY docs/results/export/predicting-128px.json

Every contender reads the published images and writes a mask of native size as PNG for each, in a process of
its own, all cores at its disposal, imports included. They take turns; times are medians of the rounds, ratios
are of times of one round. IoU is of the written masks to truth, over the study's test part. The study's best
run is used; its exported files are made before, without the gate (``export_parity.py`` has that).
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
from export_parity import exports
from machine import described, write_result
from rich.console import Console
from rich.progress import track
from rich.table import Table

from segstudy.api.models import images_of
from segstudy.data.datasets import read
from segstudy.data.images import read_mask
from segstudy.deploy.predict.load import models_of
from segstudy.metrics.counts import confusion
from segstudy.metrics.overlap import iou
from segstudy.store.trained_models import parts_of

LOOP = "plain loop, float32"


def plain_loop(run: str, images: list[str], out: str) -> None:
    """What a user would write, with the same network."""
    import torch
    from PIL import Image
    from torch.nn import functional as F

    from segstudy.store.weights import load_model

    model, card = load_model(Path(run))
    height, width = card["image_size"]
    with torch.no_grad():
        for i, file in enumerate(images):
            image = Image.open(file).convert("RGB")
            small = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
            batch = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
            prob = model(batch).sigmoid()
            native = F.interpolate(prob, size=image.size[::-1], mode="bilinear", align_corners=False)
            mask = (native[0, 0] >= 0.5).numpy().astype(np.uint8) * 255
            Image.fromarray(mask).save(Path(out) / f"{i}.png")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("study", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="parts of contenders' names, with ; between; the loop always runs")
    parser.add_argument("--loop", nargs=2)
    asked = parser.parse_args()
    items = images_of([asked.data])
    if asked.loop:
        plain_loop(asked.loop[0], [str(item.file) for item in items], asked.loop[1])
        return
    models = models_of(asked.study).best()
    (record,) = models.records()
    run = str(models.folder(record))
    with tempfile.TemporaryDirectory() as place:
        files = exports(models, Path(place))
        contenders = {
            LOOP: None,
            "run, PyTorch": [run, "--engine", "torch"],
            "run, OpenVINO from the cache (default)": [run],
            "ONNX, float32": [str(files["onnx", "float32"])],
            "OpenVINO, float32": [str(files["openvino", "float32"]), "--precision", "float32"],
            "OpenVINO, bfloat16": [str(files["openvino", "float32"])],
            "ONNX, int8": [str(files["onnx", "int8"])],
            "OpenVINO, int8": [str(files["openvino", "int8"])],
        }
        if asked.only:
            wanted = [LOOP, *asked.only.split(";")]
            contenders = {name: each for name, each in contenders.items() if any(w in name for w in wanted)}
        os.environ["SEGSTUDY_CACHE"] = str(Path(place) / "cache")
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        first = 0.0
        for number in track(range(asked.rounds + 1)):  # the first fills disk cache and conversion cache
            for name, words in contenders.items():
                if not number and words is None:
                    continue
                out = Path(place) / "masks" / name / str(number)
                took = timed(asked, words, run, out)
                if number:
                    seconds[name].append(took)
                elif "default" in name:
                    first = took
        scores = {
            name: mean_iou(
                asked.data, items, Path(place) / "masks" / name / "1", name == LOOP, test_ids(models)
            )
            for name in contenders
        }
    result = {
        "machine": described(),
        "num_images": len(items),
        "model": {name: record[name] for name in ("architecture", "num_parameters")}
        | {name: record.protocol[name] for name in ("image_size", "width")},
        "rounds": asked.rounds,
        "seconds": seconds,
        "seconds_of_the_first_default_call": first,
        "test_iou": scores,
    }
    show(result)
    if asked.out:
        write_result(asked.out, result)


def timed(asked: argparse.Namespace, words: list[str] | None, run: str, out: Path) -> float:
    """Seconds of a whole process."""
    out.mkdir(parents=True)
    loop = [sys.executable, __file__, str(asked.data), str(asked.study), "--loop", run, str(out)]
    segstudy = [sys.executable, "-m", "segstudy", "predict"]
    command = loop if words is None else [*segstudy, words[0], str(asked.data), "--out", str(out), *words[1:]]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def test_ids(models: Any) -> set[str]:
    (record,) = models.records()
    return set(parts_of(models.home, record)["test"])


def mean_iou(data: Path, items: list[Any], out: Path, numbered: bool, test: set[str]) -> float:
    """Mean per-image IoU of written masks to truth."""
    samples = {sample.image: sample for sample in read(data).samples}
    found = []
    for i, item in enumerate(items):
        sample = samples[item.file]
        if sample.id in test:
            file = out / f"{i}.png" if numbered else out / "masks" / f"{item.name}.png"
            found.append(iou(confusion(read_mask(file), read_mask(sample.mask))))
    return float(np.mean(found))


def show(result: dict[str, Any]) -> None:
    seconds, scores = result["seconds"], result["test_iou"]
    table = Table(f"{result['num_images']} images", "seconds", "times the loop", "test IoU", "change")
    for name, each in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[LOOP], each, strict=True))
        change = scores[name] - scores[LOOP]
        table.add_row(
            name, f"{statistics.median(each):.2f}", f"{ratio:.2f}", f"{scores[name]:.4f}", f"{change:+.4f}"
        )
    console = Console(width=110)
    console.print(table)
    console.print(
        f"first call of the default, which converts: {result['seconds_of_the_first_default_call']:.1f} s"
    )


if __name__ == "__main__":
    main()
