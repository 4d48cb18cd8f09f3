"""How much the training set moves each configuration of a study with repeated folds, and each difference.

python docs/results/training_sets.py STUDY
"""

import itertools
import sys
from pathlib import Path

from segstudy.analysis.results import gather
from segstudy.stats.training_sets import across_training_sets, training_set_effect
from segstudy.store.folder import StudyFolder


def main() -> None:
    results = gather(StudyFolder(Path(sys.argv[1])))
    scores = {row.name: found for row in results.trained if (found := results.folds(row.name))}
    print("standard deviation between training sets [95 % interval], of a fold's mean IoU")
    for name, each in scores.items():
        print(f"{name}: {_text(training_set_effect(each))}")
    for (a, ours), (b, theirs) in itertools.combinations(scores.items(), 2):
        found = across_training_sets(ours, theirs, results.margin)
        apart = f"{found.mean:+.3f} [{found.low:.3f}, {found.high:.3f}] for training sets like these"
        print(f"{a} less {b}: {apart}; training sets {_text(training_set_effect(ours, theirs))}")


def _text(effect: object) -> str:
    return (
        f"{effect.sd:.4f} [{effect.low:.4f}, {effect.high:.4f}]"
        if effect
        else "not measured: one set of folds"
    )


if __name__ == "__main__":
    main()
