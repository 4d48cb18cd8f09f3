"""The page and the terminal say what the winner's test mean owes to the choice."""

import numpy as np
import polars as pl
import pytest
from simulated_choice import Choice, studied

from segstudy.analysis.optimism import choice_warning, optimism_text
from segstudy.analysis.result_warnings import warnings_of_ranked
from segstudy.analysis.results import HEADLINE, Results
from segstudy.stats.intervals import ScoresByFold, by_seed

NAMES = ["a", "b", "c", "d"]


def results(truth: Choice) -> Results:
    """A study of four equal configurations, the highest on validation first."""
    found = studied(np.random.default_rng(3), truth, np.full(4, 0.8))
    order = sorted(range(4), key=lambda place: -by_seed(found[0][place]).mean())
    tables, replicates, by_fold = {}, {}, {}
    for part, sides in zip(("validation", "test"), found, strict=True):
        prefix = "" if truth.folds else part
        ids = tuple(f"{prefix}{i:03}" for i in range(truth.images))
        for name, place in zip(NAMES, order, strict=True):
            side = sides[place]
            if isinstance(side, ScoresByFold):
                by_fold[name, part] = side
            seeds = tuple(range(truth.seeds))
            tables[name, part] = pl.DataFrame({"id": ids * truth.seeds, HEADLINE: by_seed(side).ravel()})
            replicates[name, part] = seeds, ids
    return Results((), tables, {}, replicates, by_fold=by_fold)


def test_several_seeds_choose_again_without_the_one_that_is_tested():
    text = optimism_text(results(Choice(4, 3)), NAMES)
    assert "Were all 4 configurations equal" in text
    assert "because the same runs are scored on test too" in text
    assert "Chosen without the runs that are tested (each seed in turn), the choice has IoU 0." in text


def test_with_folds_runs_and_images_are_shared():
    text = optimism_text(results(Choice(4, 1, folds=4)), NAMES)
    assert "the same runs and images are scored on test too" in text
    assert "(each fold in turn)" in text


def test_one_seed_without_folds_says_what_it_leaves_out():
    found = results(Choice(4, 1))
    text = optimism_text(found, NAMES)
    assert "One seed does not measure the noise of training." in text
    assert "(from images alone 0.0" in text
    assert "Chosen without" not in text
    (warning,) = choice_warning(found, NAMES)
    assert "may be up to 0.0" in warning
    assert "One seed cannot show by how much." in warning


@pytest.mark.parametrize("truth", [Choice(4, 3), Choice(4, 2, folds=4)], ids=str)
def test_the_terminal_says_it_too(truth: Choice):
    frame = pl.DataFrame({"configuration": NAMES, "rank": [1, 2, 3, 4]})
    found = results(truth)
    *_, last = warnings_of_ranked(_Comparable(found), frame)
    assert last == next(iter(choice_warning(found, NAMES)))
    assert last.startswith("a was chosen by validation, but the same runs ")


def test_a_single_configuration_is_not_chosen():
    found = results(Choice(4, 3))
    assert list(choice_warning(found, ["a"])) == []
    assert "Were all" not in optimism_text(found, ["a"])


class _Comparable:
    """Results whose configurations can all be compared."""

    def __init__(self, found: Results) -> None:
        self.found = found

    def __getattr__(self, name: str):
        return getattr(self.found, name)

    def comparable(self, *_) -> bool:
        return True
