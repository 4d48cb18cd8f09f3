"""The synthetic data set: computed dermoscopy pictures, kept as ordinary files in the user's cache.

Layout: as the ``folder`` reader reads it (``images/``, ``masks/``, ``metadata.csv``). Categories are nevus,
atypical and melanoma, by how irregular border and colour are; some lesions appear twice, as one
group. With ``classes=3`` or ``4`` the pictures show objects of several classes, see ``synthetic_classes``;
with ``size=1024`` they are large and show many small ones, see ``synthetic_fields``.
Terms: free of any rights; they say nothing about real images.
"""

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.core.cache import built, cache_folder, is_cached
from segstudy.core.errors import UserError
from segstudy.core.registry import parse
from segstudy.core.synthetic import NAMES
from segstudy.data.datasets import synthetic_classes, synthetic_fields, synthetic_images
from segstudy.data.samples import Dataset, Sample

DESCRIPTION = (
    "the built-in synthetic data set, by its name: synthetic, synthetic:n=60:seed=1, synthetic:classes=3, "
    "or synthetic:size=1024"
)
DEFAULT_N, MAX_N = 200, 10_000
DEFAULT_N_LARGE = 40


@dataclass(frozen=True, slots=True)
class _Options:
    """What the set's name says.

    Attributes:
        n: number of images; 0 for the usual one.
        seed: of the images.
        classes: 2 of dermoscopy pictures, else those of ``synthetic_classes``.
        size: height and width in pixels of the images of ``synthetic_fields``; 0 for the other ones.
    """

    n: int = 0
    seed: int = 0
    classes: int = 2
    size: int = 0

    @property
    def number(self) -> int:
        """How many images there are."""
        return self.n or (DEFAULT_N_LARGE if self.size else DEFAULT_N)

    @property
    def folder(self) -> str:
        """The name of the folder in the cache."""
        number = f"n{self.number}-seed{self.seed}"
        if self.size:
            return f"size{self.size}-classes{self.classes}-{number}-v{synthetic_fields.NUMERICS}"
        if self.classes == 2:
            return f"{number}-v{synthetic_images.NUMERICS}"
        return f"classes{self.classes}-{number}-v{synthetic_classes.NUMERICS}"


def detect(_root: Path) -> bool:
    """Never: what lies on disk is read by the ``folder`` reader, also when segstudy made it."""
    return False


def read(root: Path | str) -> Dataset:
    """Draw the set, unless an earlier call did, and deliver it.

    Args:
        root: ``synthetic``, with options ``n`` (images, 200), ``seed`` (0), ``classes`` (2; 3 or 4 are
            another set) and ``size`` (pixels of a side, another set of 40 images): ``synthetic:n=60``.

    Raises:
        UserError: an unknown option or value, or a cache that cannot be written.
    """
    options = _options(str(root))
    folder = cache_folder() / "synthetic" / options.folder
    if not is_cached(folder):
        with built(folder) as building:
            _draw_into(building, options)
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    samples = [
        Sample(
            id=row["id"],
            image=folder / "images" / f"{row['id']}.png",
            mask=folder / "masks" / f"{row['id']}.png",
            group=row["group"],
            category=row["category"],
        )
        for row in rows
    ]
    return Dataset(
        name="synthetic",
        reader="synthetic",
        root=folder,
        samples=tuple(samples),
        terms="drawn by segstudy, free of any rights; no evidence about real images",
        class_names=tuple(enumerate(NAMES[: options.classes])) if options.classes > 2 else (),
    )


def write(
    folder: Path, n: int | None = None, seed: int = 0, classes: int = 2, size: int | None = None
) -> None:
    """Write the set as ordinary files into a new or empty folder.

    Raises:
        UserError: a folder that holds something, one that cannot be written, or a number out of range.
    """
    given = {"n": n, "seed": seed, "classes": classes, "size": size}
    options = _options(
        "".join(["synthetic", *(f":{name}={value}" for name, value in given.items() if value is not None)])
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UserError(f"{folder}: is not empty; name a new folder")
        _draw_into(folder, options)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); name another folder") from None


def _options(text: str) -> _Options:
    written = parse(text)
    given = dict(written.options)
    known = given.keys() <= {"n", "seed", "classes", "size"} and all(
        type(value) is int for value in given.values()
    )
    options = _Options(**given) if known else None  # type: ignore[arg-type]
    if written.module or options is None or not _is_valid(options, given.keys()):
        raise UserError(
            f"{text!r}: the options are n (1 to {MAX_N}), seed (from 0), classes (2 to {len(NAMES)}) and "
            f"size ({synthetic_fields.MIN_PX} to {synthetic_fields.MAX_PX}), as synthetic:n=60:seed=1"
        )
    return options


def _is_valid(options: _Options, given: Collection[str]) -> bool:
    smallest, largest = synthetic_fields.MIN_PX, synthetic_fields.MAX_PX
    return (
        ("n" not in given or 0 < options.n <= MAX_N)
        and options.seed >= 0
        and 2 <= options.classes <= len(NAMES)
        and ("size" not in given or smallest <= options.size <= largest)
    )


def _draw_into(folder: Path, options: _Options) -> None:
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["id", "group", "category"])
        for sample_id, image, mask, group, category in _drawings(options):
            Image.fromarray(image).save(folder / "images" / f"{sample_id}.png", compress_level=1)
            Image.fromarray(mask).save(folder / "masks" / f"{sample_id}.png")
            table.writerow([sample_id, group, category])


def _drawings(options: _Options) -> Iterator[tuple[str, NDArray[Any], NDArray[Any], str, str]]:
    """Id, image, mask, group and category of each sample."""
    for index in range(options.number):
        if options.size:
            scene = synthetic_fields.draw(options.seed, index, options.size, options.classes)
            mask = scene.mask.astype(np.bool_) if options.classes == 2 else scene.mask
            yield scene.id, scene.image, mask, scene.id, scene.category
        elif options.classes == 2:
            drawing = synthetic_images.draw(options.seed, index)
            yield drawing.id, drawing.image, drawing.mask, drawing.group, drawing.category
        else:
            scene = synthetic_classes.draw(options.seed, index, options.classes)
            yield scene.id, scene.image, scene.mask, scene.id, scene.category
