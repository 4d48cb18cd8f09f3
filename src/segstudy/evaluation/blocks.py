"""Tables of many rows, made block by block."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import polars as pl

BLOCK = 4096  # rows


def in_blocks(
    rows: Iterable[dict[str, Any]],
    schema: Mapping[str, pl.DataType] | None = None,
    overrides: Mapping[str, pl.DataType] | None = None,
) -> pl.DataFrame:
    """Return a table of rows, made block by block: as Python's objects rows take ten times its memory."""
    left, blocks = iter(rows), []
    while block := list(islice(left, BLOCK)):
        blocks.append(pl.DataFrame(block, schema, schema_overrides=overrides, infer_schema_length=None))
    if not blocks:
        return pl.DataFrame(schema=schema)
    return pl.concat(blocks, how="vertical_relaxed", rechunk=True)
