"""A layout: ``name.tiny.png`` beside ``name.tiny-mask.png``."""

from pathlib import Path

from segstudy.data.datasets import Reader
from segstudy.data.samples import Dataset, Sample


def detect(root: Path) -> bool:
    return any(root.glob("*.tiny.png"))


def read(root: Path) -> Dataset:
    samples = tuple(
        Sample(id=name, image=image, mask=image.with_name(f"{name}.tiny-mask.png"), group=name)
        for image in sorted(root.glob("*.tiny.png"))
        for name in [image.name.removesuffix(".tiny.png")]
    )
    return Dataset(root.name, "tiny_reader", root, samples)


TINY_READER = Reader(
    "tiny_reader", detect, read, "name.tiny.png beside name.tiny-mask.png", before=("side_by_side",)
)
