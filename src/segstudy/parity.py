"""The gate that an exported file passes: its masks against PyTorch's, on the study's own test images."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.data.prepared import Prepared, fingerprint, open_prepared, prepare
from segstudy.engines import Network, Precision, open_exported
from segstudy.errors import UserError
from segstudy.exporting import SUFFIX, Format, onnx_of, package_of, quantized, write_model
from segstudy.files import make_folder, write_text
from segstudy.metrics import confusion, iou
from segstudy.preprocess import prob_to_native
from segstudy.pytorch_engine import open_run
from segstudy.reporting.modelcard import parts_of
from segstudy.study import load_data
from segstudy.trained import Models

MAX_FLIPPED = 1e-4  # of all pixels, by float32 inference
MAX_IOU_DROP = 0.005  # of the mean IoU to truth, by bfloat16 and INT8
CALIBRATION_IMAGES = 100
BATCH = 8


@dataclass(frozen=True)
class Parity:
    """How the masks of an exported file compare with PyTorch's in float32, at native size, threshold .5.

    Attributes:
        engine: that ran the file, and its precision.
        num_images: of the test part.
        flipped_frac: pixels that are foreground in one and background in the other, of all pixels.
        worst_flipped_frac: the same of the image with most of them.
        iou: mean per-image IoU of the exported file to truth.
        iou_pytorch: of PyTorch.
        limit: what it was held to, in words.
        passed: whether it holds.
    """

    engine: str
    num_images: int
    flipped_frac: float
    worst_flipped_frac: float
    iou: float
    iou_pytorch: float
    limit: str
    passed: bool

    @property
    def iou_change(self) -> float:
        return self.iou - self.iou_pytorch


@dataclass(frozen=True)
class Exported:
    """An exported file, and how it passed the gate."""

    file: Path
    report: Path
    parity: tuple[Parity, ...]


def export_model(
    models: Models,
    to: Format,
    int8: bool = False,
    out: Path | None = None,
    data: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Export one trained model, if its masks stay the same.

    Args:
        models: with a single run.
        to: ``onnx`` or ``openvino``.
        int8: arithmetic in 8 bits, calibrated on images of the run's own training part.
        out: the file; ``<study>/exports/<name>.onnx`` or ``.xml`` if left out. ``<file>.parity.json`` lies
            beside.
        data: where the data set lies now, if not where the study says.
        progress: told what is being done.

    Raises:
        UserError: own code, missing packages or data, or masks that differ by more than the tolerance; then
            nothing is left behind.
    """
    (record,) = models.records()
    name = f"{models.name}{'-int8' if int8 else ''}{SUFFIX[to]}"
    file = out or models.home.path / "exports" / name
    if file.suffix != SUFFIX[to]:
        raise UserError(f"{file}: is to end in {SUFFIX[to]}")
    progress("reading the study's images")
    prepared = prepared_for(models, record, data)
    parts = parts_of(models.home, record)
    if not parts:
        raise UserError(
            f"{models.home.path}: its split.json no longer has this run's split; run the study again"
        )
    progress("exporting")
    graph = onnx_of(models.folder(record))
    if int8:
        progress("calibrating")
        graph = quantized(graph, calibration_images(prepared, parts["train"]))
    make_folder(file.parent)
    aside = file.with_name(f".unproven.{file.name}")
    try:
        write_model(graph, package_of(models, record, "int8" if int8 else "float32"), aside)
        progress("comparing masks with PyTorch's")
        found = compare(models, aside, prepared, prepared.positions(parts["test"]))
        report = file.with_name(f"{file.name}.parity.json")
        if failed := [each for each in found if not each.passed]:
            raise UserError(f"{file}: not exported: {'; '.join(map(in_words, failed))}")
        write_text(report, json.dumps([asdict(each) for each in found], indent=1) + "\n")
        for suffix in (".bin", ".xml") if to == "openvino" else (".onnx",):
            aside.with_suffix(suffix).replace(file.with_suffix(suffix))
    finally:
        for suffix in (".bin", ".xml", ".onnx"):
            aside.with_suffix(suffix).unlink(missing_ok=True)
    return Exported(file, report, found)


def calibration_images(prepared: Prepared, train: Sequence[str]) -> NDArray[np.uint8]:
    """Training images spread evenly over the data set, at network size."""
    places = np.sort(prepared.positions(train))
    chosen = np.linspace(0, len(places) - 1, min(len(places), CALIBRATION_IMAGES)).astype(int)
    return np.array(prepared.images[places[chosen]])


def in_words(parity: Parity) -> str:
    """One comparison as a line."""
    return (
        f"{parity.engine}: {parity.flipped_frac:.4%} of the pixels differ from PyTorch (worst image "
        f"{parity.worst_flipped_frac:.3%}), IoU {parity.iou:.4f} ({parity.iou_change:+.4f}) on "
        f"{parity.num_images} test images; limit: {parity.limit}"
    )


def compare(
    models: Models, file: Path, prepared: Prepared, positions: Sequence[int] | NDArray[np.int64]
) -> tuple[Parity, ...]:
    """An exported file against the run it was made from, in every precision it is run in."""
    (record,) = models.records()
    reference = _probabilities(
        open_run(models.folder(record), models.name, "cpu", "float32"), prepared, positions
    )
    ways: tuple[Precision, ...] = ("auto",)
    first = open_exported(file, precision="auto")
    if first.engine.rpartition(" ")[2] not in ("float32", "int8"):
        ways = ("float32", "auto")
    return tuple(_parity(open_exported(file, precision=way), reference, prepared, positions) for way in ways)


def _parity(network: Network, reference: NDArray[np.float32], prepared: Prepared, positions: Any) -> Parity:
    found = _probabilities(network, prepared, positions)
    flipped, sizes, ious, ious_before = [], [], [], []
    for ours, theirs, position in zip(found, reference, positions, strict=True):
        native = prepared.native_sizes[position]
        mask, before = (prob_to_native(p, native, prepared.resize) >= 0.5 for p in (ours, theirs))
        truth = prepared.native_mask(int(position))
        flipped.append(int((mask != before).sum()))
        sizes.append(mask.size)
        ious.append(iou(confusion(mask, truth)))
        ious_before.append(iou(confusion(before, truth)))
    result = Parity(
        engine=network.engine,
        num_images=len(found),
        flipped_frac=sum(flipped) / sum(sizes),
        worst_flipped_frac=max(f / s for f, s in zip(flipped, sizes, strict=True)),
        iou=float(np.mean(ious)),
        iou_pytorch=float(np.mean(ious_before)),
        limit="",
        passed=False,
    )
    if network.engine.endswith("float32"):
        limit = f"at most {MAX_FLIPPED:.2%} of the pixels"
        return replace(result, limit=limit, passed=result.flipped_frac <= MAX_FLIPPED)
    limit = f"IoU down by at most {MAX_IOU_DROP}"
    return replace(result, limit=limit, passed=result.iou_change >= -MAX_IOU_DROP)


def _probabilities(network: Network, prepared: Prepared, positions: Any) -> NDArray[np.float32]:
    batches = [positions[at : at + BATCH] for at in range(0, len(positions), BATCH)]
    return np.concatenate([network.forward(prepared.images[batch]) for batch in batches])


def prepared_for(models: Models, record: Any, data: Path | None = None) -> Prepared:
    """The study's own images, as the run saw them.

    Raises:
        UserError: they are not where the study says, or no longer the same.
    """
    study = models.home.study()
    if data is not None:
        study = study.model_copy(update={"data": str(data)})
    try:
        dataset = load_data(study)
    except UserError as error:
        raise UserError(
            f"the study's images are needed: {error}; say with --data where they lie now"
        ) from None
    found = fingerprint(dataset.samples)
    if found != record["description"]["data"]:
        raise UserError(
            f"{dataset.root}: not the images and masks that the run was trained on; say with --data where "
            "those lie"
        )
    protocol = record["protocol"]
    height, width = protocol["image_size"]
    foreground = tuple(protocol["foreground"]) if protocol["foreground"] else None
    return open_prepared(prepare(dataset.samples, found, (height, width), protocol["resize"], foreground))
