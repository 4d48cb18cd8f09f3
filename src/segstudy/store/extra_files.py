"""What else is stored with a run, beside the files that every run has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.config.runs import Run


@dataclass(frozen=True)
class Trained:
    """A training that is done, for what else will be stored with it.

    Attributes:
        run: what was trained.
        files: of weights and card, by name.
        images: so many of validation at most, spread evenly, at network size: ``(N, H, W, 3)`` uint8. They
            are read when this is called, as few runs need any.
        threads: CPU threads of this training.
    """

    run: Run
    files: Mapping[str, bytes]
    images: Callable[[int], NDArray[np.uint8]]
    threads: int


# Further files of a run, further fields of its run.json, and what will be said, if anything.
Extra = tuple[dict[str, bytes], dict[str, Any], str]
