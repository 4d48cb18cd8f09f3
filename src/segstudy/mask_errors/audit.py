"""The audit of a study's masks: every image that was tested out of fold, the most suspicious mask first."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segstudy.analysis.against_baselines import networks_note
from segstudy.core.errors import UserError
from segstudy.core.progress import Stage
from segstudy.data.datasets import refuse_gone
from segstudy.data.prepared import Samples, open_prepared, prepare
from segstudy.data.samples import Sample
from segstudy.evaluation.external_masks import study_samples
from segstudy.evaluation.second_rater import folder_of_second_rater
from segstudy.evaluation.summary import data_of
from segstudy.mask_errors.kinds import Case, best_kind
from segstudy.mask_errors.predictions import ImagePredictions, Networks, networks_of, tested_images, testers
from segstudy.mask_errors.second_rater import SecondRater, second_rater
from segstudy.mask_errors.suspicion import Agreement, agreement_of
from segstudy.store.folder import StudyFolder

MOST_EXAMINED = 500  # of the most suspicious masks, for a kind of error
GOOD_IOU = 0.8  # a mask that the networks agree with so well is not examined


@dataclass(frozen=True, slots=True)
class AuditedMask:
    """A mask, and how networks that have not seen it agree with it.

    Attributes:
        id: of the sample.
        suspicion: what masks are ordered by, from 0 to 1.
        iou: of the mask with what the networks predict together, at the size of ``ImagePredictions``.
        agreement: mean IoU of all pairs of networks; of one network, the IoU that it expects itself.
        num_networks: that tested this image.
        kind: of error that would explain the mask; empty if none does.
        explained_iou: of the mask with the prediction after this error; None without a kind.
        partner: the other image, of masks that may be swapped.
        second_iou: of the mask with that of a second rater, at native size; None without one.
    """

    id: str
    suspicion: float
    iou: float
    agreement: float
    num_networks: int
    kind: str = ""
    explained_iou: float | None = None
    partner: str = ""
    second_iou: float | None = None


@dataclass(frozen=True)
class Audit:
    """What ``segstudy.audit`` returns.

    Attributes:
        name: of the data set.
        networks: whose predictions were compared with the masks.
        masks: of all images that were tested, the most suspicious first.
        samples: of the study, by id; those that were not tested are not ranked.
        probs: mean probability ``(height, width)`` at that size, in 256 steps, of the masks that were
            examined for a kind of error; the others have no kind.
        second: what a second rater's masks say; None without them.
        warning: that the networks are too weak for this, in a sentence; empty if they are not.
    """

    name: str
    networks: Networks
    masks: tuple[AuditedMask, ...]
    samples: Mapping[str, Sample]
    probs: Mapping[str, NDArray[np.uint8]]
    second: SecondRater | None = None
    warning: str = ""

    @property
    def num_untested(self) -> int:
        """Return the number of samples that are not ranked."""
        return len(self.samples) - len(self.masks)

    def table(self) -> pl.DataFrame:
        """Return one row per mask, the most suspicious first: the fields of ``AuditedMask``."""
        return pl.DataFrame([asdict(mask) for mask in self.masks], infer_schema_length=None)


def audit_study(folder: StudyFolder, data: str | Path | None, masks2: Path | None, stage: Stage) -> Audit:
    """Compare the masks of a finished study with what networks predict that have not seen them.

    Args:
        folder: of the study; nothing in it is changed.
        data: where the data set lies, if not where the study says.
        masks2: the folder of a second rater's masks; ``masks2`` in the data set's folder, if it is there.
        stage: called with what is being done.

    Raises:
        UserError: no configuration has all its runs, predictions are missing or damaged, or the data are not
            those of the study.
    """
    networks = networks_of(folder)
    samples = _samples(folder, data)
    prepared = _prepared(folder, samples, networks, stage)
    tested_by = testers(folder, networks)
    ids = sorted(tested_by)
    masks = []
    for tested in tested_images(folder, tested_by, ids, prepared):
        masks.append(_audited(tested.id, agreement_of(tested), len(tested.probs)))
        stage("comparing masks with predictions", len(masks), len(ids))
    masks.sort(key=lambda mask: (-mask.suspicion, mask.iou, mask.id))
    worst = [mask.id for mask in masks[:MOST_EXAMINED]]
    stage("examining the most suspicious masks", 0, 0)
    examined = {tested.id: tested for tested in tested_images(folder, tested_by, worst, prepared)}
    masks = [*_with_kinds(masks[:MOST_EXAMINED], examined), *masks[MOST_EXAMINED:]]
    place = masks2 or folder_of_second_rater(data or folder.study().data)
    second = None
    if place is not None:
        stage("comparing both raters", 0, 0)
        meaning = networks.protocol.mask_meaning()
        second = second_rater(place, folder, samples, ids, networks.names, meaning)
        masks = [replace(mask, second_iou=second.ious.get(mask.id)) for mask in masks]
    probs = {each.id: np.rint(each.mean_prob * 255).astype(np.uint8) for each in examined.values()}
    warning = networks_note(folder, networks.keys_by_name)
    return Audit(data_of(folder).name, networks, tuple(masks), samples, probs, second, warning)


def _samples(folder: StudyFolder, data: str | Path | None) -> dict[str, Sample]:
    """Return the study's samples by id.

    Raises:
        UserError: they are not there, or no longer the same.
    """
    place = folder.study().data
    if not data:
        refuse_gone(place)
    try:
        return study_samples(folder, data or place)
    except UserError as error:
        if data:
            raise
        raise UserError(f"{error}; --data says where the data set lies, if it was moved") from None


def _prepared(
    folder: StudyFolder, samples: Mapping[str, Sample], networks: Networks, stage: Stage
) -> Samples:
    """Return images and masks as the networks saw them: those of the training, if the cache has them."""
    protocol = networks.protocol
    height, width = protocol.image_size
    settings = ((height, width), protocol.resize, protocol.mask_meaning(), protocol.scale())
    ordered = [samples[sample_id] for sample_id in sorted(samples)]
    made = prepare(
        ordered,
        data_of(folder).fingerprint,
        *settings,
        progress=lambda done: stage("decoding and resizing", done, len(ordered)),
    )
    return open_prepared(made, protocol.windowing())


def _audited(sample_id: str, found: Agreement, num_networks: int) -> AuditedMask:
    return AuditedMask(sample_id, found.suspicion, found.iou, found.agreement, num_networks)


def _with_kinds(masks: Sequence[AuditedMask], examined: Mapping[str, ImagePredictions]) -> list[AuditedMask]:
    """Return masks with the kind of error that explains each."""
    cases = {
        mask.id: Case(examined[mask.id].predicted, examined[mask.id].mask, mask.iou)
        for mask in masks
        if mask.iou < GOOD_IOU
    }
    cases = _with_partners(cases)
    return [_with_kind(mask, cases[mask.id]) if mask.id in cases else mask for mask in masks]


def _with_kind(mask: AuditedMask, case: Case) -> AuditedMask:
    kind, explained = best_kind(case)
    if kind is None:
        return mask
    partner = case.partner if kind.name == "swapped" else ""
    return replace(mask, kind=kind.name, explained_iou=explained, partner=partner)


def _with_partners(cases: Mapping[str, Case]) -> dict[str, Case]:
    """Return cases with the image whose mask each may have been exchanged with: both must fit better then."""
    by_shape: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for sample_id, case in cases.items():
        by_shape[case.mask.shape].append(sample_id)
    found = dict(cases)
    for ids in by_shape.values():
        fit = _ious([cases[i].predicted for i in ids], [cases[i].mask for i in ids])
        both = np.minimum(fit, fit.T)
        np.fill_diagonal(both, -1)
        for i, sample_id in enumerate(ids):
            j = int(both[i].argmax())
            if both[i, j] > max(cases[sample_id].iou, cases[ids[j]].iou):
                found[sample_id] = replace(cases[sample_id], exchanged=float(both[i, j]), partner=ids[j])
    return found


def _ious(predicted: Sequence[NDArray[np.bool_]], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Return the IoU of every prediction with every mask, ``(predictions, masks)``; 0 of two empty ones."""
    p = np.stack([each.ravel() for each in predicted]).astype(np.float32)
    m = np.stack([each.ravel() for each in masks]).astype(np.float32)
    both = (p @ m.T).astype(np.float64)
    union = p.sum(1)[:, None] + m.sum(1)[None] - both
    return np.asarray(both / np.maximum(union, 1))
