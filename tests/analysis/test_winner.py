"""The configuration that a study selects: the leaderboard's first, from the records of its runs alone."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from fake_study import fail, finish, make_study, masks
from hypothesis import given, settings
from hypothesis import strategies as st

from segstudy.analysis.leaderboard import first_ranked, leaderboard
from segstudy.analysis.winner import winner
from segstudy.core.errors import UserError
from segstudy.deploy.predict.load import models_of

ARCHITECTURES, LOSSES = ("segnet", "unet"), ("bce", "dice")
NAMES = [f"{architecture}-{loss}-b8" for architecture in ARCHITECTURES for loss in LOSSES]
NUM_VALIDATION = (3, 5, 4)  # by fold
LEVELS = st.sampled_from((0.1, 0.25, 0.5, 0.7, 0.9))  # few: ties, also between means over seeds
WHAT = st.sampled_from(("finished", "finished", "finished", "failed", "missing", "other data", "twice"))


def parts_of(fold: int | None) -> dict[str, list[str]]:
    sizes = {"train": 4, "validation": NUM_VALIDATION[fold or 0], "test": 4}
    return {part: [f"fold{fold}-{part}{i}" for i in range(size)] for part, size in sizes.items()}


def carry_out(folder, name: str, seed: int, fold: int | None, what: str, mean: float) -> None:
    run = {"seed": seed, "fold": fold}
    if what == "failed":
        fail(folder, name, **run)
    if what in ("finished", "twice"):
        finish(folder, name, mean, 1 - mean, parts=parts_of(fold), **run)
    if what == "twice":
        older = {"version": 0, "started": "2025-12-01T00:00:00+00:00"}
        finish(folder, name, 0.8 - mean / 2, mean, parts=parts_of(fold), **run, **older)
    if what == "other data":
        finish(folder, name, 0.99, 0.99, parts=parts_of(fold), data="fedcba9876543210", **run)


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(
    seeds=st.integers(1, 2),
    folds=st.sampled_from((0, 0, 3)),
    retired=st.booleans(),
    of_a_tool=st.booleans(),
    draw=st.data(),
)
def test_it_is_the_first_of_the_leaderboard_whatever_the_study_holds(seeds, folds, retired, of_a_tool, draw):
    with tempfile.TemporaryDirectory() as place:
        folder = make_study(Path(place) / "s", ARCHITECTURES, LOSSES, seeds=seeds, folds=folds)
        numbers = range(folds) if folds else [None]
        splits = [{"split": "auto", "split_seed": 0, "fold": fold, **parts_of(fold)} for fold in numbers]
        folder.write_json("split.json", {"splits": splits})
        for name in NAMES:
            whole = draw.draw(st.booleans())
            for seed in range(seeds):
                for fold in numbers:
                    what = "finished" if whole else draw.draw(WHAT)
                    carry_out(folder, name, seed, fold, what, draw.draw(LEVELS))
        if retired:
            make_study(folder.path, ARCHITECTURES[1:], LOSSES, seeds=seeds, folds=folds)
        folder.write_json("split.json", {"splits": splits})
        if of_a_tool:
            masks(folder, "nnunet", 0.99, {})
        found = winner(folder)
        for show_all in (False, True):
            first = first_ranked(leaderboard(folder, show_all))
            assert first == (found.name if found else None)


def test_equal_means_are_a_tie_whatever_order_they_are_added_up_in(tmp_path):
    """0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ in the last bit; the study's first is the winner then."""
    folder = make_study(tmp_path / "s", ("unet",), LOSSES, seeds=3)
    for name, means in (("unet-bce-b8", (0.3, 0.2, 0.1)), ("unet-dice-b8", (0.1, 0.2, 0.3))):
        for seed, mean in enumerate(means):
            finish(folder, name, mean, 0.5, seed=seed)
    assert winner(folder).name == first_ranked(leaderboard(folder)) == "unet-bce-b8"


def test_a_fold_counts_by_its_images(tmp_path):
    """Of 3, 5 and 4 images: the mean over images is not that over folds, and decides otherwise here."""
    folder = make_study(tmp_path / "s", ("unet",), LOSSES, folds=3)
    splits = [{"split": "auto", "split_seed": 0, "fold": fold, **parts_of(fold)} for fold in range(3)]
    folder.write_json("split.json", {"splits": splits})
    for name, means in (("unet-bce-b8", (0.80, 0.50, 0.5)), ("unet-dice-b8", (0.50, 0.75, 0.5))):
        for fold, mean in enumerate(means):
            finish(folder, name, mean, 0.5, fold=fold, parts=parts_of(fold))
    assert winner(folder).name == first_ranked(leaderboard(folder)) == "unet-dice-b8"


def test_a_record_that_was_altered_selects_nothing(tmp_path):
    folder = make_study(tmp_path / "s")
    keys = [finish(folder, name, mean, 0.5) for name, mean in zip(NAMES, (0.6, 0.7, 0.8, 0.9), strict=True)]
    assert winner(folder).name == NAMES[3]
    file = folder.runs / keys[0] / "run.json"
    record = json.loads(file.read_text())
    record["summary"]["scores"]["validation"]["native_iou"] = 0.95
    file.write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"run\.json: damaged .*verify"):
        models_of(folder.path)


def test_opening_a_study_reads_no_table_and_imports_no_statistics(tmp_path):
    folder = make_study(tmp_path / "s")
    for name in NAMES:
        key = finish(folder, name, 0.5, 0.5)
        (folder.runs / key / "images.parquet").unlink()
    program = (
        "import sys; from pathlib import Path; from segstudy.deploy.predict.load import models_of; "
        f"print(models_of(Path({str(folder.path)!r})).name); "
        "print([m for m in sys.modules if m.split('.')[0] in ('scipy', 'torch') or 'segstudy.stats' in m])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [NAMES[0], "[]"]
