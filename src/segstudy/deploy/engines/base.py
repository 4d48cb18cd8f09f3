"""The interface of an engine: images at network size in, probabilities out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segstudy.core.errors import UserError, one_line, typed_line
from segstudy.core.network_outputs import OutputError, wrong_with
from segstudy.core.outputs import Outputs
from segstudy.store.card import Card, Package

METADATA = "segstudy"  # the key in a file's metadata


Precision = Literal["auto", "float32", "bfloat16"]


Forward = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Network:
    """A trained network, ready to run.

    Attributes:
        card: of its run.
        name: of the configuration and seed.
        engine: that runs it, and its precision.
        forward: ``(N, H, W, channels)`` uint8 to float32 probabilities ``(N, *outputs.prob_shape(H, W))``.
        package: of an exported file; None for a run's folder.
        arithmetic: its version, raised when the numbers change although ``engine`` stays.
    """

    card: Card
    name: str
    engine: str
    forward: Forward
    package: Package | None = None
    arithmetic: int = 1

    @property
    def outputs(self) -> Outputs:
        """What it gives for an image, and how a mask is decided from that: no pixel is ignored."""
        return self.card.outputs.without_ignored

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the output of ``forward`` after a check: a mask would not show an invalid output.

        Raises:
            OutputError: of another shape or type, no numbers, or outside of 0 to 1.
        """
        found = np.asarray(self.forward(images))
        num_images, height, width = images.shape[:3]
        if problem := wrong_with(found, (num_images, *self.outputs.prob_shape(height, width))):
            raise OutputError(f"{self.name} by {self.engine}: gives {problem}")
        return found.clip(0, 1) if found.size and (found.min() < 0 or found.max() > 1) else found

    def refuse_if_wrong(self) -> None:
        """Try the network on noise and refuse one with invalid output before it is used.

        Raises:
            UserError: the output is invalid.
        """
        height, width = self.card.image_size
        shape = (1, height, width, self.card.num_channels)
        noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        try:
            self.probabilities(noise)
        except OutputError as error:
            raise UserError(f"{error}; train or export it again") from None
        except Exception as error:  # of whatever class each engine raises
            reason = typed_line(error, 200)
            raise UserError(
                f"{self.name} by {self.engine}: cannot be run ({reason}); train or export it again"
            ) from None


def missing(package: str) -> UserError:
    return UserError(f"{package} is not installed; pip install '{package}'")


def damaged(file: Path, error: Exception) -> UserError:
    reason = one_line(error, 200)
    return UserError(f"{file}: cannot be loaded ({reason}); export the model again")
