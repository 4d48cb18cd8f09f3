"""The scores of a study's runs image by image, in the shape for statistics: replicates x images."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from segstudy.analysis.class_scores import ClassScores, class_scores, rows_of_masks, rows_of_runs
from segstudy.analysis.configurations import Row, all_rows, classes_text
from segstudy.analysis.seed_plan import SeedPlan, seed_plan_of
from segstudy.core.outputs import BINARY, Outputs
from segstudy.metrics import METRICS, column
from segstudy.stats.comparisons import MARGIN
from segstudy.stats.intervals import AnyScores, Interval, Scores, ScoresByFold, by_group
from segstudy.store.folder import StudyFolder
from segstudy.store.records import DataRecord, RunRecord
from segstudy.store.tables import TOGETHER

HEADLINE = "native_iou"
# Whether a mask is empty follows from them, of one run; from means over repeats it does not.
EMPTY_MASKS = {column(each.penalty) for each in METRICS.values() if each.penalty} | {
    column("specificity"),
    column("iou"),
}
Side = tuple[str, str]
REPLICATE = {
    "key": pl.String,
    "configuration": pl.String,
    "seed": pl.Int64,
    "repeat": pl.Int64,
    "fold": pl.Int64,
}


@dataclass(frozen=True)
class Results:
    """Every score of a study's complete replicates; folds and repeats of a seed are joined first.

    Attributes:
        rows: the configurations, in the study's order, and after them the masks of other tools.
        tables: by configuration and subset: ``seed``, ``id`` and every metric, sorted by seed and id.
        groups: the group of each sample.
        replicates: seeds and image ids of each table, the rows and columns of ``scores``.
        data: fingerprint of the study's data as they are now.
        contents: hashes of image and mask of each sample of these; studies of older versions lack them.
        group_noun: what a group is: ``patient``, ``lesion`` or ``group``.
        margin: of IoU, see ``config.Study``: smaller differences count as practically equal.
        outdated: masks that were scored on other images than the study has now, which are left out.
        by_fold: of configurations with folds, the headline's scores as each training set gave them.
        seed_plan: how the seeds are planned: fixed, or by the looks of a sequential study.
        unjoined: with repeats, the scores that tell empty masks as each run gave them, sorted by seed, repeat
            and id.
        outputs: the classes, and how masks are decided.
        classes: by configuration, the test scores by class, as far as its runs have them; None in binary.
    """

    rows: tuple[Row, ...]
    tables: Mapping[Side, pl.DataFrame]
    groups: Mapping[str, str]
    replicates: Mapping[Side, tuple[tuple[int, ...], tuple[str, ...]]]
    data: str = ""
    contents: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    outdated: frozenset[str] = frozenset()
    group_noun: str = "group"
    margin: float = MARGIN
    by_fold: Mapping[Side, ScoresByFold] = field(default_factory=dict)
    seed_plan: SeedPlan = field(default_factory=SeedPlan)
    unjoined: Mapping[Side, pl.DataFrame] = field(default_factory=dict)
    outputs: Outputs = BINARY
    classes: Mapping[str, ClassScores] | None = None

    @property
    def trained(self) -> tuple[Row, ...]:
        """Return the configurations that the study trained itself."""
        return tuple(row for row in self.rows if row.masks is None)

    def has(self, name: str, part: str = "test") -> bool:
        return (name, part) in self.tables

    def ids(self, name: str, part: str = "test") -> tuple[str, ...]:
        """Return the images that a configuration is scored on, in the order of the columns of ``scores``."""
        return self.replicates[name, part][1]

    def seeds(self, name: str, part: str = "test") -> tuple[int, ...]:
        """Return the seeds of the complete replicates, in the order of the rows of ``scores``."""
        return self.replicates[name, part][0]

    def scores(self, name: str, part: str = "test", metric: str = HEADLINE) -> Scores | None:
        """Return one metric as ``(replicates, images)``; None if it was not measured."""
        table = self.tables.get((name, part))
        if table is None or metric not in table.columns or table[metric].null_count():
            return None
        return table[metric].to_numpy().astype(np.float64).reshape(len(self.seeds(name, part)), -1)

    def of_each_run(self, name: str, metric: str, part: str = "test") -> Scores | None:
        """Return one metric of ``EMPTY_MASKS`` as ``(runs, images)``: not averaged over repeats."""
        table = self.unjoined.get((name, part))
        if table is None:
            return self.scores(name, part, metric)
        if metric not in table.columns or table[metric].null_count():
            return None
        return table[metric].to_numpy().astype(np.float64).reshape(-1, len(self.ids(name, part)))

    def units(self, name: str, part: str = "test", metric: str = HEADLINE) -> Scores | None:
        """Return the same with the images of a group joined: ``(replicates, units)``."""
        scores = self.scores(name, part, metric)
        return None if scores is None else by_group(scores, self.groups_of(name, part))

    def runs(self, name: str, part: str = "test") -> AnyScores | None:
        """Return the headline run by run: by fold if there are folds, else ``scores``."""
        return self.by_fold.get((name, part), self.scores(name, part))

    def folds(self, name: str, part: str = "test") -> ScoresByFold | None:
        """Return the headline by training set, with the images of a group joined; None without folds."""
        found = self.by_fold.get((name, part))
        return None if found is None else found.joined(self.groups_of(name, part))

    def runs_of_units(self, name: str, part: str = "test") -> AnyScores | None:
        """Return ``runs`` with the images of a group joined."""
        return self.folds(name, part) or self.units(name, part)

    def groups_of(self, name: str, part: str = "test") -> list[str]:
        """Return the group of each image of ``ids``."""
        return [self.groups.get(each, each) for each in self.ids(name, part)]

    def class_interval(self, name: str, number: int) -> Interval | None:
        """Return the test mean of a class with its interval; None without one, see ``ClassScores``."""
        table = (self.classes or {}).get(name)
        return None if table is None else table.interval(number, self.groups_of(name))

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def complete(self, name: str) -> bool:
        """Whether all planned runs of a configuration are finished."""
        return self.row(name).complete and self.has(name)

    def comparable(self, a: str, b: str, part: str = "test") -> bool:
        """Whether two are scored on the same images against the same masks."""
        return self.ids(a, part) == self.ids(b, part) and self.row(a).has_truth_of(self.row(b))


def gather(folder: StudyFolder, show_all: bool = False) -> Results:
    """Read everything that is stored of a study's configurations.

    Args:
        folder: the study.
        show_all: also configurations that ``study.toml`` no longer names.
    """
    return results_of(folder, all_rows(folder, show_all))


def results_of(folder: StudyFolder, rows: Sequence[Row]) -> Results:
    """Read the scores of these rows of a study."""
    data = folder.data() or DataRecord(name="", reader="", fingerprint="", samples=[], findings=[])
    tables: dict[Side, pl.DataFrame] = {}
    by_fold: dict[Side, ScoresByFold] = {}
    unjoined: dict[Side, pl.DataFrame] = {}
    for some in _blocks(rows):
        runs = _runs_of(folder, some)
        by_fold |= {side: _by_fold(table) for side, table in runs.items() if _in_folds(table)}
        tables |= {side: _repeats_joined(table) for side, table in runs.items()}
        unjoined |= {side: _of_empty_masks(table) for side, table in runs.items() if _has_repeats(table)}
    outdated = set()
    for row in rows:
        if row.masks is not None:
            images = folder.external_images_in(row.folder)
            if _is_outdated(folder, row, images, data.fingerprint):
                outdated.add(row.name)
            else:
                tables |= _masks_of(row.name, _without_gaps(images))
    replicates = {side: _axes(table) for side, table in tables.items()}
    study = folder.study()
    found = data.fingerprint, data.contents, frozenset(outdated), data.group_noun, study.margin
    outputs = study.protocol.outputs()
    more = by_fold, seed_plan_of(folder), unjoined, outputs, _classes(folder, outputs, rows, replicates)
    return Results(tuple(rows), tables, data.groups, replicates, *found, *more)


def _classes(
    folder: StudyFolder,
    outputs: Outputs,
    rows: Sequence[Row],
    replicates: Mapping[Side, tuple[tuple[int, ...], tuple[str, ...]]],
) -> dict[str, ClassScores] | None:
    if outputs.task == "binary":
        return None
    ids = {name: ids for (name, part), (_, ids) in replicates.items() if part == "test"}
    found = {}
    for row in rows:
        if row.name in ids:
            of_row = (
                rows_of_runs(folder, replicate_runs(row))
                if row.masks is None
                else rows_of_masks(folder, row.folder, ids[row.name])
            )
            found[row.name] = class_scores(of_row, outputs, ids[row.name])
    return {name: table for name, table in found.items() if table is not None}


def _is_outdated(folder: StudyFolder, row: Row, images: pl.DataFrame, data: str) -> bool:
    """Whether masks were scored on other data, classes, test subset or tolerance than the study has now."""
    assert row.masks is not None
    protocol = folder.study().protocol
    if row.masks.nsd_tolerance != protocol.nsd_tolerance:
        return True
    if row.classes != classes_text(protocol.classes, protocol.ignore):
        return True
    test = {sample_id for split in folder.splits() for sample_id in split.test}
    missing = row.masks.missing.values()
    asked = {*images.filter(pl.col("part") == "test")["id"], *(i for ids in missing for i in ids)}
    return bool(row.data and data and row.data != data) or bool(test and asked != test)


def _blocks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield configurations in blocks of some hundred runs: fast to read, with little memory at a time."""
    block: list[Row] = []
    for row in rows:
        block.append(row)
        if sum(len(each.records) for each in block) >= TOGETHER:
            yield block
            block = []
    yield block


def _runs_of(folder: StudyFolder, rows: Sequence[Row]) -> dict[Side, pl.DataFrame]:
    """Return the scores of every complete replicate, sorted by seed, repeat and image."""
    runs = pl.DataFrame(
        [run for row in rows for run in runs_of_replicates(row)], schema=REPLICATE, orient="row"
    )
    if not runs.height:
        return {}
    images = folder.images(runs["key"].to_list()).join(runs, on="key").drop("key")
    parts = images.partition_by("configuration", "part", as_dict=True, include_key=False)
    return {
        (str(name), str(part)): table.sort("seed", "repeat", "id") for (name, part), table in parts.items()
    }


def _in_folds(table: pl.DataFrame) -> bool:
    """Whether these are scores of which every seed and repeat has each image once, in a fold."""
    if table["fold"].has_nulls() or HEADLINE not in table.columns:
        return False
    num_cells = table["seed"].n_unique() * table["repeat"].n_unique() * table["id"].n_unique()
    return not table[HEADLINE].has_nulls() and table.height == num_cells


def _by_fold(table: pl.DataFrame) -> ScoresByFold:
    shape = table["repeat"].n_unique(), table["id"].n_unique()
    scores = table[HEADLINE].to_numpy().astype(np.float64).reshape(-1, *shape)
    _, folds = np.unique(table["fold"][: shape[0] * shape[1]].to_numpy(), return_inverse=True)
    return ScoresByFold(scores, folds.reshape(shape))


def _has_repeats(table: pl.DataFrame) -> bool:
    return table["repeat"].n_unique() > 1


def _of_empty_masks(table: pl.DataFrame) -> pl.DataFrame:
    return table.select([name for name in table.columns if name in EMPTY_MASKS])


def _repeats_joined(table: pl.DataFrame) -> pl.DataFrame:
    """Return one row per seed and image: the mean over the repeats of a metric, if all of them have it."""
    if not _has_repeats(table):
        return table.drop("repeat", "fold")
    metrics = [pl.col(name) for name in table.columns if name not in ("seed", "id", "repeat", "fold")]
    means = [pl.when(each.null_count() == 0).then(each.mean()) for each in metrics]
    return table.group_by("seed", "id").agg(means).sort("seed", "id")


def _axes(table: pl.DataFrame) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the seeds and ids of a table that is sorted by both."""
    seeds = tuple(table["seed"].unique(maintain_order=True))
    return seeds, tuple(table["id"][: table.height // len(seeds)])


def _without_gaps(images: pl.DataFrame) -> pl.DataFrame:
    """Return only the images of which every seed has a mask."""
    seeds = pl.col("seed").n_unique()
    return images.filter(seeds.over("part", "id") == seeds.over("part"))


def runs_of_replicates(row: Row) -> list[tuple[str, str, int, int, int | None]]:
    """Return the runs of every replicate that has all its folds, as rows of ``REPLICATE``.

    If none has, those with most folds are taken, all with the same folds: other folds test other images.
    Of the repeats those count that all seeds have.
    """
    runs: dict[tuple[int, int], list[RunRecord]] = {}
    for record in row.records:
        runs.setdefault((record.seed, row.repeats.get(record.key, 0)), []).append(record)
    folds = {replicate: {record.fold for record in records} for replicate, records in sorted(runs.items())}
    fullest = max(folds.values(), key=len, default=set())
    whole = [replicate for replicate in folds if folds[replicate] == fullest]
    used = _repeats_of_all(whole)
    return [
        (record.key, row.name, seed, repeat, record.fold)
        for seed, repeat in whole
        if repeat in used
        for record in runs[seed, repeat]
    ]


def replicate_runs(row: Row) -> list[tuple[str, int, int]]:
    """Return key, seed and repeat of the same runs."""
    return [(key, seed, repeat) for key, _, seed, repeat, _ in runs_of_replicates(row)]


def _repeats_of_all(replicates: Sequence[tuple[int, int]]) -> set[int]:
    """Return the repeats that every seed has; if there are none, the first of the first seed."""
    of_seeds: dict[int, set[int]] = {}
    for seed, repeat in replicates:
        of_seeds.setdefault(seed, set()).add(repeat)
    shared = set.intersection(*of_seeds.values()) if of_seeds else set()
    return shared or {repeat for _, repeat in replicates[:1]}


def _masks_of(name: str, images: pl.DataFrame) -> dict[Side, pl.DataFrame]:
    parts = images.drop("key", strict=False).partition_by("part", as_dict=True)
    return {(name, str(part)): table.sort("seed", "id") for (part,), table in parts.items()}


def comparable(results: Results, names: Sequence[str], part: str = "test") -> list[str]:
    """Return the configurations that are scored on the same images as the first."""
    return [name for name in names if results.comparable(names[0], name, part)]


def pooled(results: Results, names: Sequence[str], part: str = "test") -> Scores:
    """Return the mean of several configurations, replicate by replicate, image by image.

    Args:
        results: of a study.
        names: configurations with the same images; the replicates that all of them have are taken.
        part: of the data.

    Returns:
        ``(replicates, images)``.
    """
    stacked = []
    for name in names:
        scores = results.scores(name, part)
        assert scores is not None
        stacked.append(scores[_shared_seeds(results, name, names, part)])
    return np.asarray(np.mean(stacked, axis=0))


def pooled_runs(results: Results, names: Sequence[str], part: str = "test") -> AnyScores:
    """Return the same by fold, if all of the configurations have the same folds."""
    found = [results.by_fold.get((name, part)) for name in names]
    sides = [each for each in found if each is not None]
    if len(sides) < len(names) or not all(np.array_equal(sides[0].folds, each.folds) for each in sides):
        return pooled(results, names, part)
    stacked = [
        each.scores[_shared_seeds(results, name, names, part)]
        for name, each in zip(names, sides, strict=True)
    ]
    return ScoresByFold(np.asarray(np.mean(stacked, axis=0)), sides[0].folds)


def _shared_seeds(results: Results, name: str, names: Sequence[str], part: str) -> list[int]:
    """Return the rows of a configuration's scores that are of the seeds that all of them have."""
    shared = set.intersection(*(set(results.seeds(each, part)) for each in names))
    return [row for row, seed in enumerate(results.seeds(name, part)) if seed in shared]
