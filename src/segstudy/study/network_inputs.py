"""How many inputs of the network an epoch has: the images, or tiles and windows of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from segstudy.config.protocol import Protocol
from segstudy.core.parallel import in_order
from segstudy.core.quantities import counted
from segstudy.core.resources import allowed_cores
from segstudy.core.windowing import Size, Windowing
from segstudy.data.images import image_size
from segstudy.data.samples import Sample
from segstudy.data.split import Split


class Inputs(NamedTuple):
    """The inputs of one pass over each subset.

    Attributes:
        train: images or tiles.
        validation: images or windows.
        test: images or windows.
    """

    train: int
    validation: int
    test: int


def native_sizes(samples: Sequence[Sample], protocols: Iterable[Protocol]) -> dict[str, Size]:
    """Return height and width of each image by id, from headers alone; nothing if all images are resized.

    Raises:
        ImageError: an image that cannot be read; ``check`` finds them.
    """
    if all(protocol.windowing() is None for protocol in protocols):
        return {}
    sizes = in_order(image_size, [sample.image for sample in samples], allowed_cores(hyperthreads=True))
    return {sample.id: size for sample, size in zip(samples, sizes, strict=True)}


def inputs_of(protocol: Protocol, split: Split, sizes: Mapping[str, Size]) -> Inputs:
    """Return the inputs of one pass over each subset.

    Args:
        protocol: says whether images are resized or cut into tiles.
        split: the subsets.
        sizes: height and width of each image by id, for tiles.
    """
    windowing = protocol.windowing()
    if windowing is None:
        return Inputs(len(split.train), len(split.validation), len(split.test))
    return Inputs(
        sum(windowing.num_tiles(sizes[each]) for each in split.train),
        *(sum(len(windowing.of(sizes[each])) for each in part) for part in (split.validation, split.test)),
    )


def tiles_texts(runs: Iterable[tuple[Protocol, Split]], sizes: Mapping[str, Size]) -> tuple[str, ...]:
    """Say how many tiles an epoch has, once for each size; of several splits for the one with the most.

    Args:
        runs: their protocols and subsets; those whose images are resized are left out.
        sizes: height and width of each image by id.
    """
    used: dict[Windowing, list[tuple[Protocol, Split]]] = {}
    for protocol, split in runs:
        if (windowing := protocol.windowing()) is not None:
            used.setdefault(windowing, []).append((protocol, split))
    return tuple(_text(windowing, found, sizes) for windowing, found in used.items())


def _text(windowing: Windowing, runs: Sequence[tuple[Protocol, Split]], sizes: Mapping[str, Size]) -> str:
    found, split = max(((inputs_of(*run, sizes), run[1]) for run in runs), key=lambda each: each[0])
    images = counted(len(split.train), "training image")
    tile = " x ".join(map(str, windowing.tile))
    return (
        f"tiles of {tile} px: an epoch has {counted(found.train, 'tile')} of {images}; "
        f"validation has {counted(found.validation, 'window')} and test {found.test:,}, which overlap by "
        f"{windowing.overlap} px or more"
    )
