"""What lies over the pictures of the gallery: the outline of the truth, and the prediction with its errors.

Binary masks have one colour for each kind of error. Several classes have a colour each: pale where the
prediction is right, strong where it is wrong, and one colour where a class is predicted as none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.encoded_images import data_uri, few_colours
from segstudy.core.outputs import Mask, Outputs
from segstudy.core.palette import COLOURS, rgb_of
from segstudy.data.mask_outline import outline

Colour = tuple[int, int, int, int]  # red, green, blue, opacity
NOTHING: Colour = (0, 0, 0, 0)
FALSE_POSITIVE: Colour = (224, 123, 57, 130)
FALSE_NEGATIVE: Colour = (47, 126, 216, 130)
PREDICTION: Colour = (255, 214, 10, 255)
TRUTH: Colour = (255, 255, 255, 255)
ERRORS = (NOTHING, FALSE_POSITIVE, FALSE_NEGATIVE, PREDICTION)
PALE, STRONG = 80, 215  # opacities of a class that is predicted rightly and wrongly
PREDICTED_AS_NONE: Colour = (255, 255, 255, 170)
EDGE: Colour = (0, 0, 0, 170)  # around an outline, which is seen on an area of its own colour then
LAST = 1 + 2 * len(COLOURS)  # the place of what is no class


@dataclass(frozen=True, slots=True)
class Layers:
    """Makers of pictures of masks, as data URIs of transparent PNG files.

    Attributes:
        truth: of a true mask ``(H, W)``.
        prediction: of a true mask and the predicted one.
    """

    truth: Callable[[Mask], str]
    prediction: Callable[[Mask, Mask], str]


def layers_of(outputs: Outputs) -> Layers:
    """Return the makers of pictures of these classes."""
    if outputs.task == "binary":
        return Layers(
            lambda truth: _uri(outline(outputs.plane(truth, 1)).astype(np.uint8), (NOTHING, TRUTH)),
            lambda truth, predicted: _uri(painted(*_counting(outputs, truth, predicted)), ERRORS),
        )
    return Layers(
        lambda truth: _uri(outlines(outputs, truth), _palette(255, 255, EDGE)),
        lambda truth, predicted: _uri(
            painted_classes(outputs, truth, predicted), _palette(PALE, STRONG, PREDICTED_AS_NONE)
        ),
    )


def _uri(places: NDArray[np.uint8], colours: tuple[Colour, ...]) -> str:
    return data_uri("PNG", few_colours(places, colours))


def _counting(outputs: Outputs, truth: Mask, predicted: Mask) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the foreground of both masks among the pixels that count."""
    valid = outputs.valid(truth)
    found = outputs.plane(predicted, 1)
    return outputs.plane(truth, 1), found if valid is None else found & valid


def painted(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Places in ``ERRORS`` of two masks' pixels ``(H, W)``; both outlines stay free of the errors' tint."""
    out = np.zeros(truth.shape, np.uint8)
    out[predicted & ~truth] = ERRORS.index(FALSE_POSITIVE)
    out[truth & ~predicted & ~outline(truth)] = ERRORS.index(FALSE_NEGATIVE)
    out[outline(predicted)] = ERRORS.index(PREDICTION)
    return out


def _palette(right: int, wrong: int, last: Colour) -> tuple[Colour, ...]:
    """Nothing, each colour where it is right and where it is wrong, and one more colour."""
    each = [(*rgb_of(number), opacity) for number in range(len(COLOURS)) for opacity in (right, wrong)]
    return NOTHING, *each, last


def _place(number: int, is_wrong: bool = False) -> int:
    return 1 + 2 * (number % len(COLOURS)) + is_wrong


def outlines(outputs: Outputs, truth: Mask) -> NDArray[np.uint8]:
    """Return the places of the scored classes' outlines in a mask ``(H, W)``, later classes over earlier."""
    out = np.zeros(truth.shape, np.uint8)
    planes = {number: outputs.plane(truth, number) for number in outputs.scored}
    for plane in planes.values():
        out[outline(~plane) & ~plane] = LAST
    for number, plane in planes.items():
        out[outline(plane)] = _place(number)
    return out


def painted_classes(outputs: Outputs, truth: Mask, predicted: Mask) -> NDArray[np.uint8]:
    """Return the places of a prediction's pixels ``(H, W)``: by class, and whether it is right.

    Where classes overlap, the last of them is shown. Ignored pixels are left free.
    """
    wrong = np.zeros(truth.shape, np.bool_)
    for number in range(len(outputs.names)):
        wrong |= outputs.plane(truth, number) != outputs.plane(predicted, number)
    out = np.zeros(truth.shape, np.uint8)
    out[wrong] = LAST
    for number in outputs.scored:
        plane = outputs.plane(predicted, number)
        out[plane & ~wrong], out[plane & wrong] = _place(number), _place(number, is_wrong=True)
    valid: NDArray[Any] | None = outputs.valid(truth)
    if valid is not None:
        out[~valid] = 0
    return out
