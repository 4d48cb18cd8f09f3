"""The synthetic data set: computed dermoscopy pictures, kept as ordinary files in the user's cache.

Layout: as the ``folder`` reader reads it (``images/``, ``masks/``, ``metadata.csv``). Categories are nevus,
atypical and melanoma, by how irregular border and colour are; some lesions appear twice, as one
group. Terms: free of any rights; they say nothing about real images.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from segstudy.core.cache import built, cache_folder, is_cached
from segstudy.core.errors import UserError
from segstudy.core.registry import parse
from segstudy.data.datasets.synthetic_images import NUMERICS, Drawing, draw
from segstudy.data.samples import Dataset, Sample

DESCRIPTION = "the built-in synthetic data set, by its name: synthetic, or synthetic:n=60:seed=1"
DEFAULT_N, MAX_N = 200, 10_000


def detect(_root: Path) -> bool:
    """Never: what lies on disk is read by the ``folder`` reader, also when segstudy made it."""
    return False


def read(root: Path | str) -> Dataset:
    """Draw the set, unless an earlier call did, and deliver it.

    Args:
        root: ``synthetic``, with options ``n`` (images, 200) and ``seed`` (0): ``synthetic:n=60``.

    Raises:
        UserError: an unknown option or value, or a cache that cannot be written.
    """
    n, seed = _options(str(root))
    folder = cache_folder() / "synthetic" / f"n{n}-seed{seed}-v{NUMERICS}"
    if not is_cached(folder):
        with built(folder) as building:
            _draw_into(building, n, seed)
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
    )


def write(folder: Path, n: int, seed: int = 0) -> None:
    """Write the set as ordinary files into a new or empty folder.

    Raises:
        UserError: a folder that holds something, one that cannot be written, or a number out of range.
    """
    _options(f"synthetic:n={n}:seed={seed}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UserError(f"{folder}: is not empty; name a new folder")
        _draw_into(folder, n, seed)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); name another folder") from None


def _options(text: str) -> tuple[int, int]:
    written = parse(text)
    options: dict[str, object] = {"n": DEFAULT_N, "seed": 0, **dict(written.options)}
    n, seed = options.pop("n"), options.pop("seed")
    if (
        written.module
        or options
        or type(n) is not int
        or type(seed) is not int
        or not 0 < n <= MAX_N
        or seed < 0
    ):
        raise UserError(
            f"{text!r}: the options are n (1 to {MAX_N}) and seed (from 0), as synthetic:n=60:seed=1"
        )
    return n, seed


def _draw_into(folder: Path, n: int, seed: int) -> None:
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["id", "group", "category"])
        for drawing in _drawings(n, seed):
            Image.fromarray(drawing.image).save(folder / "images" / f"{drawing.id}.png", compress_level=1)
            Image.fromarray(drawing.mask).save(folder / "masks" / f"{drawing.id}.png")
            table.writerow([drawing.id, drawing.group, drawing.category])


def _drawings(n: int, seed: int) -> Iterator[Drawing]:
    for index in range(n):
        yield draw(seed, index)
