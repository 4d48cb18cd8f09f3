"""From an image's own size to the network's and back: the one place that does it.

Training, prediction, exported files and the page all come through here. Needs no PyTorch.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.core.intensity import COLOURS, FULL, Scale
from segstudy.core.outputs import BINARY, IGNORED_BITS, Mask, Outputs
from segstudy.data.image_formats import FORMATS
from segstudy.data.images import STRIP_PIXELS, image_size, read_image
from segstudy.data.sources import ImageSource, first_file

NUMERICS = 1  # raised when any number below changes; enters every run's key
REDUCED_NUMERICS = 2  # instead, of data with JPEG images: large ones are decoded at reduced scale
ENOUGH = 2  # times the network's size: from there on antialiased resizing no longer sees the decoder's scale
JPEG = FORMATS["JPEG"].suffixes
STORED_SIDE_PX = 1024  # of probabilities of images that are not resized
MAX_BETWEEN_PIXELS = 2**26  # of the image between the two passes of resizing

Resize = Literal["squash", "pad", "tiles"]
Size = tuple[int, int]


def of_whole(resize: Resize) -> Resize:
    """Return how whole images are brought to one size, for baselines and small pictures."""
    return "squash" if resize == "tiles" else resize


def numerics(images: Iterable[ImageSource]) -> int:
    """The version of what happens to these images before they reach the network."""
    return REDUCED_NUMERICS if any(map(is_jpeg, images)) else NUMERICS


def is_jpeg(image: ImageSource) -> bool:
    """By its name, as the version of a data set's preprocessing goes by names."""
    return first_file(image).suffix.lower() in JPEG


def enough(native: Size, size: Size, resize: Resize) -> Size:
    """Height and width at which an image of ``native`` size may be decoded on its way to the network."""
    if resize == "tiles":
        return native
    _, _, height, width = placement(native, size, resize)
    return ENOUGH * height, ENOUGH * width


def image_to_network(
    image: NDArray[np.uint8], size: Size, resize: Resize, native: Size | None = None
) -> NDArray[np.uint8]:
    """Antialiased bilinear resizing of an image ``(H, W, channels)`` to ``(*size, channels)``.

    Padding is black, in all channels.

    ``native`` is the image's own size, where it was decoded at another: the padding is for that. With
    ``tiles`` the image stays as it is, and windows of that size are cut out of it: ``data.windows``.
    """
    if resize == "tiles":
        return image
    top, left, height, width = placement(native or image.shape[:2], size, resize)
    number = image.shape[2]
    out = np.zeros((*size, number), np.uint8)
    inner = out[top : top + height, left : left + width]
    if number == COLOURS:
        resized = _resized(Image.fromarray(image), (width, height), Image.Resampling.BILINEAR)
        inner[:] = np.asarray(resized)
    else:
        for i in range(number):
            grey = Image.fromarray(np.ascontiguousarray(image[..., i]))
            inner[..., i] = np.asarray(_resized(grey, (width, height), Image.Resampling.BILINEAR))
    return out


def read_for_network(
    file: ImageSource, size: Size, resize: Resize, scale: Scale = FULL
) -> tuple[Size, NDArray[np.uint8]]:
    """An image's own height and width, and its pixels; of a large JPEG as many as the network will see.

    Raises:
        ImageError: as ``images.read_image``.
    """
    if is_jpeg(file):
        native = image_size(file)
        return native, read_image(file, enough(native, size, resize), scale)
    image = read_image(file, scale=scale)
    return (image.shape[0], image.shape[1]), image


def mask_to_network(
    mask: NDArray[Any], size: Size, resize: Resize, outputs: Outputs = BINARY
) -> NDArray[Any]:
    """Resize a mask ``(H, W)`` to ``size``, in its own type: every pixel by the box means of the classes.

    Of two classes the foreground wins where its mean is at least .5; of more that exclude each other the one
    with the largest mean, and of equal ones the one with the higher number. Pixels to ignore count as one
    class more, after all others. Of classes that overlap each is where it has at least half of what is not
    ignored. Padding is background, and in no class where they overlap. With ``tiles`` it stays as it is.
    """
    if resize == "tiles":
        return mask
    top, left, height, width = placement(mask.shape, size, resize)

    def mean_of(where: NDArray[np.bool_]) -> NDArray[np.float32]:
        image = Image.fromarray(where.astype(np.float32))
        return np.asarray(_resized(image, (width, height), Image.Resampling.BOX))

    out = np.zeros(size, mask.dtype)
    inner = out[top : top + height, left : left + width]
    if mask.dtype == np.bool_:
        inner[:] = mean_of(mask) >= 0.5
    elif outputs.task == "multilabel":
        ignored = mean_of((mask & IGNORED_BITS) != 0)
        for number in range(len(outputs.names)):
            there = mean_of(outputs.plane(mask, number)) >= (1 - ignored) / 2
            inner |= np.where(there, np.uint16(1 << number), np.uint16(0))
        inner[ignored >= 0.5] = IGNORED_BITS
    else:
        inner[:] = _largest(mask, mean_of)
    return out


def _largest(
    mask: NDArray[np.uint8], mean_of: Callable[[NDArray[np.bool_]], NDArray[np.float32]]
) -> NDArray[np.uint8]:
    """Of classes that exclude each other the one with the largest mean.

    The mean of the first is what the others leave: of two classes the second then wins from exactly .5 on.
    """
    first, *others = np.flatnonzero(np.bincount(mask.reshape(-1), minlength=256))
    means = [mean_of(mask == number) for number in others]
    if not means:
        return np.full_like(mean_of(mask == first), first, np.uint8)
    found = np.full(means[0].shape, first, np.uint8)
    largest = 1 - sum(means[1:], means[0])
    for number, mean in zip(others, means, strict=True):
        found[mean >= largest] = number
        largest = np.maximum(largest, mean)
    return found


def prob_to_native(prob: NDArray[np.float32], native: Size, resize: Resize) -> NDArray[np.float32]:
    """Bring probabilities at network size back to an image's own size, bilinearly: ``(h, w)``, ``(K, h, w)``.

    Padding is cut off first. The mask at native size is ``outputs.decide(prob_to_native(...))``. Those of
    ``tiles`` are at native size already; of very large images, smaller ones are stored.
    """
    if resize == "tiles" and prob.shape[-2:] == native:
        return prob
    if prob.ndim == 3:
        return np.stack([prob_to_native(each, native, resize) for each in prob])
    top, left, height, width = placement(native, prob.shape, resize)
    inner = np.ascontiguousarray(prob[top : top + height, left : left + width], np.float32)
    resized = _resized(Image.fromarray(inner), (native[1], native[0]), Image.Resampling.BILINEAR)
    rows = max(1, STRIP_PIXELS // native[1])
    if rows >= native[0]:
        return np.array(resized)
    out = np.empty(native, np.float32)
    for top in range(0, native[0], rows):  # no third copy of a large one
        bottom = min(native[0], top + rows)
        out[top:bottom] = np.asarray(resized.crop((0, top, native[1], bottom)))
    return out


def prob_to_store(prob: NDArray[np.float32], resize: Resize) -> NDArray[np.float32]:
    """Return probabilities as they are stored: with ``tiles`` at most 1,024 px a side, for pictures of them.

    Scores are made before, at native size. Reduced ones are box means.
    """
    native = (prob.shape[-2], prob.shape[-1])
    height, width = reduced(native, STORED_SIDE_PX)
    if resize != "tiles" or (height, width) == native:
        return prob
    if prob.ndim == 3:
        return np.stack([prob_to_store(each, resize) for each in prob])
    return np.asarray(_resized(Image.fromarray(prob), (width, height), Image.Resampling.BOX))


def decided_at_native(prob: NDArray[np.float32], native: Size, resize: Resize, outputs: Outputs) -> Mask:
    """Return the mask at native size, as ``outputs.decide(prob_to_native(...))``.

    Probabilities of several classes are enlarged one by one.
    """
    return outputs.decide_planes(lambda i: prob_to_native(outputs.prob_of(prob, i), native, resize))


def _resized(image: Image.Image, size: tuple[int, int], how: Image.Resampling) -> Image.Image:
    """Resize to width and height. Pillow makes an image of the new width and the old height on its way.

    Of a strip of a million rows that would have gigabytes: its columns are then made some at a time.
    """
    width, height = size
    columns = max(1, MAX_BETWEEN_PIXELS // image.height)
    if width <= columns:
        return image.resize(size, how)
    out = Image.new(image.mode, size)
    scale = image.width / width
    for left in range(0, width, columns):
        right = min(width, left + columns)
        box = (left * scale, 0, min(image.width, right * scale), image.height)
        out.paste(image.resize((right - left, height), how, box), (left, 0))
    return out


def reduced(native: Size, most_px: int) -> Size:
    """Return height and width in the same proportions, of which the larger has at most that many pixels.

    >>> reduced((600, 2000), 1000), reduced((600, 800), 1000)
    ((300, 1000), (600, 800))
    """
    longest = max(native)
    if longest <= most_px:
        return native
    height, width = (max(1, round(length * most_px / longest)) for length in native)
    return height, width


def placement(native: tuple[int, ...], size: tuple[int, ...], resize: Resize) -> tuple[int, int, int, int]:
    """Where an image of ``native`` height and width lies in the network's input: top, left, height, width."""
    if resize != "pad":
        return 0, 0, size[0], size[1]
    scale = min(size[0] / native[0], size[1] / native[1])
    height = min(size[0], max(1, round(native[0] * scale)))
    width = min(size[1], max(1, round(native[1] * scale)))
    return (size[0] - height) // 2, (size[1] - width) // 2, height, width
