"""How well people agree with one another on kinds of images; READERS says which data are of a kind."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HumanReference:
    """How well people agree with one another where the study's networks agree with one person.

    Attributes:
        iou: mean per-image IoU between two people's masks.
        source: of whom, and who measured it.
    """

    iou: float
    source: str


SKIN_LESIONS = (
    HumanReference(0.786, "ISIC-2016, three experts"),
    HumanReference(0.683, "IMA++, 3,103 pairs of masks of one image (arXiv:2508.09381)"),
)
