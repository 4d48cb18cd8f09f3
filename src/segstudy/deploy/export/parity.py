"""The check of an exported file: its masks against PyTorch's, on the study's own test images.

A model outside of its study is compared on images that the user gives: the check cannot be skipped.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segstudy.core.atomic_files import file_name, make_folder, write_text
from segstudy.core.errors import UserError
from segstudy.core.outputs import Mask, Outputs
from segstudy.core.quantities import percent
from segstudy.data.epoch_order import Positions
from segstudy.data.prepared import Prepared, Samples
from segstudy.data.preprocess import decided_at_native
from segstudy.deploy.engines.base import Network
from segstudy.deploy.engines.exported import open_exported
from segstudy.deploy.engines.pytorch import open_run
from segstudy.deploy.engines.stored import stored_network
from segstudy.deploy.export import FORMATS, FormatName
from segstudy.deploy.export.onnx import MAX_FLIPPED, onnx_of, package_of, quantized
from segstudy.deploy.export.parity_images import gate_images, spread
from segstudy.deploy.predict.predictor import Predictor
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
        graph = quantized(graph, calibration_images(images.samples, images.calibration))
    make_folder(file.parent)
    aside = file.with_name(f".unproven.{file.name}")
    try:
        chosen.write(graph, package_of(models, record, "int8" if int8 else "float32"), aside)
        progress(f"comparing masks with those of {reference.engine}")
        found = compare(reference, aside, images.samples, images.compared, images.what)
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


def calibration_images(samples: Samples, train: Sequence[int] | Positions) -> NDArray[np.uint8]:
    """Return inputs of the network of these positions, spread evenly over the data set: images, or tiles."""
    inputs = samples.scoring_inputs(spread(train, CALIBRATION_IMAGES))
    return samples.inputs(inputs[spread(np.arange(len(inputs)), CALIBRATION_IMAGES)])


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
    samples: Samples,
    positions: Positions,
    images: str = "test images",
) -> tuple[Parity, ...]:
    """Compare an exported file with its model, in every precision in which it can run."""
    networks = [open_exported(file, precision="auto")]
    if networks[0].engine.rpartition(" ")[2] not in ("float32", "int8"):
        networks.insert(0, open_exported(file, precision="float32"))
    compared: list[list[Compared]] = [[] for _ in networks]
    together = BATCH if isinstance(samples, Prepared) else 1  # images whose masks are in memory
    for batch in (positions[at : at + together] for at in range(0, len(positions), together)):
        expected = _masks(reference, samples, batch)
        truths = [samples.native_mask(int(position)) for position in batch]
        for network, found in zip(networks, compared, strict=True):
            masks = _masks(network, samples, batch)
            found += [
                _compared(*three, samples.outputs) for three in zip(masks, expected, truths, strict=True)
            ]
    return tuple(
        _parity(network.engine, found, reference.engine, images)
        for network, found in zip(networks, compared, strict=True)
    )


class Compared(NamedTuple):
    """The comparison of two masks of one image.

    Attributes:
        flipped: pixels of different classes.
        pixels: of the image.
        iou: of the exported file's mask to truth.
        iou_before: of the model's.
    """

    flipped: int
    pixels: int
    iou: float
    iou_before: float


def _compared(mask: Mask, before: Mask, truth: Mask, outputs: Outputs) -> Compared:
    flipped = int((mask != before).sum())
    return Compared(flipped, mask.size, _iou(mask, truth, outputs), _iou(before, truth, outputs))


def _parity(engine: str, compared: Sequence[Compared], reference: str, images: str) -> Parity:
    result = Parity(
        engine=engine,
        num_images=len(compared),
        flipped_frac=sum(each.flipped for each in compared) / sum(each.pixels for each in compared),
        worst_flipped_frac=max(each.flipped / each.pixels for each in compared),
        iou=float(np.mean([each.iou for each in compared])),
        iou_pytorch=float(np.mean([each.iou_before for each in compared])),
        limit="",
        passed=False,
        reference=reference,
        images=images,
    )
    if engine.endswith("float32"):
        limit = f"at most {percent(MAX_FLIPPED, 2)} of the pixels"
        return replace(result, limit=limit, passed=result.flipped_frac <= MAX_FLIPPED)
    limit = f"IoU down by at most {MAX_IOU_DROP}"
    return replace(result, limit=limit, passed=result.iou_change >= -MAX_IOU_DROP)


def _masks(network: Network, samples: Samples, batch: Positions) -> list[Mask]:
    """Return the masks of these images at native size; of windows, as a prediction blends them."""
    if isinstance(samples, Prepared):
        probabilities = network.probabilities(samples.images[batch])
        sizes = [samples.native_sizes[position] for position in batch]
        return [
            decided_at_native(prob, native, samples.resize, network.outputs)
            for prob, native in zip(probabilities, sizes, strict=True)
        ]
    predictor = Predictor([network])
    return [
        predictor.native(samples.native_image(int(position)), samples.native_sizes[position]).decided()
        for position in batch
    ]


def _iou(mask: Mask, truth: Mask, outputs: Outputs) -> float:
    """Return the IoU of a mask, of several classes the mean over those that are scored and present."""
    return compare_masks(mask, truth, outputs, "native", takes=("counts",)).mean()["native_iou"]
