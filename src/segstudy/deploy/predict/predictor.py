"""The prediction of one image, with a trained model and the preprocessing of its training.

An image that is not resized passes the network in windows, whose probabilities are blended.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segstudy.core.arguments import checked_methods
from segstudy.core.errors import UserError
from segstudy.core.intensity import COLOURS
from segstudy.core.outputs import Outputs
from segstudy.core.paths import expanded
from segstudy.core.scratch import scratch_array
from segstudy.core.windowing import Place, Windowing
from segstudy.data.image_errors import ImageError
from segstudy.data.image_values import scaled_bytes
from segstudy.data.large_tiff import is_large_tiff
from segstudy.data.native_probabilities import NativeProbabilities
from segstudy.data.preprocess import Size, image_to_network, read_for_network
from segstudy.data.windows import Forward, in_windows, whole
from segstudy.deploy.engines import EngineName
from segstudy.deploy.engines.base import Network, Precision
from segstudy.deploy.predict.clean_up import can_clean_up, fill_holes, largest_component
from segstudy.deploy.predict.load import open_model
from segstudy.deploy.predict.options import PredictOptions
from segstudy.store.card import Card

WINDOWS_TOGETHER = (
    4  # windows that pass the network at a time, if they are small: the rest is for other threads
)
TOGETHER_PIXELS = 2**18  # of all of them, so that memory does not grow with the size of a tile

Cut = Callable[[Iterable[Place]], NDArray[np.uint8]]  # windows at these places, (n, height, width, channels)
Spread = Callable[
    [Callable[[Sequence[Place]], NDArray[np.float32]], list[Sequence[Place]]], Iterable[NDArray[np.float32]]
]  # as ``map``, over threads perhaps


class Segmentation(NamedTuple):
    """A mask ``(H, W)`` and float32 probabilities, at the image's own size.

    Of one foreground the mask is bool and the probabilities are ``(H, W)``. Of several classes there are
    probabilities ``(K, H, W)``; the mask has the number of each pixel's class (uint8), or of overlapping
    classes bit k for class k (uint16). ``Predictor.outputs`` has their names, and ``plane`` of one class.
    """

    mask: NDArray[Any]
    probability: NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """Settings of the steps after the network.

    Attributes:
        threshold: of the probability; None takes the card's, .5. Exclusive classes have none.
        tta: average over the eight flips and rotations of the image.
        largest_component: keep only the largest connected part, of each class.
        fill_holes: fill what foreground, or a class, encloses.
    """

    threshold: float | None = None
    tta: bool = False
    largest_component: bool = False
    fill_holes: bool = False

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise UserError(f"--threshold must be between 0 and 1, got {self.threshold:g}")


NOTHING_MORE = Settings()
NO_THRESHOLD = "the classes of this model exclude each other, and each pixel gets the most probable one"


@checked_methods
class Predictor:
    """A trained model, ready for images; or several, whose probabilities are averaged.

    May be called from several threads at once.

    >>> mask, probability = Predictor("PH2Dataset-classic")("IMD002.bmp")  # doctest: +SKIP

    Args:
        model: a run's folder, a study's (its best run), an exported file, or networks that are open already.
        settings: of the steps after the network, in place of the next four arguments.
        threshold: of the probability; the card's, .5, if left out. Exclusive classes have none.
        tta: average over the eight flips and rotations of the image.
        largest_component: keep only the largest connected part, of each class.
        fill_holes: fill what foreground, or a class, encloses.
        engine: ``torch``, ``onnxruntime`` or ``openvino``; see ``load.open_model``.
        precision: of the arithmetic: ``float32`` or ``bfloat16``.
        threads: callers at once, each with a thread of its own.
        device: for PyTorch: ``cpu``, ``cuda`` or ``mps``.
        ensemble: of a study, all runs of its best configuration instead of the best of them.
        network: ``my.py:Net``, for a model whose network comes from a file of one's own.

    Raises:
        UserError: no model there, several of different image sizes or classes, arguments that exclude each
            other, or settings that have no meaning for the model's classes.
    """

    def __init__(  # noqa: PLR0913 (an option each)
        self,
        model: str | Path | Sequence[Network],
        settings: Settings | None = None,
        *,
        threshold: float | None = None,
        tta: bool = False,
        largest_component: bool = False,
        fill_holes: bool = False,
        engine: EngineName = "auto",
        precision: Precision = "auto",
        threads: int = 1,
        device: str = "auto",
        ensemble: bool = False,
        network: str | None = None,
    ):
        asked = Settings(threshold, tta, largest_component, fill_holes)
        if settings is not None and asked != NOTHING_MORE:
            raise UserError("Predictor: give settings, or threshold, tta and the others, not both")
        settings = settings or asked
        if isinstance(model, str | Path):
            model = open_model(
                Path(model),
                engine=engine,
                precision=precision,
                threads=threads,
                device=device,
                ensemble=ensemble,
                network=network,
            )
        elif PredictOptions(engine, precision, threads, device, network) != PredictOptions() or ensemble:
            raise UserError(
                "Predictor: these networks are open already; engine and the like cannot be chosen"
            )
        first = model[0].card
        for other in model[1:]:
            if _input_of(other.card) != _input_of(first):
                raise UserError(
                    "models of different image sizes, windows, channels, intensity scales or classes cannot "
                    "be an ensemble; give models of one configuration"
                )
        self.networks = tuple(model)
        self.settings = settings
        self.size, self.resize, self.scale = first.image_size, first.resize, first.scale
        self.windowing = first.windowing
        self.outputs = model[0].outputs
        refuse_unfit(settings, self.outputs)
        threshold = first.threshold if settings.threshold is None else settings.threshold
        self.threshold = threshold if self.outputs.has_threshold else None

    def __call__(self, image: str | Path | NDArray[np.uint8]) -> Segmentation:
        """Segment an image.

        Args:
            image: a file, or RGB pixels ``(H, W, 3)``, 0 to 255; of a model for other channels than three
                pixels ``(H, W, channels)``, by its scale.

        Raises:
            ImageError: a file that cannot be used.
            UserError: an array that is not such an image.
        """
        if isinstance(image, str | Path):
            file = Path(expanded(str(image)))
            if self.windowing is not None and is_large_tiff(file):
                raise ImageError(
                    file, "oversized", "is too large for memory; segstudy.predict writes its mask"
                )
            native, pixels = read_for_network(file, self.size, self.resize, self.scale)
        else:
            pixels = _as_pixels(image, self.scale.channels)
            pixels = scaled_bytes(pixels, self.scale) if self.scale.is_for_bytes() else pixels
            native = (pixels.shape[0], pixels.shape[1])
        return self.of_pixels(pixels, native)

    def of_pixels(self, pixels: NDArray[np.uint8], native: Size) -> Segmentation:
        """Segment the pixels of an image of ``native`` size, which may be decoded at a reduced scale."""
        found = self.native(pixels, native)
        return Segmentation(self.mask(found), found.all())

    def native(self, pixels: NDArray[np.uint8], native: Size, spread: Spread = map) -> NativeProbabilities:
        """Return the probabilities of the same, of which each class is made when it is asked for.

        Args:
            pixels: of the image.
            native: its size.
            spread: the windows of an image that is not resized, over threads.
        """
        if self.windowing is not None:
            forward = self.of_windows(in_windows(pixels, self.size), spread)
            return self.blended(self.windowing, native, forward)
        small = image_to_network(pixels, self.size, self.resize, native)
        return self.at_native(self.of_network_size(small[None])[0], native)

    def blended(self, windowing: Windowing, native: Size, forward: Forward) -> NativeProbabilities:
        """Return the blended probabilities of an image's windows; those of several classes in a file."""
        array = np.empty if self.outputs.task == "binary" else scratch_array
        return self.at_native(whole(windowing.of(native), forward, array), native)

    def of_windows(self, cut: Cut, spread: Spread = map) -> Forward:
        """Return a function that gives the probabilities of windows, some of them at a time.

        Args:
            cut: gives the pixels of windows.
            spread: over threads.
        """
        together = self.num_together

        def forward(places: Sequence[Place]) -> NDArray[np.float32]:
            parts = [places[at : at + together] for at in range(0, len(places), together)]
            return np.concatenate(list(spread(lambda part: self.of_network_size(cut(part)), parts)))

        return forward

    @property
    def num_together(self) -> int:
        """The number of windows that pass the network at a time."""
        return max(1, min(WINDOWS_TOGETHER, TOGETHER_PIXELS // (self.size[0] * self.size[1])))

    def at_native(self, prob: NDArray[np.float32], native: Size) -> NativeProbabilities:
        """Bring an image's probabilities at network size to its own."""
        return NativeProbabilities(prob, native, self.resize, self.outputs)

    def of_network_size(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities of images ``(N, height, width, channels)`` at network size.

        They are ``(N, height, width)``, of several classes ``(N, K, height, width)``.
        """
        found = [
            _averaged(network, images) if self.settings.tta else network.probabilities(images)
            for network in self.networks
        ]
        return found[0] if len(found) == 1 else np.mean(found, axis=0, dtype=np.float32)

    def mask(self, probabilities: NativeProbabilities) -> NDArray[Any]:
        """Return the mask of these probabilities."""
        return mask_of(probabilities, self.threshold, self.settings)


def _input_of(card: Card) -> tuple[Any, ...]:
    windows = (card.image_size, card.resize, card.overlap)
    return *windows, card.scale, card.outputs.names, card.outputs.task


def refuse_unfit(settings: Settings, outputs: Outputs) -> None:
    """Refuse settings that have no meaning for these classes.

    Raises:
        UserError: naming the setting.
    """
    if settings.threshold is not None and not outputs.has_threshold:
        raise UserError(f"--threshold: {NO_THRESHOLD}; leave it out")
    for name in ("largest_component", "fill_holes"):
        if getattr(settings, name) and not can_clean_up(outputs):
            raise UserError(
                f"--{name.replace('_', '-')}: the classes of this model ({', '.join(outputs.names)}) have no "
                "background that pixels could become or come from; leave it out"
            )


def mask_of(probabilities: NativeProbabilities, threshold: float | None, settings: Settings) -> NDArray[Any]:
    """Return the mask of an image's probabilities at a threshold, cleaned up as the settings say."""
    outputs = probabilities.outputs
    mask = probabilities.decided() if threshold is None else probabilities.decided(threshold)
    if settings.fill_holes:
        mask = fill_holes(mask, outputs)
    return largest_component(mask, outputs) if settings.largest_component else mask


def _averaged(network: Network, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean over the eight flips and rotations of the images; turns by 90 degrees swap H and W."""
    total = np.zeros((len(images), *network.outputs.prob_shape(*images.shape[1:3])), np.float32)
    for flipped in (False, True):
        for turns in range(4):
            view = np.rot90(images[:, :, ::-1] if flipped else images, turns, axes=(1, 2))
            back = np.rot90(network.probabilities(np.ascontiguousarray(view)), -turns, axes=(-2, -1))
            total += back[..., ::-1] if flipped else back
    return np.asarray(total / 8)


def _as_pixels(image: NDArray[Any], channels: int) -> NDArray[np.uint8]:
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != channels:
        what = "RGB pixels" if channels == COLOURS else f"pixels of {channels} channels"
        raise UserError(
            f"an array of {pixels.dtype} and shape {pixels.shape}: give {what}, uint8 of shape "
            f"(H, W, {channels})"
        )
    return np.ascontiguousarray(pixels)
