"""Further files of a run, besides those that every run has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.config.runs import Run


@dataclass(frozen=True)
class Trained:
    """A finished training, from which further files are made.

    Attributes:
        run: what was trained.
        files: of weights and card, by name.
        images: returns at most so many validation images, spread evenly, at network size, uint8
            ``(N, H, W, channels)``. They are read only when it is called, as few runs need them.
        threads: CPU threads of this training.
    """

    run: Run
    files: Mapping[str, bytes]
    images: Callable[[int], NDArray[np.uint8]]
    threads: int


# Further files of a run, further fields of its run.json, and a line for the user, or none.
Extra = tuple[dict[str, bytes], dict[str, Any], str]
