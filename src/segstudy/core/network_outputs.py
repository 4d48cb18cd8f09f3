"""Checks of a network's output: probabilities, of the right shape and type."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-5  # a probability may lie outside of 0 to 1 by this much


class OutputError(ArithmeticError):
    """A network's output for an image is not a map of probabilities."""


def wrong_with(found: NDArray[Any], shape: tuple[int, ...]) -> str:
    """Return what is wrong with an array that must hold probabilities of this shape; empty if nothing is.

    Values may lie outside of 0 to 1 by ``ROUNDING``.
    """
    if found.shape != shape or found.dtype != np.float32:
        return f"an array of {found.dtype} and shape {found.shape} instead of float32 and {shape}"
    if not found.size:
        return ""
    low, high = float(found.min()), float(found.max())
    if not (math.isfinite(low) and math.isfinite(high)):  # a NaN anywhere is the lowest and the highest
        return "probabilities that are not numbers"
    if low < -ROUNDING or high > 1 + ROUNDING:
        return f"probabilities from {low:.3g} to {high:.3g} instead of 0 to 1"
    return ""
