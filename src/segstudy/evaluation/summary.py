"""Summaries of external results: means with intervals, and the names under which they are stored."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from segstudy.config.runs import configuration_names
from segstudy.core.errors import UserError
from segstudy.metrics import Score, limits_on
from segstudy.stats.intervals import by_group, score_interval
from segstudy.store.folder import StudyFolder, folder_name
from segstudy.store.records import DataRecord, ExternalRecord

NAMED = 5  # ids that a message or record shows of many


Same = Callable[[ExternalRecord], bool]


def refuse_taken(folder: StudyFolder, names: Sequence[str], kind: str, same: Same = lambda _: True) -> None:
    """Refuse a name that a configuration or another result has.

    Args:
        folder: the study's.
        names: of the results to store.
        kind: of the results, ``masks`` or ``evaluation``.
        same: whether a record of this kind and name is an earlier version of the same results.

    Raises:
        UserError: a name is taken.
    """
    there = {place_of(each): record for each, record in folder.external_records().items()}
    configurations = {*configuration_names(folder.study().configurations())}
    for name in names:
        found = there.get(place_of(folder_name(name)))
        other = found is not None and (found.name != name or found.kind != kind or not same(found))
        if name in configurations or other:
            raise UserError(
                f"{folder.path}: the name {name} is used for something else there; choose another --name"
            )
    if len({place_of(folder_name(name)) for name in names}) < len(names):
        raise UserError(f"{', '.join(names)}: too similar for folder names; rename one")


def data_of(folder: StudyFolder) -> DataRecord:
    """Return the data set of a study, to which scores belong.

    Raises:
        UserError: the study's folder has no record of it.
    """
    data = folder.data()
    if data is None:
        raise UserError(f"{folder.path}: data.json is missing; `segstudy run {folder.path}` writes it again")
    return data


def place_of(folder: str) -> str:
    """Return a folder's name, equal for names that differ only in case or in the encoding of accents."""
    return unicodedata.normalize("NFC", folder).casefold()


def first_of(names: Sequence[str]) -> dict[str, Any]:
    return {"count": len(names), "first": list(names[:NAMED])}


def summarise(table: pl.DataFrame, groups: Mapping[str, str]) -> dict[str, dict[str, Score]]:
    """Return the mean of every native metric for each subset, with its 95 % interval over images (and runs).

    Args:
        table: ``seed``, ``id``, ``part`` and metrics; the folds of a seed are averaged image by image.
        groups: of each sample.

    Returns:
        By subset and metric ``mean``, ``low`` and ``high``, without metrics that were not measured. No
        interval if different images are missing for the seeds.
    """
    metrics = [name for name in table.columns if name.startswith("native_") and not table[name].null_count()]
    joined = table.group_by("part", "seed", "id").agg(pl.col(metrics).mean()).sort("part", "seed", "id")
    return {
        str(part): {name.removeprefix("native_"): _score(rows, name, groups) for name in metrics}
        for (part,), rows in joined.group_by("part", maintain_order=True)
    }


def _score(rows: pl.DataFrame, metric: str, groups: Mapping[str, str]) -> Score:
    num_seeds, ids = rows["seed"].n_unique(), rows["id"].unique(maintain_order=True)
    if rows.height != num_seeds * len(ids):
        return {"mean": float(rows[metric].mean()), "low": None, "high": None}  # type: ignore[arg-type]
    scores = rows[metric].to_numpy().reshape(num_seeds, -1)
    units = by_group(scores, [groups.get(each, each) for each in ids])
    columns = {name: rows[name].to_numpy() for name in rows.columns if name.startswith("native_")}
    interval = score_interval(units, *limits_on(metric, columns))
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}
