"""The study's table of small images, for galleries and for comparing data sets."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from segstudy.core.atomic_files import replacing, write_bytes
from segstudy.core.cache import ELSEWHERE, cache_folder, is_cached
from segstudy.core.errors import UserError
from segstudy.core.interrupted_building import built_on, remove_unfinished
from segstudy.core.parallel import in_order
from segstudy.core.resources import allowed_cores
from segstudy.data.prepared import Prepared, open_prepared
from segstudy.data.thumbnails import small_image, small_mask
from segstudy.store.folder import StudyFolder
from segstudy.store.tables import as_parquet

NAME = "thumbnails.parquet"
BLOCK = 2048  # rows made together, and the number of images up to which they are made in memory
SEAL = 16  # characters


def write_thumbnails(
    folder: StudyFolder, prepared: Path, progress: Callable[[int, int], None] = lambda _, __: None
) -> None:
    """Write ``thumbnails.parquet`` of a study; of many images it is made in parts, which the cache keeps.

    Args:
        folder: the study's.
        prepared: a folder that ``prepare`` has checked.
        progress: called with the number of images done, and of all.
    """
    opened = open_prepared(prepared, check=False)
    if len(opened.ids) <= BLOCK:
        folder.write_table(NAME, _rows(opened, range(len(opened.ids))))
        return
    parts = _parts(opened, cache_folder() / "thumbnails" / prepared.name, progress)
    with replacing(folder.path / NAME) as aside:
        # Groups of a whole part each: by default a group holds 262,144 rows, and so all in memory.
        pl.scan_parquet(parts, glob=False).sink_parquet(aside, row_group_size=BLOCK)


def _rows(prepared: Prepared, positions: Sequence[int]) -> pl.DataFrame:
    threads = allowed_cores(hyperthreads=True)
    return pl.DataFrame(list(in_order(partial(_row, prepared), positions, threads)))


def _row(prepared: Prepared, position: int) -> dict[str, Any]:
    height, width = prepared.native_sizes[position]
    return {
        "id": prepared.ids[position],
        "height": height,
        "width": width,
        "image": small_image(prepared, position),
        "mask": small_mask(prepared, position),
    }


def _parts(prepared: Prepared, folder: Path, progress: Callable[[int, int], None]) -> list[Path]:
    """Files of rows, in order; those that are there and whole are not made again."""
    total = len(prepared.ids)
    starts = range(0, total, BLOCK)
    if is_cached(folder) and None in [_part(folder, start) for start in starts]:
        shutil.rmtree(folder, ignore_errors=True)
    if not is_cached(folder):
        with built_on(folder) as building:
            for start in starts:
                stop = min(start + BLOCK, total)
                if _part(building, start) is None:
                    content = as_parquet(_rows(prepared, range(start, stop)))
                    seal = hashlib.sha256(content).hexdigest()[:SEAL]
                    write_bytes(building / f"{start:09}-{seal}.parquet", content)
                progress(stop, total)
    remove_unfinished(folder)
    found = [_part(folder, start) for start in starts]
    if None in found:
        raise UserError(f"{folder}: is damaged; have it removed by its owner, or {ELSEWHERE}")
    return [part for part in found if part is not None]


def _part(folder: Path, start: int) -> Path | None:
    """The file of the rows from one on, if it is there as it was written."""
    for file in folder.glob(f"{start:09}-*.parquet"):
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest()[:SEAL] == file.stem.partition("-")[2]:
            return file
        with suppress(OSError):
            file.unlink()
    return None
