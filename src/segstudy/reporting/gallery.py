"""Pictures for the report: masks drawn over the images they belong to."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from segstudy.data.preprocess import Resize, prob_to_native
from segstudy.store import StudyFolder

FALSE_POSITIVE, FALSE_NEGATIVE = (224, 123, 57), (47, 126, 216)
TRUTH, PREDICTION = (255, 255, 255), (255, 214, 10)
TINT = 0.45
PICTURE_PX = 320  # longer side on the page
SHOWN = 4  # of each group


@dataclass(frozen=True, slots=True)
class Picture:
    """One test image with its masks.

    Attributes:
        id: the sample.
        iou: at native size.
        plain: data URI of the image.
        overlay: data URI of the image with outlines and errors.
    """

    id: str
    iou: float
    plain: str
    overlay: str


def galleries(folder: StudyFolder, keys: Sequence[str], resize: Resize) -> list[tuple[str, list[Picture]]]:
    """The worst, median and best test images of one replicate; no image stands in two groups.

    Args:
        folder: the study.
        keys: the replicate's runs: one, or one for each fold, which test on different images.
        resize: of their protocol.

    Returns:
        Groups by name; none where the study has no thumbnails or the part is empty.
    """
    file = folder.path / "thumbnails.parquet"
    if not file.is_file():
        return []
    tested = folder.images(keys).filter(pl.col("part") == "test").sort("native_iou", "id")
    tables = [folder.predictions(key).with_columns(key=pl.lit(key)) for key in keys]
    rows = (
        tested.select("key", "id", "native_iou")
        .join(pl.concat(tables).select("key", "id", "prob"), on=["key", "id"], maintain_order="left")
        .join(pl.read_parquet(file), on="id", maintain_order="left")
    )
    return [
        (name, [_picture(row, resize) for row in rows[places].iter_rows(named=True)])
        for name, places in _places(rows.height).items()
        if places
    ]


def _places(count: int) -> dict[str, list[int]]:
    """Where worst, median and best stand among ``count`` sorted images: up to ``SHOWN`` each, disjoint."""
    each = min(SHOWN, -(-count // 3))
    worst, best = list(range(each)), list(range(max(each, count - each), count))
    start = max(each, (count - each) // 2)
    return {"worst": worst, "median": list(range(start, min(start + each, count - each))), "best": best}


def _picture(row: dict[str, Any], resize: Resize) -> Picture:
    """From a sample's thumbnail (``image``, ``mask``) and network-size probability (``prob``)."""
    image = Image.open(io.BytesIO(row["image"])).convert("RGB")
    scale = PICTURE_PX / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    pixels = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    truth = np.asarray(Image.open(io.BytesIO(row["mask"])).convert("L").resize(size)) >= 128
    network = np.asarray(Image.open(io.BytesIO(row["prob"])), np.float32) / np.float32(255)
    predicted = prob_to_native(network, (size[1], size[0]), resize) >= 0.5
    painted = overlaid(pixels, truth, predicted)
    return Picture(row["id"], row["native_iou"], _data_uri(pixels), _data_uri(painted))


def overlaid(
    image: NDArray[np.uint8], truth: NDArray[np.bool_], predicted: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Paint errors and outlines over an image ``(H, W, 3)``: false positives orange, false negatives blue."""
    out = image.astype(np.float64)
    for wrong, colour in ((predicted & ~truth, FALSE_POSITIVE), (truth & ~predicted, FALSE_NEGATIVE)):
        out[wrong] += TINT * (np.array(colour) - out[wrong])
    out[_outline(truth)] = TRUTH
    out[_outline(predicted)] = PREDICTION
    return out.astype(np.uint8)


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask ``(H, W)`` with a neighbour outside it; the frame is no outline."""
    padded = np.pad(mask, 1, mode="edge")
    surrounded = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~surrounded


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85, subsampling=0)  # outlines keep their colour
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
