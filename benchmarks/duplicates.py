"""How well near-duplicates are told from other images, in all eight orientations; measures the thresholds.

    python benchmarks/duplicates.py PH2Dataset ISIC-2017 docs/results/duplicates.json

Made copies: of some images of each data set, every change by itself and some together, each copy in a random
orientation. Counted are those that ``near_duplicates`` misses beside the originals; listed is how their
similarity is distributed. Others: all pairs of a data set, in all orientations and shares; the most similar
ones are listed with their ids, to be looked at: some data sets hold true duplicates.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import described, write_result
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from segstudy.data import duplicates
from segstudy.data.datasets import read
from segstudy.data.images import decode_image

Change = Callable[[Image.Image, np.random.Generator], Image.Image]
LOOSE = {"MIN_MAGNITUDES": 0.6, "MIN_PHASES": 0.5}  # where the distributions begin


def jpeg(image: Image.Image, quality: int = 50) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def crop(image: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    """A part of ``share`` of the height and width, anywhere."""
    width, height = round(image.width * share), round(image.height * share)
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def warmer(image: Image.Image) -> Image.Image:
    red, green, blue = image.split()
    return Image.merge("RGB", (red, green.point(lambda v: int(v * 0.85)), blue.point(lambda v: int(v * 0.7))))


CHANGES: dict[str, Change] = {
    "orientation alone": lambda image, _: image,
    "JPEG quality 50": lambda image, _: jpeg(image),
    "half the size": lambda image, _: image.resize((image.width // 2, image.height // 2)),
    "another shape": lambda image, _: image.resize((300, 300)),
    "brightness 0.7": lambda image, _: ImageEnhance.Brightness(image).enhance(0.7),
    "brightness 1.3": lambda image, _: ImageEnhance.Brightness(image).enhance(1.3),
    "contrast 0.6": lambda image, _: ImageEnhance.Contrast(image).enhance(0.6),
    "warmer": lambda image, _: warmer(image),
    "crop to 95 %": lambda image, rng: crop(image, 0.95, rng),
    "crop to 92.5 %": lambda image, rng: crop(image, 0.925, rng),
    "crop to 90 %": lambda image, rng: crop(image, 0.9, rng),
    "crop to 95 %, JPEG 50": lambda image, rng: jpeg(crop(image, 0.95, rng)),
    "crop to 90 %, JPEG 50, brightness 0.8": lambda image, rng: ImageEnhance.Brightness(
        jpeg(crop(image, 0.9, rng))
    ).enhance(0.8),
}


def copies_of(images: list[Image.Image], change: Change, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Thumbnails of changed copies, each in an orientation drawn at random."""
    made = []
    for image in images:
        turn = int(rng.integers(8))
        pixels = np.asarray(change(image, rng))
        made.append(np.rot90(pixels[:, ::-1] if turn >= 4 else pixels, turn % 4))
    return np.stack([duplicates.thumbnail(np.ascontiguousarray(pixels)) for pixels in made])


def similarities(thumbnails: NDArray[np.uint8], num_known: int = 0) -> dict[tuple[int, int], float]:
    """The highest similarity of every pair that is alike at a loose look."""
    strict = {name: getattr(duplicates, name) for name in LOOSE}
    vars(duplicates).update(LOOSE)
    best: dict[tuple[int, int], float] = {}
    for alike in duplicates._alike(thumbnails, num_known):
        for at in range(0, len(alike), duplicates.BLOCK):
            pairs = alike.where(slice(at, at + duplicates.BLOCK))
            found = duplicates._similarity(thumbnails, pairs)
            for i, j, similarity in zip(pairs.wide, pairs.close, found, strict=True):
                pair = (int(min(i, j)), int(max(i, j)))
                best[pair] = max(best.get(pair, 0.0), float(similarity))
    vars(duplicates).update(strict)
    return best


def of_copies(thumbnails: NDArray[np.uint8], files: list[Path], num: int) -> dict[str, Any]:
    """For every change, the share of missed copies and quantiles of their similarity."""
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(files))[:num])
    images = [Image.fromarray(decode_image(files[i]).pixels) for i in chosen]
    result = {}
    for name, change in CHANGES.items():
        both = np.concatenate([thumbnails[chosen], copies_of(images, change, rng)])
        n = len(chosen)
        found = {pair[1] - n for pair in duplicates.near_duplicates(both, n)}
        scores = similarities(both, n)
        own = np.array([scores.get((i, i + n), 0.0) for i in range(n)])
        low = np.quantile(own, [0, 0.01, 0.05, 0.5])
        result[name] = {
            "copies": n,
            "missed": n - len(found),
            "similarity": dict(zip(("lowest", "1 %", "5 %", "median"), low.round(3).tolist(), strict=True)),
        }
        print(
            f"  {name}: {n - len(found)} of {n} missed; similarity {result[name]['similarity']}", flush=True
        )
    return result


def of_others(thumbnails: NDArray[np.uint8], ids: list[str], num: int) -> dict[str, Any]:
    """The most similar pairs, and how long it takes to find the near-duplicates."""
    start = time.perf_counter()
    found = duplicates.near_duplicates(thumbnails)
    seconds = time.perf_counter() - start
    scores = sorted(similarities(thumbnails).items(), key=lambda item: -item[1])[:num]
    listed = [[ids[i], ids[j], round(score, 3)] for (i, j), score in scores]
    pairs = len(ids) * (len(ids) - 1) // 2
    print(f"  {pairs} pairs, {len(found)} found in {seconds:.1f} s; the most similar:")
    for first, second, score in listed:
        print(f"    {score:.3f} {first} {second}")
    return {"pairs": pairs, "found": len(found), "seconds": round(seconds, 2), "most similar": listed}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--copies", type=int, default=200)
    parser.add_argument("--listed", type=int, default=40)
    asked = parser.parse_args()
    thresholds = {
        name: getattr(duplicates, name) for name in ("MIN_MAGNITUDES", "MIN_PHASES", "MIN_SIMILARITY")
    }
    result: dict[str, Any] = {"machine": described(), "thresholds": thresholds}
    for root in asked.data:
        samples = read(root).samples
        files, ids = [sample.image for sample in samples], [sample.id for sample in samples]
        thumbnails = np.stack([duplicates.thumbnail(decode_image(file).pixels) for file in files])
        print(f"{root.name}: {len(ids)} images", flush=True)
        result[root.name] = {
            "images": len(ids),
            "others": of_others(thumbnails, ids, asked.listed),
            "copies": of_copies(thumbnails, files, asked.copies),
        }
    write_result(asked.out, result)


if __name__ == "__main__":
    main()
