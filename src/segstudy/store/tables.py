"""Tables of a study as Parquet files."""

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from segstudy.core.checksums import is_altered
from segstudy.core.errors import UserError, one_line
from segstudy.core.json_files import REPAIR, read_json

TOGETHER = 500  # files read at once: quick, and the memory they take meanwhile stays small
# What polars raises for an altered Parquet file; its panic is not an ``Exception``.
MAX_ROWS = 10_000_000  # of a table that is checked before it is trusted
DAMAGED_TABLE = (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException)


def as_parquet(table: pl.DataFrame) -> bytes:
    """Return a table as the bytes of a Parquet file; equal tables give equal bytes."""
    stream = io.BytesIO()
    table.write_parquet(stream)
    return stream.getvalue()


def read_table(
    file: Path, columns: Sequence[str] | None = None, where: pl.Expr | bool = True
) -> pl.DataFrame:
    """Read some columns and rows of a Parquet file, and no more of it.

    Raises:
        UserError: missing, damaged, or without these columns.
    """
    try:
        rows = pl.scan_parquet(file, glob=False).filter(where)
        return (rows if columns is None else rows.select(columns)).collect()
    except DAMAGED_TABLE as error:
        raise UserError(f"{file}: damaged ({one_line(error, 200)}); {REPAIR}") from None


def refuse_damaged(file: Path) -> None:
    """Decode all of a large table of text, bytes and numbers, some rows at a time.

    Raises:
        UserError: damaged, or more rows than any study has (a small file may hold billions of equal ones).
    """
    try:
        num_rows = pl.scan_parquet(file, glob=False).select(pl.len()).collect().item()
        if num_rows > MAX_ROWS:
            raise UserError(f"{file}: has {num_rows:,} rows, at most {MAX_ROWS:,}; {REPAIR}")
        pl.scan_parquet(file, glob=False).select(pl.all().hash().sum()).collect(engine="streaming")
    except DAMAGED_TABLE as error:
        raise UserError(f"{file}: damaged ({one_line(error, 200)}); {REPAIR}") from None


def first_damaged(files: Iterable[str]) -> str:
    """Return the first file that cannot be read by itself, as a path from its folder on."""
    for file in files:
        try:
            pl.read_parquet(file, glob=False)
        except DAMAGED_TABLE:
            return "/".join(Path(file).parts[-2:])
    return "one of its tables"


def read_tables_of_runs(
    runs: Path, keys: Sequence[str], name: str, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Read a table of each of these runs, with a column ``key``; of its other columns those that are named.

    Raises:
        UserError: one is damaged, or is not as it was written.
    """
    key_of = {str(runs / key / name): key for key in keys}
    by_schema: dict[tuple[str, ...], list[str]] = defaultdict(list)
    try:
        for file in key_of:  # files of one schema are read together: a thousand one by one take seconds
            by_schema[tuple(pl.scan_parquet(file, glob=False).collect_schema())].append(file)
        tables = [
            pl.read_parquet(
                files[at : at + TOGETHER],
                columns=None if columns is None else ["key", *(each for each in columns if each in schema)],
                include_file_paths="key",
                glob=False,
            )
            .with_columns(
                pl.col("key").replace_strict({file: key_of[file] for file in files[at : at + TOGETHER]})
            )
            .rechunk()
            for schema, files in by_schema.items()
            for at in range(0, len(files), TOGETHER)
        ]
    except DAMAGED_TABLE as error:
        raise UserError(
            f"{runs}: {first_damaged(key_of)}: damaged ({one_line(error, 200)}); {REPAIR}"
        ) from None
    if not tables:
        return pl.DataFrame({"key": []})
    for key in keys:
        refuse_altered_table(runs, key, name)
    return pl.concat(tables, how="diagonal").select("key", pl.exclude("key"))


def refuse_altered_table(runs: Path, key: str, name: str) -> None:
    """Refuse a run's table that is not as it was written: nothing else would reveal a changed number.

    Raises:
        UserError: it was altered.
    """
    run = runs / key
    if is_altered(run / name, read_json(run / "run.json")):
        raise UserError(
            f"{runs}: {key}/{name}: damaged (its checksum differs from that in run.json); {REPAIR}"
        )
