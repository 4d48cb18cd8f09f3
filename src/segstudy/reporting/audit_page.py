"""The page of an audit: image, mask and prediction of the most suspicious masks, and boxes to tick.

What is ticked becomes two lists of ids, to copy or to save: samples to leave out, and masks to make again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segstudy.core.atomic_files import write_text
from segstudy.core.resources import allowed_cores
from segstudy.core.version import __version__
from segstudy.data.leakage import as_line
from segstudy.data.masks import read_mask
from segstudy.data.preprocess import prob_to_native
from segstudy.data.samples import Sample
from segstudy.mask_errors.audit import Audit, AuditedMask
from segstudy.mask_errors.kinds import KINDS
from segstudy.reporting.audit_table import facts, suspected_text
from segstudy.reporting.own_pages import refuse_place
from segstudy.reporting.rendering import ENVIRONMENT, as_script
from segstudy.reporting.small_pictures import FILL, LAYER, Colour, layer_places, layer_uri, small_picture

GENERATOR = "segstudy audit"
MAX_SHOWN = 300  # masks
MAX_BYTES = 24_000_000  # of pictures
SIDE_PX = 384  # of a picture, the longer one
DASH_PX = 5  # length of the dashes and gaps of a prediction's outline
NOTHING: Colour = (0, 0, 0, 0)
PREDICTION: tuple[Colour, ...] = (NOTHING, NOTHING, (255, 214, 10, 255), (0, 0, 0, 150))


@dataclass(frozen=True, slots=True)
class Card:
    """A mask on the page.

    Attributes:
        id, group: of the sample; no group where each sample is its own.
        line: the id as a line of a list.
        rank: from 1.
        suspicion, iou, agreement, second_iou: as of ``AuditedMask``.
        suspected: the kind of error, and with which image; empty where there is none.
        explained_iou: of the mask with the prediction after this error.
        picture, mask, prediction: data URIs; empty without pictures.
        size_px: width and height of the picture.
    """

    id: str
    group: str
    line: str
    rank: int
    suspicion: float
    iou: float
    agreement: float
    second_iou: float | None
    suspected: str
    explained_iou: float | None
    picture: str = ""
    mask: str = ""
    prediction: str = ""
    size_px: tuple[int, int] = (1, 1)


def write_audit_page(
    audit: Audit,
    file: Path,
    images: bool = True,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> int:
    """Write the page, and count the masks on it: the first ``MAX_SHOWN``, or as many as fit.

    Args:
        audit: of a study.
        file: to write; a page of this kind is replaced.
        images: whether pictures of the data may be in it.
        progress: called with the number of masks on the page and how many there will be.

    Raises:
        UserError: another file, or one that cannot be written.
    """
    refuse_place(file, GENERATOR)
    masks = audit.masks[:MAX_SHOWN]
    cards = []
    for card in _fitting(_cards(audit, masks, images)):
        cards.append(card)
        progress(len(cards), len(masks))
    text = ENVIRONMENT.get_template("audit.html.j2").render(
        generator=GENERATOR,
        version=__version__,
        name=audit.name,
        facts=facts(audit, len(cards)),
        kinds=list(KINDS.values()),
        images=images,
        data=as_script({"cards": [asdict(card) for card in cards], "name": audit.name}),
    )
    write_text(file, text)
    return len(cards)


def _cards(audit: Audit, masks: Sequence[AuditedMask], images: bool) -> Iterator[Card]:
    make = partial(_card, audit, images)
    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        yield from pool.map(make, masks, range(1, len(masks) + 1))


def _fitting(cards: Iterable[Card]) -> Iterator[Card]:
    """Yield cards until their pictures take too much; always one."""
    num_bytes = 0
    for i, card in enumerate(cards):
        num_bytes += len(card.picture) + len(card.mask) + len(card.prediction)
        if num_bytes > MAX_BYTES and i:
            return
        yield card


def _card(audit: Audit, images: bool, mask: AuditedMask, rank: int) -> Card:
    sample = audit.samples[mask.id]
    card = Card(
        id=mask.id,
        group=sample.group if sample.group != sample.id else "",
        line=as_line(mask.id),
        rank=rank,
        suspicion=mask.suspicion,
        iou=mask.iou,
        agreement=mask.agreement,
        second_iou=mask.second_iou,
        suspected=suspected_text(mask),
        explained_iou=mask.explained_iou,
    )
    return _with_pictures(card, audit, sample) if images else card


def _with_pictures(card: Card, audit: Audit, sample: Sample) -> Card:
    protocol = audit.networks.protocol
    made = small_picture(sample.image, SIDE_PX, protocol.scale())
    if made is None:
        return card
    picture, (width, height) = made
    truth = layer_places(read_mask(sample.mask, protocol.mask_meaning()), (width, height))
    prob = audit.probs[card.id].astype(np.float32) / np.float32(255)
    predicted = prob_to_native(prob, (height, width), "squash") >= 0.5  # without padding already
    return replace(
        card,
        picture=picture,
        mask=layer_uri(truth, LAYER),
        prediction=layer_uri(_dashed(layer_places(predicted, (width, height))), PREDICTION),
        size_px=(width, height),
    )


def _dashed(places: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an outline with gaps, so that it is not by its colour alone that it differs from the mask's."""
    y, x = np.indices(places.shape)
    gaps = ((x + y) // DASH_PX + (x - y) // DASH_PX) % 2 == 1
    return np.where(gaps & (places != FILL), 0, places).astype(np.uint8)
