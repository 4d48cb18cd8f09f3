"""The averages that a results page states, from its leaderboard.

python docs/results/means.py docs/results/ph2-classic-128px/leaderboard.csv
"""

import sys

import polars as pl


def main() -> None:
    rows = pl.read_csv(sys.argv[1])
    scores = pl.col("validation_iou", "test_iou").mean().round(3)
    at_8 = rows.filter(pl.col("batch_size") == 8)
    both = rows.filter(pl.col("architecture").is_in(["segnet", "unet"]))
    gap = rows["validation_iou"] - rows["test_iou"]
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True):
        print(at_8.group_by("architecture").agg(scores).sort("architecture"))
        print(at_8.group_by("loss").agg(scores).sort("loss"))
        print(both.group_by("architecture", "batch_size").agg(scores).sort("architecture", "batch_size"))
    print(f"validation above test in {(gap > 0).sum()} of {rows.height}")
    print(f"by {gap.mean():.3f} on average, {gap.max():.3f} at most")
    rank = rows.select(pl.corr("validation_iou", "test_iou", method="spearman")).item()
    print(f"Spearman correlation of validation and test: {rank:.2f}")


if __name__ == "__main__":
    main()
