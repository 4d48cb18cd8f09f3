"""Whether the first of the leaderboard is better than masks that look at no image."""

from collections.abc import Mapping, Sequence

import polars as pl

from segstudy.store.folder import StudyFolder


def baseline_note(folder: StudyFolder, frame: pl.DataFrame) -> str:
    """Return a sentence if the first configuration is no better on test than a baseline; else nothing.

    Args:
        folder: the study, whose ``baselines.parquet`` has the baselines' scores.
        frame: its leaderboard; the first row with a test score counts.
    """
    scored = frame.filter(~pl.col("masks") & pl.col("test_iou").is_not_null())
    baselines = folder.baselines()
    if baselines is None or not scored.height:
        return ""
    of_one_split = baselines.filter(pl.col("fold").is_null()).select("split", "split_seed").n_unique() <= 1
    if not of_one_split or baselines["split"].n_unique() > 1:
        return ""  # of several splits every configuration has its own
    first = scored.row(0, named=True)
    name, iou = _best(baselines)
    if first["test_iou"] > iou:
        return ""
    return (
        f"{first['configuration']} is no better on test than a mask that looks at no image: IoU "
        f"{first['test_iou']:.3f}, {name} {iou:.3f}."
    )


def networks_note(folder: StudyFolder, keys_by_name: Mapping[str, Sequence[str]]) -> str:
    """Return a sentence if no configuration is better on test than a baseline; else nothing.

    Args:
        folder: the study.
        keys_by_name: the keys of the runs of each configuration.
    """
    baselines = folder.baselines()
    if baselines is None:
        return ""
    images = folder.images([key for keys in keys_by_name.values() for key in keys])
    tested = images.filter(pl.col("part") == "test")
    means = {
        name: tested.filter(pl.col("key").is_in(list(keys)))["native_iou"].mean()
        for name, keys in keys_by_name.items()
    }
    known = {name: float(mean) for name, mean in means.items() if isinstance(mean, float)}
    name, iou = _best(baselines)
    if not known or max(known.values()) > iou:
        return ""
    first = max(known, key=known.__getitem__)
    return (
        f"These networks are no better on test than a mask that looks at no image: IoU {known[first]:.3f} "
        f"({first}), {name} {iou:.3f}. So what they predict says little about a mask."
    )


def _best(baselines: pl.DataFrame) -> tuple[str, float]:
    """Return the baseline with the highest mean IoU on test, and that mean."""
    means = baselines.filter(pl.col("part") == "test").group_by("baseline").agg(pl.col("native_iou").mean())
    return means.sort("native_iou", "baseline", descending=True).row(0)
