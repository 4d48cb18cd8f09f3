"""Warnings of images that hardly fit the scale of the model that is to segment them."""

import logging
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from segstudy.core.errors import printable
from segstudy.core.intensity import Scale

DARK = 16  # an image that reaches no further than this part of a scale keeps 16 of 256 grey levels
BEYOND_FRAC = 0.5

log = logging.getLogger(__name__)


def doubt(values: NDArray[Any], path: Path, scale: Scale) -> None:
    """Log a warning of an image with these values; not of a part of one, which says nothing of the whole."""
    if scale.is_of_model and not scale.is_for_part:
        is_range = scale.kind == "range"
        beyond_frac = float((values > scale.high).mean()) if is_range else 0.0
        doubt_of(float(values.max()), beyond_frac, path, scale)


def doubt_of(largest: float, beyond_frac: float, path: Path, scale: Scale) -> None:
    """Log a warning of an image with this largest value, and this share of values beyond the scale."""
    low, high = scale.extent
    if scale.kind == "range":
        if beyond_frac > BEYOND_FRAC:
            log.warning(printable(
                f"{path}: most of its values are beyond {high:g}, where the model's scale ends ({scale})"
            ))  # fmt: skip
    elif low < largest < (high + 1) / DARK:
        log.warning(printable(
            f"{path}: its largest value is {largest:g} of 65535, so it is nearly black at the model's scale "
            f"({scale}); if it has fewer than 16 bits, save it with 8"
        ))  # fmt: skip
