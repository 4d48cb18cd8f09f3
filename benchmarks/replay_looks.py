"""The looks of a sequential study on the stored runs of a finished one: how many runs it would have saved.

Call: PYTHONPATH=tests python benchmarks/replay_looks.py STUDY [--first N] [--orders N]

Nothing is trained. The replicates of each configuration are a pool: a seed, or with repeated folds a seed of
one set of folds, which tests every image once. They are taken in the order of the study, and then in random
orders, the same for no two configurations, as if they had been trained so. The last look has all of them.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from simulated_looks import Ended, fixed, sequential

from segstudy.analysis.results import gather
from segstudy.stats.best import against_best
from segstudy.stats.intervals import Scores, by_group
from segstudy.stats.planned_looks import planned_seeds
from segstudy.store.folder import StudyFolder


def pool(folder: StudyFolder) -> tuple[dict[str, Scores], float, int]:
    """Return of each complete configuration the replicates ``(replicates, units)``; margin; runs of each."""
    results, found = gather(folder), {}
    for row in results.trained:
        scores = results.scores(row.name) if row.complete else None
        by_fold = results.folds(row.name)
        if by_fold is not None:
            found[row.name] = by_fold.scores.reshape(-1, by_fold.scores.shape[-1])
        elif scores is not None:
            found[row.name] = by_group(scores, results.groups_of(row.name))
    (num_replicates,) = {len(each) for each in found.values()}
    num_runs = sum(len(row.records) for row in results.trained if row.name in found)
    return found, results.margin, num_runs // (num_replicates * len(found))


def main() -> None:
    """Replay, and print what was stopped and saved."""
    parser = argparse.ArgumentParser()
    parser.add_argument("study", type=Path)
    parser.add_argument("--first", type=int, default=3)
    parser.add_argument("--orders", type=int, default=200)
    call = parser.parse_args()
    scores, margin, runs_each = pool(StudyFolder(call.study))
    names, most = list(scores), len(next(iter(scores.values())))
    seeds, total = planned_seeds(call.first, most), most * len(scores) * runs_each
    out = [names[i] for i in sorted(fixed(list(scores.values())))]
    print(f"{call.study.name}: {len(names)} configurations, {most} replicates of {runs_each}: {total} runs")
    p = {name: round(x.p, 4) for name, x in zip(names, against_best(list(scores.values())), strict=True)}
    print(f"fixed study: p of being as good as the best {p}, so out are {', '.join(out) or 'none'}")
    print(f"looks at {seeds} replicates")
    ended = sequential(list(scores.values()), seeds, margin)
    stopped = {names[i]: look for i, look in ended.stopped.items()}
    print(f"in the order of the study: {text(ended, runs_each, total)}; stopped at look {stopped or '-'}")
    rng = np.random.default_rng(1)
    found = [
        sequential([each[rng.permutation(most)] for each in scores.values()], seeds, margin)
        for _ in range(call.orders)
    ]
    saved = np.array([1 - each.num_runs * runs_each / total for each in found])
    print(f"{call.orders} random orders: {100 * saved.mean():.0f} % of the runs saved on average, ", end="")
    print(f"{100 * saved.min():.0f} to {100 * saved.max():.0f} %")
    print(f"ended: {dict(Counter(each.looks[-1].conclusion for each in found))}")
    wrong = Counter(names[i] for each in found for i in each.stopped)
    print(f"stopped in so many orders: {dict(wrong)}")


def text(ended: Ended, runs_each: int, total: int) -> str:
    """Return runs, runs saved, the number of looks and the end of one replay."""
    runs = ended.num_runs * runs_each
    return f"{runs} runs, {total - runs} saved, {len(ended.looks)} look(s), {ended.looks[-1].conclusion}"


if __name__ == "__main__":
    main()
