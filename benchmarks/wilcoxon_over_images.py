"""How often tests that look at images alone call two equal networks different (nominal: 5 %).

One training of each, 40 test images, residual deviation .03. Call: PYTHONPATH=tests python
benchmarks/wilcoxon_over_images.py [number of studies]
"""

import sys

import numpy as np
from scipy.stats import wilcoxon
from simulated import Truth, pair

from segstudy.stats.comparisons import difference


def main() -> None:
    num_studies = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("seed deviation: Wilcoxon over images of one training each; ours with 5 trainings each")
    for sd in (0.005, 0.01, 0.02):
        rng = np.random.default_rng(0)
        single, several = 0, 0
        for _ in range(num_studies):
            a, b = pair(rng, Truth(0.03, sd, 0.0, 5))
            single += wilcoxon(a[0], b[0]).pvalue < 0.05
            several += difference(a, b).p < 0.05
        print(f"{sd}: {single / num_studies:.3f} {several / num_studies:.3f}", flush=True)


if __name__ == "__main__":
    main()
