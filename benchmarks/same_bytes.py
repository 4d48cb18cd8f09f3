"""Whether two versions of segstudy train the same study to the same bytes.

    python benchmarks/same_bytes.py OTHER_CHECKOUT

Trains one small study with each, every architecture and loss, with augmentation and with folds, and compares
every file but ``run.json``, in which times stand. Exits with 1 where a file differs.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
SMALL = ("--image-size", "32", "--width", "4", "--epochs", "2", "--seeds", "1", "--workers", "2")
STUDIES = {
    "every architecture and loss": (
        *("--architecture", "segnet,unet,unet2,dilated_unet"),
        *("--loss", "bce,focal,dice,tversky,combo", "--batch-size", "8"),
    ),
    "with augmentation": ("--architecture", "unet", "--loss", "combo", "--set", "augmentation=full"),
    "padded": ("--architecture", "segnet,unet", "--loss", "bce", "--set", "resize=pad"),
    "in folds": ("--architecture", "unet2", "--loss", "dice", "--folds", "3"),
}
# Times, and what is derived from them or from the version's own source.
OF_THEIR_TIME = (
    "run.json",
    "report.html",
    "report.json",
    "reports.json",
    "leaderboard.csv",
    "forecast.json",
    "preregistration.json",
)


def train(checkout: Path, options: tuple[str, ...], folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    command = [sys.executable, "-P", "-m", "segstudy", "run", "synthetic:n=24", "--out", str(folder), "--yes"]
    subprocess.run([*command, *options, *SMALL], env=environment, check=True, stdout=subprocess.DEVNULL)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that does not depend on when and how fast it was made."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in OF_THEIR_TIME and "figures" not in path.parts
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="another checkout of this repository")
    other = parser.parse_args().other
    differing = 0
    for name, options in STUDIES.items():
        with tempfile.TemporaryDirectory() as place:
            found = []
            for checkout in (other, HERE):
                folder = Path(place) / f"study-{len(found)}" / "study"
                train(checkout, options, folder)
                found.append(hashes(folder))
        before, after = found
        others = sorted(file for file in before.keys() | after.keys() if before.get(file) != after.get(file))
        print(f"{name}: {len(before.keys() | after.keys())} files compared, {len(others)} differ")
        print("".join(f"  {file}\n" for file in others), end="")
        differing += len(others)
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
