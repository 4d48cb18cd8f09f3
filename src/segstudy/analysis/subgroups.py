"""Subgroups of a test subset: by category, and by the size of the foreground."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segstudy.core.outputs import BINARY, Outputs
from segstudy.core.quantities import percent
from segstudy.data.thumbnails import read_small_mask
from segstudy.store.folder import StudyFolder
from segstudy.store.tables import read_table

FEWEST = 20  # images that an interval needs; with fewer there is only a mean


SIZES = ("small", "middle", "large")


Ids = Sequence[str]


def members_of(
    folder: StudyFolder, ids: Ids, categories: Mapping[str, str | None], outputs: Outputs = BINARY
) -> dict[tuple[str, str], list[str]]:
    """Return the images of each subgroup, by kind and name; some may be empty or contain all images."""
    return {
        ("category", name): [i for i in ids if categories.get(i) == name]
        for name in sorted({str(categories[i]) for i in ids if categories.get(i)})
    } | _by_mask(folder, ids, outputs)


def foreground_name(outputs: Outputs) -> str:
    """Return what the foreground is called: of several classes, that of all of them together."""
    return "lesion" if outputs.task == "binary" else "foreground"


def _by_mask(folder: StudyFolder, ids: Ids, outputs: Outputs) -> dict[tuple[str, str], list[str]]:
    """Thirds by the foreground's share of the image, and whether it reaches the frame, by thumbnails' masks.

    Classes without a background fill every image, so they have no such subgroups.
    """
    file = folder.path / "thumbnails.parquet"
    fills = outputs.task == "multiclass" and len(outputs.scored) == len(outputs.names)
    if not file.is_file() or fills:
        return {}
    rows = read_table(file, ["id", "mask"], pl.col("id").is_in(list(ids)))
    about = {each: _about(_foreground(mask, outputs)) for each, mask in rows.iter_rows()}
    name = foreground_name(outputs)
    if len(about) < len(ids):
        return {}
    shares = np.array([about[each][0] for each in ids])
    bounds = np.quantile(shares, [1 / 3, 2 / 3])
    thirds = np.searchsorted(bounds, shares, side="left")
    found: dict[tuple[str, str], list[str]] = {}
    for third, size in enumerate(SIZES):
        mine = [each for each, t in zip(ids, thirds, strict=True) if t == third]
        found[f"{name} size", f"{size}, {_extent(shares[thirds == third])}"] = mine
    found["frame", f"{name} reaches it"] = [each for each in ids if about[each][1]]
    found["frame", f"{name} lies inside"] = [each for each in ids if not about[each][1]]
    return found


def _about(mask: np.ndarray) -> tuple[float, bool]:
    """Its share of foreground, and whether that reaches the frame."""
    return float(mask.mean()), _reaches_frame(mask)


def _foreground(png: bytes, outputs: Outputs) -> NDArray[np.bool_]:
    mask = read_small_mask(png, outputs)
    return np.asarray(np.any([outputs.plane(mask, number) for number in outputs.scored], axis=0))


def _extent(shares: np.ndarray) -> str:
    return f"{percent(shares.min())} to {percent(shares.max())} of the image" if len(shares) else ""


def _reaches_frame(mask: np.ndarray) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
