"""What is found about the meaning of a data set's masks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from segstudy.core.mask_rules import MaskMeaning
from segstudy.data.images import ImageError
from segstudy.data.mask_refusals import Refusal


@dataclass(frozen=True)
class Inference:
    """The meaning of a data set's masks.

    Attributes:
        meaning: for all masks; ``larger`` where nothing speaks for another.
        why: what speaks for it, for people.
        unfit: the masks that do not fit it, by position.
        fault: what is wrong with all of them together; nothing mostly.
        is_given: the rule is the user's.
        doubt: what speaks against a rule that is given; nothing mostly.
        remark: what else should be known of the values; nothing mostly.
        refusal: why masks are refused together, of those in ``unfit`` with its kind; None mostly.
        not_held: what is named to be ignored and is in no mask; nothing mostly.
    """

    meaning: MaskMeaning
    why: str
    unfit: Mapping[int, ImageError] = field(default_factory=dict)
    fault: str = ""
    is_given: bool = False
    doubt: str = ""
    remark: str = ""
    refusal: Refusal | None = None
    not_held: str = ""
