"""The gallery of the report: the same test images with the masks of every model."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from segstudy.analysis.configurations import Row
from segstudy.core.encoded_images import data_uri, image_bytes
from segstudy.core.outputs import BINARY, Mask, Outputs
from segstudy.core.palette import colour_of
from segstudy.data.preprocess import Resize, decided_at_native
from segstudy.data.thumbnails import read_small_mask
from segstudy.reporting.class_layers import layers_of
from segstudy.reporting.sections.base import ReportData
from segstudy.store.folder import StudyFolder
from segstudy.store.pack_record import PREDICTIONS, pack_record
from segstudy.store.probability_maps import probability_map
from segstudy.store.records import RunRecord
from segstudy.store.tables import read_table

SHOWN = 4  # images of each group
MOST_MODELS = 12  # with 12 images they take about half a megabyte of the page
PICTURE_PX = 280  # longer side on the page


@dataclass(frozen=True, slots=True)
class Overlay:
    """The prediction of a model on one image, for display.

    Attributes:
        uri: transparent PNG of the errors and the prediction's outline, as large as the photo.
        iou: at native size.
    """

    uri: str
    iou: float


@dataclass(frozen=True, slots=True)
class Picture:
    """One test image.

    Attributes:
        id: the sample.
        category: of the sample; empty where the data has none.
        size_px: width and height.
        photo: data URI of the image alone.
        truth: data URI of a transparent PNG with the true mask's outline.
        overlays: one for each model; None where the model has not been tested on this image yet.
    """

    id: str
    category: str
    size_px: tuple[int, int]
    photo: str
    truth: str
    overlays: tuple[Overlay | None, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A configuration and the seed of the replicate that is shown of it: its first."""

    name: str
    seed: int


@dataclass(frozen=True, slots=True)
class Gallery:
    """Images by group, under every model.

    Attributes:
        models: in the leaderboard's order, complete ones first. The first one chose the images.
        groups: ``worst``, ``median`` and ``best`` of the first model with their images; empty ones left out.
        seed: of the first model.
        num_tested: test images to choose from.
        num_cut: further models that are not shown.
        num_without_masks: further models whose predicted masks a pack left out.
    """

    models: tuple[Model, ...]
    groups: tuple[tuple[str, tuple[Picture, ...]], ...]
    seed: int
    num_tested: int
    num_cut: int
    num_without_masks: int = 0

    @property
    def overlays(self) -> list[list[dict[str, Any] | None]]:
        """Return for the page's script the predictions of every model on every image, in order."""
        return [
            [{"uri": each.uri, "iou": each.iou} if each else None for each in picture.overlays]
            for _, pictures in self.groups
            for picture in pictures
        ]


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``images.html.j2``."""
    if not report.has_scores:
        return None
    outputs = report.results.outputs
    found = gallery(report.folder, report.results.rows, report.ranked, outputs) if report.images else None
    return {"gallery": found, "images": report.images, "classes": legend(outputs)}


def legend(outputs: Outputs) -> list[tuple[str, str]]:
    """Return name and colour of each scored class; nothing in binary."""
    if outputs.task == "binary":
        return []
    return [(outputs.names[number], colour_of(number)) for number in outputs.scored]


def gallery(
    folder: StudyFolder, rows: Sequence[Row], ranked: Sequence[str], outputs: Outputs = BINARY
) -> Gallery | None:
    """Return the leader's worst, median and best test images, with each of the best ``MOST_MODELS`` models.

    Of every model only the first replicate is read that has predicted masks; a pack may have left them out.
    With folds an image is shown as the run predicted it
    whose fold tested it (the first such run where several did).

    Args:
        folder: the study.
        rows: its configurations; those without a finished run, and masks of other tools, are skipped.
        ranked: names in the leaderboard's order.
        outputs: the classes.

    Returns:
        None where no run is finished, nothing was tested, or the study holds no thumbnails or no masks.
    """
    file = folder.path / "thumbnails.parquet"
    known = {row.name: row for row in rows if row.masks is None and row.records}
    ordered = sorted((known[name] for name in ranked if name in known), key=lambda row: not row.complete)
    with_masks = {row.name: _with_masks(folder, row.records) for row in ordered}
    num_all, ordered = len(ordered), [row for row in ordered if with_masks[row.name]]
    if not ordered or not file.is_file():
        return None
    replicates = [_first_replicate(row, with_masks[row.name]) for row in ordered[:MOST_MODELS]]
    tested = _tested(folder, replicates[0], file)
    groups = {name: tested[place] for name, place in _places(len(tested)).items()}
    photos = _photos(file, [i for ids in groups.values() for i in ids], outputs)
    predicted = [_overlays(folder, records, photos, outputs) for records in replicates]
    if not photos:
        return None
    models = tuple(
        Model(row.name, records[0].seed) for row, records in zip(ordered, replicates, strict=False)
    )
    categories = _categories(folder)
    shown = tuple(
        (name, tuple(_picture(i, categories.get(i, ""), photos[i], predicted, outputs) for i in ids))
        for name, ids in groups.items()
    )
    num_cut, num_without = len(ordered) - len(models), num_all - len(ordered)
    return Gallery(models, shown, models[0].seed, len(tested), num_cut, num_without)


def _with_masks(folder: StudyFolder, records: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the runs whose predicted masks are there, or should be: a pack did not leave them out."""
    missing = {each.key for each in records if not (folder.runs / each.key / PREDICTIONS).is_file()}
    packed = pack_record(folder) if missing else None
    left_out = {key for key in missing if packed is not None and PREDICTIONS in packed.absent(key)}
    return [each for each in records if each.key not in left_out]


def _first_replicate(row: Row, records: Sequence[RunRecord]) -> list[RunRecord]:
    """Return those of the lowest seed and first set of folds among records of a configuration, by fold."""

    def place(record: RunRecord) -> tuple[int, int]:
        return record.seed, row.repeats.get(record.key, 0)

    first = min(map(place, records))
    return sorted((each for each in records if place(each) == first), key=lambda each: each.fold or 0)


def _tested(folder: StudyFolder, records: Sequence[RunRecord], thumbnails: Path) -> list[str]:
    """Return the ids of a replicate's test images that have a thumbnail, in order of IoU at native size."""
    return (
        folder.images([record.key for record in records])
        .filter(pl.col("part") == "test")
        .unique("id", keep="first", maintain_order=True)
        .join(read_table(thumbnails, ["id"]), on="id", how="semi")
        .sort("native_iou", "id")["id"]
        .to_list()
    )


def _places(count: int) -> dict[str, slice]:
    """Return where worst, median and best are among ``count`` sorted images: up to ``SHOWN`` each."""
    each = min(SHOWN, -(-count // 3))
    start = max(each, (count - each) // 2)
    stop = max(each, count - each)
    places = {
        "worst": slice(0, each),
        "median": slice(start, min(start + each, stop)),
        "best": slice(stop, count),
    }
    return {name: place for name, place in places.items() if place.start < place.stop}


@dataclass(frozen=True, slots=True)
class _Photo:
    """An image ``(H, W, 3)`` and its true mask ``(H, W)`` at the page's size."""

    pixels: NDArray[np.uint8]
    truth: Mask


def _photos(thumbnails: Path, ids: Sequence[str], outputs: Outputs) -> dict[str, _Photo]:
    found = read_table(thumbnails, ["id", "image", "mask"], pl.col("id").is_in(ids))
    return {i: _photo(image, mask, outputs) for i, image, mask in found.iter_rows()}


def _photo(jpeg: bytes, mask: bytes, outputs: Outputs) -> _Photo:
    image = Image.open(io.BytesIO(jpeg), formats=("JPEG",)).convert("RGB")
    scale = PICTURE_PX / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    truth = read_small_mask(mask, outputs, size)
    return _Photo(np.asarray(image.resize(size, Image.Resampling.BICUBIC)), truth)


def _overlays(
    folder: StudyFolder, records: Sequence[RunRecord], photos: Mapping[str, _Photo], outputs: Outputs
) -> dict[str, Overlay]:
    """Return the predictions of a replicate's runs on these images, by id; of several runs the first."""
    found: dict[str, Overlay] = {}
    layers = layers_of(outputs)
    for record in records:
        resize: Resize = record.protocol["resize"]
        run = folder.runs / record.key
        wanted = (pl.col("part") == "test") & pl.col("id").is_in([*photos])
        probs = folder.predictions(record.key, ["id", "prob"], wanted)
        scores = read_table(run / "images.parquet", ["id", "native_iou"], wanted)
        for i, prob, iou in probs.join(scores, on="id").iter_rows():
            if i not in found:
                truth = photos[i].truth
                predicted = _mask(prob, truth.shape, resize, outputs)
                found[i] = Overlay(layers.prediction(truth, predicted), iou)
    return found


def _mask(png: bytes, size: tuple[int, ...], resize: Resize, outputs: Outputs) -> Mask:
    """Return the predicted mask at a height and width, from probabilities of the network's size."""
    return decided_at_native(probability_map(png, outputs), (size[0], size[1]), resize, outputs)


def _categories(folder: StudyFolder) -> dict[str, str]:
    data = folder.data()
    return {i: category or "" for i, category in data.categories.items()} if data else {}


def _picture(
    i: str, category: str, photo: _Photo, predicted: Sequence[Mapping[str, Overlay]], outputs: Outputs
) -> Picture:
    height, width = photo.truth.shape
    return Picture(
        id=i,
        category=category,
        size_px=(width, height),
        photo=data_uri("JPEG", image_bytes(Image.fromarray(photo.pixels), "JPEG", quality=85)),
        truth=layers_of(outputs).truth(photo.truth),
        overlays=tuple(overlays.get(i) for overlays in predicted),
    )
