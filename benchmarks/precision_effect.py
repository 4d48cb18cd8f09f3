"""bfloat16 against float32: the difference in test IoU, with segstudy's own statistics.

    segstudy run docs/results/speed/precision-study.toml
    python benchmarks/precision_effect.py PH2-precision

The study trains every configuration in both precisions, with several seeds. Intervals are 95 % over images
and trainings; "all", the mean over all settings, is to lie within the margin of practical equality, .01 IoU.
"""

import sys
from itertools import product
from pathlib import Path

from rich.console import Console
from rich.table import Table

from segstudy.analysis.contrasts import matched
from segstudy.analysis.results import Results, gather, pooled
from segstudy.stats import comparisons
from segstudy.store.folder import StudyFolder

LEVELS = ("bfloat16", "float32")
MARGIN = 0.01


def difference(results: Results, names: dict[str, list[str]]) -> comparisons.Difference:
    """bfloat16 minus float32, over matched configurations."""
    ours, theirs = (pooled(results, names[level]) for level in LEVELS)
    return comparisons.difference(ours, theirs, results.groups_of(names[LEVELS[0]][0]))


def main() -> None:
    results = gather(StudyFolder(Path(sys.argv[1])))
    names = matched(results, "precision", LEVELS)
    table = Table("test IoU, bfloat16 - float32", "difference", "95 % interval", "within .01")
    settings = list(range(len(names[LEVELS[0]])))
    groups = [(names[LEVELS[0]][i].removesuffix("-precision=bfloat16"), [i]) for i in settings]
    parts = [name.split("-") for name, _ in groups]
    for place in (0, 1):
        for word in dict.fromkeys(part[place] for part in parts):
            groups += [(f"all {word}", [i for i in settings if parts[i][place] == word])]
    for architectures, losses in product([("segnet", "unet"), ("unet", "unet2")], [("bce", "combo")]):
        chosen = [i for i in settings if parts[i][0] in architectures and parts[i][1] in losses]
        groups.append((f"{' and '.join(architectures)}, {' and '.join(losses)}", chosen))
    groups.append(("all", settings))
    for title, chosen in groups:
        if not chosen:
            continue
        found = difference(results, {level: [names[level][i] for i in chosen] for level in LEVELS})
        within = found.low > -MARGIN and found.high < MARGIN
        interval = f"[{found.low:+.4f}, {found.high:+.4f}]"
        table.add_row(title, f"{found.mean:+.4f}", interval, "yes" if within else "no")
    Console().print(table)


if __name__ == "__main__":
    main()
