"""The pixels of each class in the training masks, from which balanced weights of the classes follow."""

import numpy as np

from segstudy.data.prepared import Positions, Samples
from segstudy.data.tiled import Tiled

MASKS_AT_ONCE = 256


def class_pixels(prepared: Samples, positions: Positions) -> list[int]:
    """Return the number of pixels of each class at network size; those that are ignored have none.

    Args:
        prepared: the samples.
        positions: of the images to count in.
    """
    if isinstance(prepared, Tiled):
        return [int(count) for count in prepared.class_pixels[positions].sum(axis=0)]
    outputs = prepared.outputs
    found = [0] * len(outputs.names)
    for at in range(0, len(positions), MASKS_AT_ONCE):
        masks = prepared.masks[positions[at : at + MASKS_AT_ONCE]]
        for number in range(len(found)):
            found[number] += int(np.count_nonzero(outputs.plane(masks, number)))
    return found
