"""Runs of several classes as training leaves them: made-up masks, their scores by class, and pictures."""

import io
import zlib
from collections.abc import Sequence

import cv2
import numpy as np
import polars as pl
from fake_study import encoded, finish, rewrite
from PIL import Image

from segstudy.core.outputs import IGNORED, IGNORED_BITS, Outputs
from segstudy.metrics import METRICS, column, mask_scores
from segstudy.store.folder import StudyFolder

SIZE_PX = (48, 64)  # of every image
PARTS = ("validation", "test")


def discs(outputs: Outputs, seed: str, moved: float = 0.0, run: str = "", size=SIZE_PX) -> np.ndarray:
    """A mask with a disc of each foreground class; the third and further ones are on most images only.

    With `moved` it is a prediction: discs lie up to so many pixels beside, some are missed or invented.
    """
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    noise = np.random.default_rng(zlib.crc32(f"{seed}{run}".encode()))
    height, width = size
    y, x = np.mgrid[:height, :width]
    mask = np.zeros(size, np.uint16 if outputs.task == "multilabel" else np.uint8)
    for place, number in enumerate(outputs.scored):
        centre = rng.uniform(0.3, 0.7, 2) * size
        radius = height * (0.32 if place == 0 else rng.uniform(0.08, 0.16))
        there = place < 2 or rng.random() < 0.7
        if moved:
            centre = centre + noise.uniform(-moved, moved, 2)
            there = there != (place >= 2 and noise.random() < 0.1)
        disc = np.hypot(y - centre[0], x - centre[1]) < radius
        if there and outputs.task == "multilabel":
            mask[disc] |= np.uint16(1 << number)
        elif there:
            mask[disc] = number
    if outputs.has_ignored and not moved:
        mask[:4, :4] = IGNORED_BITS if outputs.task == "multilabel" else IGNORED
    return mask


def class_table(outputs: Outputs, part: str, ids: Sequence[str], moved: float, run: str, size=SIZE_PX):
    """Rows of ``classes.parquet`` of one part."""
    rows = []
    for each in ids:
        truth, predicted = discs(outputs, each, size=size), discs(outputs, each, moved, run, size)
        for number, name in enumerate(outputs.names):
            rows.append({"id": each, "part": part, "class": name, **_row(outputs, truth, predicted, number)})
    return pl.DataFrame(rows, schema_overrides={"predicted_px": pl.List(pl.UInt32)}, infer_schema_length=None)


def _row(outputs: Outputs, truth: np.ndarray, predicted: np.ndarray, number: int) -> dict:
    valid = outputs.valid(truth)
    valid = np.ones(truth.shape, bool) if valid is None else valid
    is_true, is_predicted = outputs.plane(truth, number), outputs.plane(predicted, number) & valid
    scores = mask_scores(is_predicted, is_true)
    scores |= {column(name, "network"): scores[column(name)] for name in METRICS if column(name) in scores}
    scores |= {"native_ece": 0.02, "native_brier": 0.03}
    num_classes, background = len(outputs.names), number not in outputs.scored
    found = (None, None, None) if background else _objects(is_true, is_predicted)
    px = np.bincount(predicted[is_true], minlength=num_classes) if outputs.task == "multiclass" else None
    return {
        "in_truth": bool(is_true.any()),
        "in_prediction": bool(is_predicted.any()),
        "predicted_px": None if px is None else px.tolist(),
        **dict(zip(("num_objects", "num_missed", "num_invented"), found, strict=True)),
        **dict(sorted(scores.items())),
    }


def _objects(is_true: np.ndarray, is_predicted: np.ndarray) -> tuple[int, int, int]:
    count, places = cv2.connectedComponents(is_true.astype(np.uint8), connectivity=8)
    others, places2 = cv2.connectedComponents(is_predicted.astype(np.uint8), connectivity=8)
    missed = sum(not is_predicted[places == i].any() for i in range(1, count))
    invented = sum(not is_true[places2 == i].any() for i in range(1, others))
    return count - 1, missed, invented


def image_table(outputs: Outputs, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of ``images.parquet``: means over the scored classes in mask or prediction, 1 without one."""
    scored = [outputs.names[number] for number in outputs.scored]
    there = rows.filter(pl.col("class").is_in(scored), pl.col("in_truth") | pl.col("in_prediction"))
    metrics = [name for name in rows.columns if name.startswith(("native_", "network_"))]
    means = there.group_by("id", "part").agg(pl.col(metrics).mean())
    ids = rows.select("id", "part").unique(maintain_order=True)
    return ids.join(means, on=["id", "part"], how="left", maintain_order="left").with_columns(
        pl.col(metrics).fill_null(1.0)
    )


def finish_classes(
    folder: StudyFolder,
    name: str,
    moved: float,
    size=SIZE_PX,
    *,
    fold: int | None = None,
    seed: int = 0,
    **fields,
) -> str:
    """Store a run of several classes whose discs lie up to `moved` pixels beside the true ones."""
    outputs = folder.study().protocol.outputs()
    key = finish(folder, name, 0.5, 0.5, seed=seed, fold=fold, **fields)
    run = folder.runs / key
    images = pl.read_parquet(run / "images.parquet", columns=["id", "part"])
    tables = [
        class_table(outputs, part, images.filter(part=part)["id"].to_list(), moved, f"{name}{seed}", size)
        for part in PARTS
    ]
    classes = pl.concat(tables)
    rewrite(run / "classes.parquet", classes)
    rewrite(run / "images.parquet", image_table(outputs, classes))
    probs = [
        {
            "id": i,
            "part": part,
            "prob": _probabilities(outputs, discs(outputs, i, moved, f"{name}{seed}", size)),
        }
        for i, part in images.iter_rows()
    ]
    rewrite(run / "predictions.parquet", pl.DataFrame(probs))
    return key


def _probabilities(outputs: Outputs, mask: np.ndarray) -> bytes:
    """The probabilities at the networks' 32 x 32, one below the other."""
    planes = [outputs.plane(mask, number).astype(np.float32) for number in range(len(outputs.names))]
    small = [cv2.resize(plane, (32, 32), interpolation=cv2.INTER_AREA) for plane in planes]
    return encoded((255 * np.concatenate(small)).round().astype(np.uint8), "PNG")


def write_class_thumbnails(folder: StudyFolder, ids: Sequence[str], size=SIZE_PX) -> None:
    outputs = folder.study().protocol.outputs()
    rows = []
    for each in ids:
        mask = discs(outputs, each, size=size)
        rng = np.random.default_rng(zlib.crc32(each.encode()))
        tints = rng.integers(60, 200, (17, 3))
        grey = np.full((*size, 3), [190.0, 160.0, 140.0])
        for number in outputs.scored:
            grey[outputs.plane(mask, number)] = tints[number % 17]
        picture = (
            cv2.GaussianBlur(grey + rng.normal(0, 12, (*size, 3)), (3, 3), 0).clip(0, 255).astype(np.uint8)
        )
        stream = io.BytesIO()
        Image.fromarray(mask).save(stream, "PNG")
        row = {"id": each, "height": size[0], "width": size[1], "image": encoded(picture, "JPEG")}
        rows.append({**row, "mask": stream.getvalue()})
    pl.DataFrame(rows).write_parquet(folder.path / "thumbnails.parquet")
