"""The weights of classes in a run's loss."""

from collections.abc import Sequence

from segstudy.core.class_weights import BALANCED, weights_in
from segstudy.core.errors import UserError
from segstudy.core.outputs import Outputs


def weights_of(text: str | None, outputs: Outputs, pixels: Sequence[int]) -> tuple[float, ...] | None:
    """Return the weights of the classes; None if all count the same.

    ``balanced`` is the number of pixels over K times those of the class, so that classes that are rare in
    the training images weigh more. A class without any pixel there has a weight of 0: nothing can be learned
    of it.

    Args:
        text: ``class_weights`` of the protocol.
        outputs: the classes.
        pixels: of each class in the training masks; where classes overlap, a pixel counts in each.

    Raises:
        UserError: no pixel of any class that is scored.
    """
    if text is None:
        return None
    if text != BALANCED:
        return weights_in(text)
    if not any(pixels[number] for number in outputs.scored):
        wanted = " or ".join(outputs.names[number] for number in outputs.scored)
        raise UserError(
            f"class_weights=balanced needs pixels of {wanted} in the training masks, and there are none: "
            "give numbers, as 1+2+5"
        )
    total, num_classes = sum(map(int, pixels)), len(outputs.names)
    return tuple(total / (num_classes * int(each)) if each else 0.0 for each in pixels)
