"""The record of a loss, and the families of losses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

# The titles of the families, in the order of the report.
FAMILIES = {
    "distribution": "distribution losses",
    "region": "region losses",
    "boundary": "boundary losses",
    "combined": "the combination",
}


@dataclass(frozen=True, slots=True)
class Loss:
    """A record of the table of losses; tables of the report have its order.

    Attributes:
        function: ``(logits, target, option=default, ...)``, of binary masks.
        family: a key of ``FAMILIES``; empty for a plug-in's that belongs to none.
        numerics: raised when its numbers change; enters the keys of the runs that use it.
        title: its name in full.
        citations: keys of ``references.bib``.
        is_preferred: whether a first look trains it alone, if it is among the losses of the study.
        multilabel: the function of classes that may overlap, and of binary masks with ignored pixels; None if
            it serves neither.
        multiclass: the function of classes that exclude each other; None if it does not serve them.
        of_background: options of ``multiclass`` that mean nothing without the class ``background``.
        ranges: the least and the greatest value of options; numbers of others are 0 or more.
    """

    function: Callable[..., Tensor]
    family: str = ""
    numerics: int = 1
    title: str = ""
    citations: tuple[str, ...] = ()
    is_preferred: bool = False
    multilabel: Callable[..., Tensor] | None = None
    multiclass: Callable[..., Tensor] | None = None
    of_background: tuple[str, ...] = ()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
