"""Pictures for the report: masks drawn over the images they belong to."""

import base64
import io
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


def galleries(folder: StudyFolder, key: str, resize: Resize) -> list[tuple[str, list[Picture]]]:
    """The worst, median and best test images of one run."""
    ious = (
        folder.images([key])
        .filter(pl.col("part") == "test")
        .sort("native_iou", "id")
        .select("id", "native_iou")
    )
    count = min(SHOWN, ious.height)
    middle = max(0, ious.height // 2 - count // 2)
    groups = {"worst": ious.head(count), "median": ious.slice(middle, count), "best": ious.tail(count)}
    probs = dict(folder.predictions(key).filter(pl.col("part") == "test").select("id", "prob").iter_rows())
    thumbnails = {
        row["id"]: row for row in pl.read_parquet(folder.path / "thumbnails.parquet").iter_rows(named=True)
    }
    return [
        (
            name,
            [
                _picture(i, iou, thumbnails[i], probs[i], resize)
                for i, iou in rows.iter_rows()
                if i in thumbnails
            ],
        )
        for name, rows in groups.items()
    ]


def _picture(sample_id: str, iou: float, thumbnail: dict[str, Any], prob: bytes, resize: Resize) -> Picture:
    image = Image.open(io.BytesIO(thumbnail["image"])).convert("RGB")
    scale = PICTURE_PX / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    pixels = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    truth = np.asarray(Image.open(io.BytesIO(thumbnail["mask"])).convert("L").resize(size)) >= 128
    network = np.asarray(Image.open(io.BytesIO(prob)), np.float32) / np.float32(255)
    predicted = prob_to_native(network, (size[1], size[0]), resize) >= 0.5
    return Picture(sample_id, iou, _data_uri(pixels), _data_uri(overlaid(pixels, truth, predicted)))


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
    Image.fromarray(pixels).save(stream, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
