"""How often 20 equal configurations stay undistinguished: Holm, Games-Howell, and ours with fewer df.

Call: PYTHONPATH=tests python benchmarks/winner_against_the_rest.py [number of studies]
"""

import sys

import numpy as np
from scipy.stats import studentized_range
from simulated import Truth, scores
from statsmodels.stats.multitest import multipletests

from segstudy.stats.comparisons import Difference, difference, distinguished

NUM_CONFIGURATIONS = 20
CASES = [
    (Truth(0.03, sd, interaction, num_seeds), better)
    for num_seeds in (3, 5, 10)
    for sd, better in ((0.005, 0.0), (0.02, 0.0), (0.005, 0.02))
    for interaction in (0.0, 0.03)
]


def comparisons(rng: np.random.Generator, truth: Truth, better: float) -> list[Difference]:
    """The winner on validation against the others on test, all scored by the same trainings."""
    trainings = [rng.normal(0, truth.seed, truth.num_seeds) for _ in range(NUM_CONFIGURATIONS)]
    means = [better] + [0.0] * (NUM_CONFIGURATIONS - 1)
    validation, test = (scores(rng, truth, means, trainings) for _ in range(2))
    winner = int(np.argmax([each.mean() for each in validation]))
    return [difference(test[winner], each) for i, each in enumerate(test) if i != winner]


def excluded(found: list[Difference]) -> list[int]:
    """By Holm, by Games-Howell with the comparison's own degrees of freedom, and by `distinguished`."""
    holm = multipletests([d.p for d in found], method="holm")[0].sum()
    near = [d for d in found if d.p < 0.05]
    own = sum(
        studentized_range.sf(np.sqrt(2) * abs(d.mean) / d.standard_error, NUM_CONFIGURATIONS, d.df) < 0.05
        for d in near
    )
    return [int(holm), own, sum(p < 0.05 for p in distinguished(near, NUM_CONFIGURATIONS))]


def main() -> None:
    num_studies = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("columns: Holm, Games-Howell, ours")
    for truth, better in CASES:
        rng = np.random.default_rng(0)
        counts = np.array([excluded(comparisons(rng, truth, better)) for _ in range(num_studies)])
        shown = counts.mean(0) if better else (counts == 0).mean(0)
        what = f"one better by {better}: excluded" if better else "all equal: none excluded"
        print(f"{truth}, {what}", *(f"{value:.3f}" for value in shown), flush=True)


if __name__ == "__main__":
    main()
