"""The check of an exported file: its masks against PyTorch's, on the study's own test images.

A model outside of its study is compared on images that the user gives: the check cannot be skipped.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.atomic_files import file_name, make_folder, write_text
from segstudy.core.errors import UserError
from segstudy.core.outputs import Mask, Outputs
from segstudy.core.quantities import percent
from segstudy.data.prepared import Positions, Prepared
from segstudy.data.preprocess import decided_at_native
from segstudy.deploy.engines.base import Network, Precision
from segstudy.deploy.engines.exported import open_exported
from segstudy.deploy.engines.pytorch import open_run
from segstudy.deploy.engines.stored import stored_network
from segstudy.deploy.export import FORMATS, FormatName
from segstudy.deploy.export.onnx import MAX_FLIPPED, onnx_of, package_of, quantized
from segstudy.deploy.export.parity_images import gate_images, spread
from segstudy.evaluation.class_scores import compare as compare_masks
from segstudy.store.card import read_card
from segstudy.store.own_networks import is_own
from segstudy.store.records import CARD, STORED_ONNX
from segstudy.store.trained_models import Models

MAX_IOU_DROP = 0.005  # of the mean IoU to truth, by bfloat16 and INT8
CALIBRATION_IMAGES = 100
BATCH = 8


@dataclass(frozen=True)
class Parity:
    """The comparison of an exported file's masks with those of its model, decided at native size.

    Attributes:
        engine: that ran the file, and its precision.
        num_images: that they were compared on.
        flipped_frac: pixels of different classes in the two, of all pixels.
        worst_flipped_frac: the same of the image with most of them.
        iou: mean per-image IoU of the exported file to truth.
        iou_pytorch: of the model.
        limit: in words.
        passed: whether the masks are within the limit.
        reference: what ran the model: PyTorch in float32, or a user's own network's ``model.onnx``.
        images: that they were compared on, in words.
    """

    engine: str
    num_images: int
    flipped_frac: float
    worst_flipped_frac: float
    iou: float
    iou_pytorch: float
    limit: str
    passed: bool
    reference: str = "PyTorch, float32"
    images: str = "test images"

    @property
    def iou_change(self) -> float:
        return self.iou - self.iou_pytorch


@dataclass(frozen=True)
class Exported:
    """An exported file, and the results of its check."""

    file: Path
    report: Path
    parity: tuple[Parity, ...]


def export_model(  # noqa: PLR0913 (an option each)
    models: Models,
    to: FormatName,
    *,
    int8: bool = False,
    out: Path | None = None,
    data: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    network: str | None = None,
) -> Exported:
    """Export one trained model, if its masks stay the same.

    Args:
        models: with a single run.
        to: a key of ``FORMATS``.
        int8: arithmetic in 8 bits, calibrated on images of the run's own training subset.
        out: the file; if left out ``<study>/exports/<name>.onnx`` or ``.xml``, for a model outside of its
            study in the current folder. ``<file>.parity.json`` lies beside.
        data: where the data set lies now, if not where the study says; images with masks to compare on, for a
            model outside of its study.
        progress: called with what is being done.
        network: ``my.py:Net``, for a network from a file of one's own.

    Raises:
        UserError: own code that is not named, missing packages or data, or masks that differ by more than the
            tolerance; then nothing is left behind.
    """
    (record,) = models.records()
    folder = models.folder(record)
    name = export_name(models.name, "-int8" if int8 else "", record.key)
    place = models.home.path / "exports" if models.home else Path()
    chosen = FORMATS[to]
    file = out or place / f"{name}{chosen.suffix}"
    if file.suffix != chosen.suffix:
        raise UserError(f"{file}: must end in {chosen.suffix}")
    if file.parent != place and not file.parent.is_dir():
        raise UserError(f"{file}: there is no folder {file.parent}; make it, or give another name with --out")
    reference, make_graph = reference_of(folder, models.name, network)
    progress("reading the images to compare masks on")
    images = gate_images(models, record, data)
    progress("exporting")
    graph = make_graph()
    if int8:
        progress("calibrating")
        graph = quantized(graph, calibration_images(images.prepared, images.calibration))
    make_folder(file.parent)
    aside = file.with_name(f".unproven.{file.name}")
    try:
        chosen.write(graph, package_of(models, record, "int8" if int8 else "float32"), aside)
        progress(f"comparing masks with those of {reference.engine}")
        found = compare(reference, aside, images.prepared, images.compared, images.what)
        report = file.with_name(f"{file.name}.parity.json")
        if failed := [each for each in found if not each.passed]:
            raise UserError(f"{file}: not exported: {'; '.join(map(in_words, failed))}")
        write_text(report, json.dumps([asdict(each) for each in found], indent=1) + "\n")
        for suffix in chosen.suffixes:
            aside.with_suffix(suffix).replace(file.with_suffix(suffix))
    finally:
        for suffix in chosen.suffixes:
            aside.with_suffix(suffix).unlink(missing_ok=True)
    return Exported(file, report, found)


def export_name(name: str, ending: str, key: str) -> str:
    """Return a file's name without suffix, for any system; with the key if the name is ambiguous."""
    plain = file_name(f"{name}{ending}")
    return plain if plain == f"{name}{ending}" else file_name(f"{name}-{key[:8]}{ending}")


def reference_of(folder: Path, name: str, network: str | None) -> tuple[Network, Callable[[], bytes]]:
    """Return the network that exported masks are compared with, and the maker of the graph to export.

    That is PyTorch in float32. A user's own network whose file is not named is the ``model.onnx`` of its run,
    which was compared with PyTorch when it was trained.

    Raises:
        UserError: as ``checkpoint.load_model``.
    """
    card = read_card(folder / CARD)
    if network is None and is_own(card, folder / CARD) and (folder / STORED_ONNX).is_file():
        return stored_network(folder, card), (folder / STORED_ONNX).read_bytes
    return open_run(folder, name, "cpu", "float32", network), lambda: onnx_of(folder, network, checked=True)


def calibration_images(prepared: Prepared, train: Sequence[int] | Positions) -> NDArray[np.uint8]:
    """Return images of these positions, spread evenly over the data set, at network size."""
    return np.array(prepared.images[spread(train, CALIBRATION_IMAGES)])


def in_words(parity: Parity) -> str:
    """Return one comparison as a line."""
    return (
        f"{parity.engine}: {percent(parity.flipped_frac, 4)} of the pixels differ from {parity.reference} "
        f"(worst image {percent(parity.worst_flipped_frac, 3)}), IoU {parity.iou:.4f} "
        f"({parity.iou_change:+.4f}) on {parity.num_images} {parity.images}; limit: {parity.limit}"
    )


def compare(
    reference: Network,
    file: Path,
    prepared: Prepared,
    positions: Sequence[int] | Positions,
    images: str = "test images",
) -> tuple[Parity, ...]:
    """Compare an exported file with its model, in every precision in which it can run."""
    expected = _probabilities(reference, prepared, positions)
    ways: tuple[Precision, ...] = ("auto",)
    first = open_exported(file, precision="auto")
    if first.engine.rpartition(" ")[2] not in ("float32", "int8"):
        ways = ("float32", "auto")
    found = [_parity(open_exported(file, precision=way), expected, prepared, positions) for way in ways]
    return tuple(replace(each, reference=reference.engine, images=images) for each in found)


def _parity(network: Network, reference: NDArray[np.float32], prepared: Prepared, positions: Any) -> Parity:
    found = _probabilities(network, prepared, positions)
    flipped, sizes, ious, ious_before = [], [], [], []
    for ours, theirs, position in zip(found, reference, positions, strict=True):
        native = prepared.native_sizes[position]
        mask, before = (
            decided_at_native(prob, native, prepared.resize, network.outputs) for prob in (ours, theirs)
        )
        truth = prepared.native_mask(int(position))
        flipped.append(int((mask != before).sum()))
        sizes.append(mask.size)
        ious.append(_iou(mask, truth, prepared.outputs))
        ious_before.append(_iou(before, truth, prepared.outputs))
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
        limit = f"at most {percent(MAX_FLIPPED, 2)} of the pixels"
        return replace(result, limit=limit, passed=result.flipped_frac <= MAX_FLIPPED)
    limit = f"IoU down by at most {MAX_IOU_DROP}"
    return replace(result, limit=limit, passed=result.iou_change >= -MAX_IOU_DROP)


def _iou(mask: Mask, truth: Mask, outputs: Outputs) -> float:
    """Return the IoU of a mask, of several classes the mean over those that are scored and present."""
    return compare_masks(mask, truth, outputs, "native", takes=("counts",)).mean()["native_iou"]


def _probabilities(network: Network, prepared: Prepared, positions: Any) -> NDArray[np.float32]:
    batches = [positions[at : at + BATCH] for at in range(0, len(positions), BATCH)]
    return np.concatenate([network.probabilities(prepared.images[batch]) for batch in batches])
