"""How long `segstudy report` takes on a large study, and how much memory.

    python benchmarks/report_speed.py                  # 1,000 runs x 500 images
    python benchmarks/report_speed.py --seeds 5 --images 100

The study is made up in a temporary folder (`tests/big_store.py`); making it is not counted, importing the
package is.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"


def main() -> None:
    """Print wall time, processor time, peak memory and the size of the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="runs of each of the configurations")
    parser.add_argument("--batch-sizes", type=int, default=5, help="each makes 20 configurations")
    parser.add_argument("--images", type=int, default=250, help="in each part")
    given = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    from big_store import make_big_store  # beside the tests, which use it too

    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study"
        make_big_store(study, seeds=given.seeds, batch_sizes=given.batch_sizes, images=given.images)
        command = [sys.executable, "-m", "segstudy", "report", study]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        size = (study / "report.html").stat().st_size
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    runs = 20 * given.batch_sizes * given.seeds
    print(f"{runs} runs x {2 * given.images} images: {seconds:.1f} s on the clock", end=", ")
    print(f"{used.ru_utime + used.ru_stime:.1f} s of {os.cpu_count()} processors", end=", ")
    print(f"{used.ru_maxrss / 2**20:.2f} GiB at most, page {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
