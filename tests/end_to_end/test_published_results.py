"""The pages of docs/results are made again from stored scores, and their READMEs say what the tables say."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import fake_study
import pytest

from segstudy.core.errors import UserError

RESULTS = Path(__file__).parents[2] / "docs" / "results"
FOLDERS = sorted(file.parent for file in RESULTS.glob("*/README.md"))
README = """# Two losses

Loss bce is better in 2 seeds by {}, at threshold {}; see `unet-bce-b8`.

<!-- compare: unet-bce-b8 unet-dice-b8 -->
<!-- end -->

<!-- table -->
<!-- end -->
"""


@pytest.fixture(scope="module", autouse=True)
def _scripts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(RESULTS)
        yield


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs, of which only the scores are stored, with a README and the page; for reading only."""
    import reports

    folder = fake_study.make_study(tmp_path_factory.mktemp("published") / "study", ("unet",), seeds=2)
    for name, mean in (("unet-bce-b8", 0.9), ("unet-dice-b8", 0.7)):
        for seed in (0, 1):
            fake_study.finish(folder, name, mean, mean + seed / 100, seed=seed)
    for name in ("model.safetensors", "model.json", "predictions.parquet"):
        for file in folder.runs.glob(f"*/{name}"):
            file.unlink()
    (folder.path / "thumbnails.parquet").unlink()
    (folder.path / "README.md").write_text(README.format(".2", "0.5"), encoding="utf-8")
    reports.make(folder.path)
    return folder.path


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    return shutil.copytree(published, tmp_path / "study")


def test_scores_alone_give_the_page_which_says_what_is_left_out(published: Path) -> None:
    from readme_numbers import unknown_numbers
    from reports import outdated

    page = (published / "report.html").read_text(encoding="utf-8")
    assert "Of 4 runs, only the scores are stored here" in page
    assert "written without pictures of the data" in page
    readme = (published / "README.md").read_text(encoding="utf-8")
    assert "unet-bce-b8 is better than unet-dice-b8 by 0.2" in readme
    assert "| 1 | unet-bce-b8 | 0.9" in readme
    assert outdated(published) == []
    assert unknown_numbers(published) == []


ALTERED = {
    "report.html": ("unet-bce-b8", "unet-bce-b9"),
    "leaderboard.csv": ("0.9", "0.8"),
    "README.md": ("| 1 | unet-bce-b8 | 0.", "| 1 | unet-bce-b8 | 9."),
    "figures/per-image-iou.svg": ("unet-bce-b8", "unet-bce-b9"),
}


def test_files_that_this_version_would_write_differently_are_found(copy: Path, monkeypatch, capsys) -> None:
    from reports import main

    for file, (old, new) in ALTERED.items():
        text = (copy / file).read_text(encoding="utf-8")
        assert old in text
        (copy / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    (copy / "figures" / "of-another-report.svg").touch()
    monkeypatch.setattr(sys, "argv", ["reports.py", "--check", str(copy)])
    assert main() == 1
    found = capsys.readouterr().err.splitlines()
    names = {*ALTERED, "figures/of-another-report.svg"}
    assert {each.split(": ")[0] for each in found} == {f"study/{name}" for name in names}
    assert all(": line " in each or "is no longer made" in each for each in found)


@pytest.mark.parametrize(
    ("old", "new", "number"),
    [
        ("by .2,", "by .3,", ".3"),
        ("2 seeds", "7 seeds", "7"),
        ("threshold 0.5", "threshold 0.58", "0.58"),
        ("is better", "is 12,000 times better", "12,000"),
    ],
)
def test_a_number_that_no_table_holds_fails(copy: Path, old: str, new: str, number: str) -> None:
    from readme_numbers import unknown_numbers

    text = (copy / "README.md").read_text(encoding="utf-8")
    assert old in text
    (copy / "README.md").write_text(text.replace(old, new, 1), encoding="utf-8")
    (found,) = unknown_numbers(copy)
    assert found.startswith(f"{number}: Loss bce")


def test_a_tables_row_counts_only_where_its_name_stands(copy: Path) -> None:
    from readme_numbers import unknown_numbers

    parameters = "unet-dice-b8 has 1.23 M parameters"
    text = (copy / "README.md").read_text(encoding="utf-8")
    (copy / "README.md").write_text(f"{text}\n{parameters}.\n\nAll have 1.23 M.\n", encoding="utf-8")
    assert unknown_numbers(copy) == ["1.23: All have 1.23 M."]


def test_an_unknown_block_is_an_error() -> None:
    from readme import filled

    with pytest.raises(UserError, match="block 'answer' is not known; there are runs, verdict,"):
        filled("<!-- answer -->\n<!-- end -->\n", None)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_number_of_a_results_readme_is_in_its_tables(folder: Path) -> None:
    from readme_numbers import unknown_numbers

    assert unknown_numbers(folder) == []


@pytest.mark.slow
def test_the_committed_pages_are_those_that_this_version_makes() -> None:
    from reports import outdated

    folders = sorted(path.parent for path in RESULTS.glob("*/runs"))
    assert folders
    assert {folder.name: outdated(folder) for folder in folders} == {folder.name: [] for folder in folders}
