"""How well people agree with one another on the kinds of images that readers read."""

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


HUMAN_REFERENCES: dict[str, tuple[HumanReference, ...]] = {"ph2": SKIN_LESIONS, "isic": SKIN_LESIONS}


def human_references(reader: str) -> tuple[HumanReference, ...]:
    """What is known of people's agreement on the kind of data that a reader reads; often nothing."""
    return HUMAN_REFERENCES.get(reader, ())
