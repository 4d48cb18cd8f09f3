"""Two merged classes, trained as a foreground (sigmoid) and as one of two exclusive classes (softmax).

    python docs/results/rim_and_core.py PH2Dataset rim-and-core
    python benchmarks/merged_classes.py rim-and-core OUT

The masks hold three classes, of which two are merged, so both see the same lesions. With U-Net, BCE, Dice
and combo, at 64 px and width 8, 5 seeds each. The difference of the mean test IoU, with its 95 % interval
over images and trainings, is to hold 0. Called again, it trains what is missing.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

import segstudy
from segstudy.analysis.results import Results, gather, pooled
from segstudy.stats import comparisons
from segstudy.store.folder import StudyFolder

LOSSES = ["bce", "dice", "combo"]
MERGED = {"binary": {"foreground": "1+2"}, "exclusive": {"classes": "background=0,lesion=1+2"}}


def trained(data: str, folder: Path, masks: dict[str, str], seeds: int, epochs: int) -> Results:
    """Train what is missing of one of the two studies, and return its results."""
    segstudy.run(
        data,
        out=folder,
        architecture="unet",
        loss=LOSSES,
        seeds=seeds,
        image_size=64,
        width=8,
        batch_size=8,
        epochs=epochs,
        **masks,  # type: ignore[arg-type]
    )
    return gather(StudyFolder(folder))


def name_of(results: Results, loss: str) -> str:
    """Return the name of the configuration with this loss."""
    (name,) = (row.name for row in results.trained if f"-{loss}-" in row.name)
    return name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40)
    asked = parser.parse_args()
    found = {
        name: trained(asked.data, asked.out / name, masks, asked.seeds, asked.epochs)
        for name, masks in MERGED.items()
    }
    table = Table("test IoU", *MERGED, "exclusive - binary", "95 % interval")
    holds_zero = True
    for loss in LOSSES:
        binary, exclusive = (pooled(each, [name_of(each, loss)]) for each in found.values())
        difference = comparisons.difference(
            exclusive, binary, found["binary"].groups_of(name_of(found["binary"], loss))
        )
        holds_zero &= difference.low <= 0 <= difference.high
        table.add_row(
            loss,
            f"{binary.mean():.4f}",
            f"{exclusive.mean():.4f}",
            f"{difference.mean:+.4f}",
            f"[{difference.low:+.4f}, {difference.high:+.4f}]",
        )
    Console().print(table)
    sys.exit(0 if holds_zero else 1)


if __name__ == "__main__":
    main()
