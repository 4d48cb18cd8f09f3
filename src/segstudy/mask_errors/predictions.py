"""The predictions of a study on the images that its networks were tested on and have not seen in training."""

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segstudy.analysis.configurations import Row, rows_of
from segstudy.analysis.formatting import listed
from segstudy.analysis.winner import ordered, validation_mean
from segstudy.config.protocol import Protocol
from segstudy.core.errors import UserError
from segstudy.core.outputs import Outputs
from segstudy.core.quantities import counted
from segstudy.data.prepared import Samples
from segstudy.data.preprocess import mask_to_network, placement, prob_to_native, reduced
from segstudy.data.tiled import Tiled
from segstudy.store.folder import StudyFolder
from segstudy.store.probability_maps import probability_map
from segstudy.store.records import RunRecord
from segstudy.store.run_records import refuse_altered
from segstudy.store.tables import TOGETHER

MOST_CONFIGURATIONS = 4  # the best ones: worse networks add noise, and each costs time
MOST_PX = 512  # of the longer side of images that are not resized: some hundred are in memory at a time
SAME_FIELDS = ("image_size", "resize", "masks", "foreground")  # of the protocol: predictions can be averaged


@dataclass(frozen=True)
class Networks:
    """The runs whose predictions are compared with the masks.

    Attributes:
        names: of their configurations, the best on validation first.
        records: of all their runs.
        protocol: of the best one; the others see the images at the same size and the same foreground.
        left_out: the number of other configurations by reason.
        keys_by_name: the keys of the runs of each of the configurations.
    """

    names: tuple[str, ...]
    records: tuple[RunRecord, ...]
    protocol: Protocol
    left_out: Mapping[str, int]
    keys_by_name: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class ImagePredictions:
    """An image at network size, without padding: its mask, and what networks predict that have not seen it.

    Images that are not resized for the network are at their own size here, reduced to ``MOST_PX``.

    Attributes:
        id: of the sample.
        probs: ``(networks, height, width)``, probabilities of foreground, each in 256 steps.
        mask: ``(height, width)``.
    """

    id: str
    probs: NDArray[np.float32]
    mask: NDArray[np.bool_]

    @property
    def mean_prob(self) -> NDArray[np.float32]:
        """Return the mean probability over the networks, ``(height, width)``."""
        return np.asarray(self.probs.mean(0))

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """Return the mask that the networks predict together: mean probability of at least .5."""
        return self.mean_prob >= 0.5


def networks_of(folder: StudyFolder, most: int = MOST_CONFIGURATIONS) -> Networks:
    """Return the finished runs of the best configurations by validation IoU.

    Args:
        folder: of a study.
        most: configurations.

    Raises:
        UserError: no configuration has all its runs, a record is damaged, or masks have several classes.
    """
    num_images = {split.ids.fingerprint: len(split.validation) for split in folder.splits()}
    rows = rows_of(folder)
    complete = [row for row in rows if row.complete]
    if not complete:
        raise UserError(
            f"{folder.path}: no configuration has all its runs; `segstudy run {folder.path}` trains the rest"
        )
    for record in (record for row in complete for record in row.records):
        refuse_altered(folder.runs / record.key)
    complete.sort(key=lambda row: ordered(validation_mean(row, num_images)), reverse=True)
    first = _protocol(complete[0])
    if first.classes is not None:
        raise UserError(_of_several_classes(folder, first))
    alike = [row for row in complete if _is_alike(_protocol(row), first)]
    used = alike[:most]
    left_out = Counter(
        {
            "not all runs finished": len(rows) - len(complete),
            "another image size or foreground": len(complete) - len(alike),
            "lower validation IoU": len(alike) - len(used),
        }
    )
    records = tuple(record for row in used for record in row.records)
    keys = {row.name: row.keys for row in used}
    return Networks(tuple(keys), records, first, +left_out, keys)


def _of_several_classes(folder: StudyFolder, protocol: Protocol) -> str:
    """Return why a study of several classes is refused, and how one of its classes can be audited."""
    outputs, study = protocol.outputs(), folder.study()
    scored = [protocol.mask_classes()[number] for number in outputs.scored]
    said = (
        f"{folder.path}: its masks have {counted(len(outputs.names), 'class')}, and audit compares masks of "
        "one foreground, of which it says what kind of error explains them; train a study on one class, "
    )
    if outputs.task == "multilabel":
        return (
            f"{said}with its masks alone in masks/ ({listed([each.name for each in scored])}), and audit that"
        )
    words = ["segstudy", "run", study.data]
    if protocol.ignore:
        words += ["--ignore", "+".join(map(str, protocol.ignore))]
    options = [
        f"{shlex.join(['--set', f'foreground={text}'])} for {each.name}"
        for each in scored
        if (text := "+".join(map(str, each.values)))
    ]
    return f"{said}and audit that: `{shlex.join(words)}` with {listed(options, joined='or')}"


def _protocol(row: Row) -> Protocol:
    assert row.planned is not None
    return row.planned.protocol


def _is_alike(a: Protocol, b: Protocol) -> bool:
    return all(getattr(a, name) == getattr(b, name) for name in SAME_FIELDS)


def testers(folder: StudyFolder, networks: Networks) -> dict[str, list[str]]:
    """Return the keys of the runs that tested each image, by id; only images that were tested.

    Raises:
        UserError: a run's predictions are missing or damaged.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for record in networks.records:
        if not (folder.runs / record.key / "predictions.parquet").is_file():
            raise UserError(
                f"{folder.runs / record.key}: predictions.parquet is missing, and audit compares it with the "
                "masks; copy the whole folder of the run, or remove it and run the study again"
            )
        for sample_id in folder.predictions(record.key, ["id"], pl.col("part") == "test")["id"]:
            found[sample_id].append(record.key)
    return dict(found)


def tested_images(
    folder: StudyFolder, tested_by: Mapping[str, Sequence[str]], ids: Sequence[str], prepared: Samples
) -> Iterator[ImagePredictions]:
    """Yield these images with all their predictions; some hundred are in memory at a time.

    Args:
        folder: of the study.
        tested_by: keys of runs by id, see ``testers``.
        ids: of tested images.
        prepared: the study's images and masks, as its networks saw them.
    """
    for at in range(0, len(ids), TOGETHER):
        some = ids[at : at + TOGETHER]
        encoded: dict[str, list[bytes]] = defaultdict(list)
        for key in dict.fromkeys(key for sample_id in some for key in tested_by[sample_id]):
            wanted = (pl.col("part") == "test") & pl.col("id").is_in(some)
            for sample_id, prob in folder.predictions(key, ["id", "prob"], wanted).iter_rows():
                encoded[sample_id].append(prob)
        for sample_id, position in zip(some, prepared.positions(some), strict=True):
            yield _tested(sample_id, encoded[sample_id], prepared, int(position))


def _tested(sample_id: str, encoded: Sequence[bytes], prepared: Samples, position: int) -> ImagePredictions:
    outputs = prepared.outputs
    probs = [probability_map(each, outputs) for each in encoded]
    if isinstance(prepared, Tiled):
        truth, found = _reduced(prepared.native_mask(position), probs, outputs)
    else:
        truth = prepared.network_mask(position)
        top, left, height, width = placement(prepared.native_sizes[position], truth.shape, prepared.resize)
        inside = (slice(top, top + height), slice(left, left + width))
        truth, found = truth[inside], np.stack([each[inside] for each in probs])
    mask, valid = outputs.plane(truth, 1), outputs.valid(truth)
    if valid is not None:  # what is ignored is foreground of nobody
        found *= valid
    return ImagePredictions(sample_id, found, np.ascontiguousarray(mask))


def _reduced(
    mask: NDArray[Any], probs: Sequence[NDArray[np.float32]], outputs: Outputs
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return a mask at native size and its probabilities, both so that the longer side is ``MOST_PX``."""
    size = reduced((mask.shape[0], mask.shape[1]), MOST_PX)
    small = mask_to_network(mask, size, "squash", outputs)
    return small, np.stack([prob_to_native(prob, size, "squash") for prob in probs])
