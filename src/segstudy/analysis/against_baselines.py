"""Whether the first of the leaderboard is better than masks that look at no image."""

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
    means = baselines.filter(pl.col("part") == "test").group_by("baseline").agg(pl.col("native_iou").mean())
    best = means.sort("native_iou", "baseline", descending=True).row(0, named=True)
    if first["test_iou"] > best["native_iou"]:
        return ""
    return (
        f"{first['configuration']} is no better on test than a mask that looks at no image: IoU "
        f"{first['test_iou']:.3f}, {best['baseline']} {best['native_iou']:.3f}."
    )
