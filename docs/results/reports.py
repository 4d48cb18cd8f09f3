"""The pages of all results folders again, from their stored runs, without training.

    python docs/results/reports.py            writes page, table, figures and the README's blocks
    python docs/results/reports.py --check    only compares them with those that are stored

A results folder has study.toml and ``runs``, each run with run.json, epochs.parquet and images.parquet.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path

from readme import filled
from readme_numbers import unknown_numbers

from segstudy.core.errors import UserError
from segstudy.reporting.page import read_report_data, write_report
from segstudy.store.folder import StudyFolder

RESULTS = Path(__file__).parent
SHOWN = 160  # characters of a line that differs
REMAKE = "`make reports` writes it again"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if something differs")
    parser.add_argument("folders", nargs="*", type=Path, help="all beside this file if left out")
    arguments = parser.parse_args()
    folders = arguments.folders or sorted(file.parent for file in RESULTS.glob("*/study.toml"))
    failures = []
    for folder in folders:
        if not (folder / "runs").is_dir():
            print(f"{folder.name}: has no runs, so its page stays as it is")
        elif arguments.check:
            failures += [f"{folder.name}/{each}" for each in outdated(folder)]
        else:
            make(folder)
            print(f"{folder.name}: written")
        if (folder / "README.md").is_file():
            failures += [f"{folder.name}/README.md: no table holds {n}" for n in unknown_numbers(folder)]
    print(*failures, sep="\n", file=sys.stderr, end="\n" if failures else "")
    return 1 if failures else 0


def make(folder: Path) -> None:
    """Write a folder's page, table, figures and README."""
    study, readme = StudyFolder(folder), folder / "README.md"
    write_report(study, images=False)
    if readme.is_file():
        report = read_report_data(study, images=False)
        readme.write_text(filled(readme.read_text(encoding="utf-8"), report), encoding="utf-8")


def outdated(folder: Path) -> list[str]:
    """Return the stored files that this version would write differently, each with the first difference."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / folder.name
        shutil.copytree(folder, copy)
        for file in ("report.html", "leaderboard.csv"):
            (copy / file).unlink(missing_ok=True)
        shutil.rmtree(copy / "figures", ignore_errors=True)
        make(copy)
        names = ["report.html", "leaderboard.csv", "README.md", *_figures(folder)]
        differences = {
            name: _difference(folder / name, copy / name)
            for name in names
            if (folder / name).is_file() or (copy / name).is_file()
        }
        return [f"{name}: {said}; {REMAKE}" for name, said in differences.items() if said]


def _figures(folder: Path) -> Iterable[str]:
    """Yield the figures that are stored: a folder may leave some out."""
    return (f"figures/{file.name}" for file in sorted(folder.glob("figures/*.svg")))


def _difference(stored: Path, made: Path) -> str:
    if not stored.is_file():
        return "is missing"
    if not made.is_file():
        return "is no longer made"
    texts = (file.read_text(encoding="utf-8").splitlines() for file in (stored, made))
    for number, (old, new) in enumerate(zip_longest(*texts, fillvalue=""), 1):
        if old != new:
            at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
            shown = slice(max(0, at - SHOWN // 2), at + SHOWN // 2)
            return f"line {number} is {old[shown]!r}, now {new[shown]!r}"
    return ""


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"error: {error}")
