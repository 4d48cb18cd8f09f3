"""The answers for an image: measurements and polygons, or a picture."""

from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segstudy.core.outputs import Outputs
from segstudy.data.native_probabilities import NativeProbabilities
from segstudy.deploy.predict.measurements import measured, polygons
from segstudy.deploy.predict.result_files import PICTURES, as_bytes, palette_png, picture, png

__all__ = ["MEDIA", "PICTURES", "View", "as_json", "as_picture"]

View = Literal["mask", "numbers", "probability", "overlay", "outline"]
MEDIA: dict[View, str] = {
    **{"mask": "image/png", "numbers": "image/png", "probability": "image/png"},
    **{"overlay": "image/jpeg", "outline": "image/jpeg"},
}


def as_json(
    mask: NDArray[Any],
    probabilities: NativeProbabilities,
    threshold: float | None,
    number: int | None = None,
) -> dict[str, Any]:
    """Return measurements and polygons, of several classes for each but the background.

    Args:
        mask: ``(H, W)``.
        probabilities: of the image.
        threshold: by which the mask was decided, if it was.
        number: of the class that is wanted.
    """
    outputs = probabilities.outputs
    found = [
        {
            "name": outputs.names[each],
            "measurements": asdict(measured(plane, probabilities.of(each))),
            "polygons": polygons(plane),
        }
        for each in (outputs.scored if number is None else [number])
        for plane in [outputs.plane(mask, each)]
    ]
    about = {"width_px": mask.shape[1], "height_px": mask.shape[0], "threshold": threshold}
    if outputs.task != "binary":
        return {**about, "classes": found}
    return {**about, "measurements": found[0]["measurements"], "polygons": found[0]["polygons"]}


def as_picture(
    view: View,
    pixels: NDArray[np.uint8],
    mask: NDArray[Any],
    probabilities: NativeProbabilities,
    number: int | None = None,
) -> bytes:
    """Return a picture as the bytes of a file.

    Args:
        view: the kind of picture.
        pixels: of the image, which only an overlay and an outline show.
        mask: of the image.
        probabilities: of the image.
        number: of the class that is wanted. Without it the mask of exclusive classes has their numbers and a
            palette, other masks and probabilities are one below the other, and pictures show all but the
            background.
    """
    outputs = probabilities.outputs
    match view:
        case "overlay" | "outline":
            return picture(view, pixels, mask, outputs, outputs.scored if number is None else [number])
        case "numbers":
            plane = mask if number is None else outputs.plane(mask, number)
            return png(plane.view(np.uint8) if plane.dtype == np.bool_ else plane)
        case "mask" if number is None and outputs.task == "multiclass":
            return palette_png(mask, outputs)
    planes = (
        as_bytes(probabilities.of(each))
        if view == "probability"
        else outputs.plane(mask, each).view(np.uint8) * np.uint8(255)
        for each in _numbers(outputs, number)
    )
    return png(np.concatenate(list(planes)))


def _numbers(outputs: Outputs, number: int | None) -> list[int]:
    if number is not None:
        return [number]
    return [1] if outputs.task == "binary" else list(range(len(outputs.names)))
