"""The scores of a study's runs by class, from their ``classes.parquet``: test subset, native size.

A class counts on the images whose mask or prediction has it, so which images count differs from run to run.
Every mean of a class is over these images, then over seeds, as in ``run.json``. Its interval is that of a
ratio, see ``stats.ratios``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segstudy.core.outputs import Outputs
from segstudy.metrics import HEADLINE, column, limits_on
from segstudy.stats.intervals import Interval, Scores, by_group, score_interval
from segstudy.stats.ratios import linearised
from segstudy.store.folder import StudyFolder

FEWEST = 20  # images that an interval needs; with fewer there is only a mean
OBJECTS = ("num_objects", "num_missed", "num_invented")
PLACE = ("id", "class")
PRESENCE = ("in_truth", "in_prediction")
Runs = Sequence[tuple[str, int, int]]  # key, seed, repeat


@dataclass(frozen=True)
class ClassScores:
    """A configuration on test, by class; repeats are averaged.

    Attributes:
        names: of the classes, in the order of their numbers.
        sums: by metric's column ``(replicates, images, classes)``: the score where mask or prediction has the
            class, else 0.
        in_truth: ``(images, classes)``: whether the true mask has the class.
        predicted: ``(replicates, images, classes)``: whether the prediction has it.
        objects: ``(3, classes)``: true objects, those that were missed, and predicted ones that are none;
            means over replicates. Not a number for the background.
    """

    names: tuple[str, ...]
    sums: Mapping[str, NDArray[np.float64]]
    in_truth: NDArray[np.bool_]
    predicted: NDArray[np.float64]
    objects: NDArray[np.float64]

    @property
    def present(self) -> NDArray[np.float64]:
        """Whether mask or prediction has the class: ``(replicates, images, classes)``."""
        return np.maximum(self.predicted, self.in_truth)

    def num_images(self, number: int) -> int:
        """Return the number of images whose true mask has the class."""
        return int(self.in_truth[:, number].sum())

    @property
    def num_missed_images(self) -> NDArray[np.float64]:
        """Images whose mask has the class and whose prediction lacks it, by class; means over replicates."""
        return np.asarray(((1 - self.predicted) * self.in_truth).sum(1).mean(0))

    @property
    def num_invented_images(self) -> NDArray[np.float64]:
        """Images whose mask lacks the class and whose prediction has it, by class; means over replicates."""
        return np.asarray((self.predicted * ~self.in_truth).sum(1).mean(0))

    def of(self, number: int, images: NDArray[np.bool_], metric: str) -> Scores:
        """Return scores ``(replicates, images)`` whose mean is the class's, on images of ``counting``."""
        return linearised(self.sums[metric][:, images, number], self.present[:, images, number])

    def interval(self, number: int, groups: Sequence[str], metric: str = column(HEADLINE)) -> Interval | None:
        """Return the mean of a class and its interval; None if no true mask has it.

        Args:
            number: of the class.
            groups: of the images.
            metric: a column of images.
        """
        if not self.num_images(number) or metric not in self.sums:
            return None
        images = counting(number, self)
        scores = self.of(number, images, metric)
        mine = [group for group, counts in zip(groups, images, strict=True) if counts]
        if self.num_images(number) < FEWEST:
            of = len(scores), len(mine)
            return Interval(float(scores.mean()), None, None, *of, None, len(scores) > 1)
        sums = {name: each[:, images, number] for name, each in self.sums.items()}
        return score_interval(by_group(scores, mine), *limits_on(metric, sums))


def counting(number: int, *sides: ClassScores) -> NDArray[np.bool_]:
    """Return the images on which a class counts in any run of these configurations."""
    return np.asarray(np.any([each.present[:, :, number].any(0) for each in sides], axis=0))


def rows_of_runs(
    folder: StudyFolder, runs: Runs, metrics: Sequence[str] = (column(HEADLINE),)
) -> pl.DataFrame | None:
    """Return the rows of a configuration's test images by seed, repeat and class; None if a run has none.

    Args:
        folder: the study.
        runs: of its complete replicates.
        metrics: the columns to read.
    """
    about = pl.DataFrame(list(runs), {"key": pl.String, "seed": pl.Int64, "repeat": pl.Int64}, orient="row")
    found = folder.classes(about["key"].to_list(), ["part", *PLACE, *PRESENCE, *OBJECTS, *metrics])
    if not about.height or found["key"].n_unique() < about.height:
        return None
    return found.filter(pl.col("part") == "test").join(about, on="key")


def rows_of_masks(folder: StudyFolder, external: str, ids: Sequence[str]) -> pl.DataFrame | None:
    """Return the same of masks of another tool, on these images; None if they have none.

    Args:
        folder: the study.
        external: the name of their folder.
        ids: of the test images of which every seed has a mask.
    """
    found = folder.external_classes_in(external)
    if found is None:
        return None
    return found.filter((pl.col("part") == "test") & pl.col("id").is_in(ids)).with_columns(repeat=pl.lit(0))


def class_scores(
    rows: pl.DataFrame | None,
    outputs: Outputs,
    ids: Sequence[str],
    metrics: Sequence[str] = (column(HEADLINE),),
) -> ClassScores | None:
    """Return a configuration's scores by class; None if some are missing, or of other classes.

    Args:
        rows: of ``rows_of_runs`` or ``rows_of_masks``.
        outputs: with the classes.
        ids: of the test images.
        metrics: the columns to keep.
    """
    if rows is None or set(rows["class"]) != set(outputs.names) or set(rows["id"]) != set(ids):
        return None
    if rows.height != rows.select("seed", "repeat").n_unique() * len(ids) * len(outputs.names):
        return None
    known = [name for name in metrics if name in rows.columns and not rows[name].null_count()]
    return _arranged(_repeats_joined(rows, known), outputs, ids, known)


def summarised(
    rows: pl.DataFrame, outputs: Outputs, groups: Mapping[str, str]
) -> dict[str, dict[str, Any]] | None:
    """Return the test IoU of each class of some models; None if some of their rows are missing.

    Args:
        rows: of ``classes.parquet`` of all models, with ``seed``; models of one seed that were tested on the
            same image are averaged.
        outputs: with the classes.
        groups: of each image; one that is missing is its own.

    Returns:
        By class ``num_images``, whose true mask has it, and ``iou``: mean and interval (``low``, ``high``),
        or None if no true mask has it.
    """
    test = rows.filter(pl.col("part") == "test")
    ids = test["id"].unique().sort().to_list()
    repeat = pl.int_range(pl.len()).over("seed", *PLACE)
    table = class_scores(test.with_columns(repeat=repeat), outputs, ids)
    if table is None:
        return None
    owners = [groups.get(each, each) for each in ids]
    found = {name: table.interval(number, owners) for number, name in enumerate(outputs.names)}
    return {
        name: {
            "num_images": table.num_images(number),
            HEADLINE: None if each is None else {"mean": each.mean, "low": each.low, "high": each.high},
        }
        for number, (name, each) in enumerate(found.items())
    }


def _repeats_joined(rows: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    """Return a row for each seed, image and class: means over the repeats."""
    there = pl.col("in_truth") | pl.col("in_prediction")
    means = [
        pl.col("in_truth").any(),
        pl.col("in_prediction").mean(),
        *(pl.col(name).cast(pl.Float64).mean() for name in OBJECTS),
        *(pl.when(there).then(pl.col(name)).otherwise(0.0).mean() for name in metrics),
    ]
    return rows.group_by("seed", *PLACE).agg(means)


def _arranged(
    rows: pl.DataFrame, outputs: Outputs, ids: Sequence[str], metrics: Sequence[str]
) -> ClassScores:
    """Return rows as arrays, in the order of seeds, images and classes."""
    places = {name: place for place, name in enumerate(outputs.names)}
    order = {each: place for place, each in enumerate(ids)}
    rows = rows.sort("seed", pl.col("id").replace_strict(order), pl.col("class").replace_strict(places))

    def array(name: str) -> NDArray[np.float64]:
        values = rows[name].to_numpy().astype(np.float64)
        return values.reshape(-1, len(ids), len(outputs.names))

    return ClassScores(
        outputs.names,
        {name: array(name) for name in metrics},
        array("in_truth")[0].astype(np.bool_),
        array("in_prediction"),
        np.stack([array(name).sum(1).mean(0) for name in OBJECTS]),
    )
