"""How long commands take to start, with two versions of segstudy, side by side.

    python benchmarks/open_model.py OTHER_CHECKOUT

Trains a study of 20 runs with this version, then times, in turn with each version: ``segstudy --help``,
``import segstudy``, opening the study's model in Python as ``predict`` does, and the whole of ``segstudy
predict`` on one image. Prints medians in seconds and their ratio.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ROUNDS = 7
GRID = ("--architecture", "unet,unet2,segnet,dilated_unet", "--loss", "bce,focal,dice,tversky,combo")
SMALL = ("--image-size", "32", "--width", "4", "--epochs", "2", "--seeds", "1", "--batch-size", "8")


def timed(checkout: Path, *words: str) -> float:
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-P", *words], env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="another checkout of this repository")
    other = parser.parse_args().other
    with tempfile.TemporaryDirectory() as place:
        study, data = Path(place) / "study", Path(place) / "synthetic"
        command = ("-m", "segstudy", "run", "synthetic:n=24", "--out", str(study), "--yes", *GRID, *SMALL)
        timed(HERE, *command)
        timed(HERE, "-c", f"import segstudy; segstudy.synth({str(data)!r}, n=4)")
        image = next(file for file in sorted(data.rglob("*")) if file.suffix in (".png", ".jpg"))
        opened = f"import segstudy; segstudy.Predictor({str(study)!r})"
        commands = {
            "segstudy --help": ("-m", "segstudy", "--help"),
            "import segstudy": ("-c", "import segstudy"),
            "open the model of 20 runs": ("-c", opened),
            "segstudy predict, one image": ("-m", "segstudy", "predict", str(study), str(image), "--out"),
        }
        for name, words in commands.items():
            out = (str(Path(place) / f"out{i}") if "predict" in words else "" for i in count())
            times: dict[Path, list[float]] = {other: [], HERE: []}
            for checkout in times:
                timed(
                    checkout, *words, *filter(None, [next(out)])
                )  # once, so that both find what the first call leaves behind
            for _ in range(ROUNDS):
                for checkout, found in times.items():
                    found.append(timed(checkout, *words, *filter(None, [next(out)])))
            before, after = (statistics.median(found) for found in times.values())
            print(f"{name}: {before:.2f} s before, {after:.2f} s after ({after / before:.2f} times)")


if __name__ == "__main__":
    main()
