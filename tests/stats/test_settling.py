"""The advice on settling: its limits, and studies that are extended by as much as it says.

The long form prints what share of the extended studies is settled (``pytest -s -m very_slow``).
"""

from dataclasses import dataclass

import numpy as np
import pytest
from simulated import IMAGE_SD, Truth

from segstudy.analysis.settling import settling_text, unit_noun
from segstudy.stats.comparisons import difference
from segstudy.stats.intervals import ScoresByFold
from segstudy.stats.settling import MOST_REPLICATES, Needed, Resolution, to_resolve

APART = (0.0, 0.005, 0.01, 0.015)


def test_more_seeds_resolve_what_seeds_blur() -> None:
    rng = np.random.default_rng(5)
    a, b = (side + rng.normal(0, 0.02, (3, 1)) + rng.normal(0, 0.01, (3, 40)) for side in (0.02, 0.0))
    needed = to_resolve(a, b)
    assert needed.replicates is not None
    assert 3 < needed.replicates <= MOST_REPLICATES
    assert needed.units is None
    assert needed.fewer is not None
    assert 3 < needed.fewer.replicates < needed.replicates
    assert needed.more is None or needed.more.replicates > needed.replicates


def test_where_images_and_configurations_interact_images_are_needed_too() -> None:
    rng = np.random.default_rng(6)
    a, b = (rng.normal(0, 0.2, 20) + rng.normal(0, 0.001, (3, 20)) for _ in range(2))
    a += 0.03 - (a - b).mean()
    needed = to_resolve(a, b)
    assert needed.replicates == 3
    assert needed.units is not None
    assert 200 < needed.units < 100_000
    assert needed.fewer is not None
    assert 20 < needed.fewer.units < needed.units


def test_seeds_and_images_together_settle_what_neither_does_alone() -> None:
    rng = np.random.default_rng(8)
    a, b = begun(rng, Truth(0.03, 0.01, 0.05, 5), 40).scores(0.0)
    needed = to_resolve(a, b)
    assert needed.replicates is not None
    assert needed.units is not None
    assert needed.replicates > 5
    assert needed.units > 40


def test_what_is_resolved_needs_nothing_more() -> None:
    rng = np.random.default_rng(7)
    a, b = (side + rng.normal(0, 0.001, (5, 40)) for side in (0.1, 0.0))
    needed = to_resolve(a, b)
    assert (needed.replicates, needed.units, needed.probability) == (5, None, 1.0)
    assert settling_text(needed) == "nothing more is needed"


def test_in_folds_fewer_seeds_are_needed_because_each_fold_measures_their_noise() -> None:
    """Two seeds in 8 training sets have eight degrees of freedom, not one."""
    rng = np.random.default_rng(9)
    folds = np.stack([rng.permutation(np.arange(80) % 4) for _ in range(2)])
    effects = rng.normal(0, 0.01, (2, 2, 2, 4))
    noise = rng.normal(0, 0.03, (2, 2, 2, 80))
    sides = [
        ScoresByFold(np.take_along_axis(e, np.broadcast_to(folds, x.shape), axis=2) + x, folds)
        for e, x in zip(effects, noise, strict=True)
    ]
    whole = [side.scores.mean(1) for side in sides]
    by_fold, as_whole = to_resolve(*sides), to_resolve(*whole)
    assert by_fold.replicates is not None
    assert by_fold.replicates < (as_whole.replicates or MOST_REPLICATES)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            Resolution(8, None, 0.8, Needed(5, 40), Needed(30, 40), Needed(3, 40)),
            "5 more seeds are enough with a probability of 80 % (50 %: 2; 95 %: 27)",
        ),
        (
            Resolution(4, None, 0.8, Needed(3, 40), None, Needed(3, 40)),
            "1 more seed is enough with a probability of 80 % (50 %: 0; 95 %: more than 200)",
        ),
        (
            Resolution(40, None, 0.8, Needed(9, 40), Needed(90, 40), Needed(3, 40), either=Needed(12, 90)),
            "37 more seeds, or 9 more seeds with about 90 test images instead of 40 are enough with a "
            "probability of 80 % (50 %: 6; 95 %: 87)",
        ),
        (
            Resolution(6, 90, 0.8, Needed(4, 60), Needed(9, 200), Needed(3, 40)),
            "no number of seeds up to 200 is enough, but 3 more seeds with about 90 test images instead of "
            "40 are enough with a probability of 80 % (50 %: 1 and 60 test images; 95 %: 6 and 200 test "
            "images)",
        ),
        (
            Resolution(None, None, 0.8, None, None, Needed(3, 40)),
            "not even 200 seeds with 100,000 test images are enough with a probability of 80 %",
        ),
    ],
)
def test_the_advice_names_its_promise_and_its_range(found: Resolution, text: str) -> None:
    assert settling_text(found) == text


def test_images_of_patients_are_counted_as_patients() -> None:
    assert unit_noun(40, 40, "patient") == "test image"
    assert unit_noun(20, 40, "patient") == "test patient"


@dataclass
class Effects:
    """What a study is drawn from, for as many seeds and images as were drawn so far."""

    rng: np.random.Generator
    truth: Truth
    images: np.ndarray
    own: list[np.ndarray]
    runs: list[np.ndarray]
    noise: list[np.ndarray]

    def to(self, size: Needed) -> None:
        """Draw what is missing for this size; what is there stays."""
        seeds, units = self.noise[0].shape
        new_seeds, new_units = size.replicates - seeds, size.units - units
        self.images = np.append(self.images, self.rng.normal(0, IMAGE_SD, new_units))
        for side in range(2):
            self.own[side] = np.append(self.own[side], self.rng.normal(0, self.truth.interaction, new_units))
            self.runs[side] = np.append(self.runs[side], self.rng.normal(0, self.truth.seed, new_seeds))
            noise = self.rng.normal(0, self.truth.residual, (size.replicates, size.units))
            noise[:seeds, :units] = self.noise[side]
            self.noise[side] = noise

    def scores(self, apart: float) -> list[np.ndarray]:
        return [
            mean + self.images + own + runs[:, None] + noise
            for mean, own, runs, noise in zip((apart, 0.0), self.own, self.runs, self.noise, strict=True)
        ]


def begun(rng: np.random.Generator, truth: Truth, num_units: int) -> Effects:
    """Draw a study."""
    empty = np.empty(0)
    effects = Effects(rng, truth, empty, [empty] * 2, [empty] * 2, [np.empty((0, 0))] * 2)
    effects.to(Needed(truth.num_seeds, num_units))
    return effects


def settled(truth: Truth, apart: float, num_units: int, num_studies: int) -> tuple[float, float, str]:
    """Return what share of open studies gets advice and is settled by it; and the advice."""
    rng = np.random.default_rng(20261126)
    num_open, num_settled, sizes = 0, 0, []
    for _ in range(num_studies):
        effects = begun(rng, truth, num_units)
        a, b = effects.scores(apart)
        if difference(a, b).conclusion != "not resolved":
            continue
        num_open += 1
        needed = to_resolve(a, b)
        if needed.replicates is None:
            continue
        size = Needed(needed.replicates, needed.units or num_units)
        sizes.append(size)
        if size.replicates * size.units <= 20_000_000:
            effects.to(size)
            num_settled += difference(*effects.scores(apart)).conclusion != "not resolved"
    seeds, units = (
        np.quantile([getattr(each, n) for each in sizes], [0.1, 0.5, 0.9]).round().astype(int).tolist()
        for n in ("replicates", "units")
    )
    said = f"open {num_open / num_studies:.2f}, seeds {seeds}, images {units} (10, 50, 90 %)"
    return len(sizes) / num_open, num_settled / len(sizes), said


def test_most_studies_that_follow_the_advice_are_settled() -> None:
    """The hardest difference is half the margin: hardly shown, and hardly shown to be within it."""
    advised, reached, said = settled(Truth(0.03, 0.005, 0.0, 5), 0.005, 40, 40)
    print(advised, reached, said)
    assert advised == 1
    assert reached >= 0.75


@pytest.mark.very_slow
@pytest.mark.parametrize("apart", APART)
@pytest.mark.parametrize(
    "truth",
    [
        Truth(0.03, 0.005, 0.0, 3),
        Truth(0.03, 0.01, 0.0, 2),
        Truth(0.03, 0.01, 0.0, 3),
        Truth(0.03, 0.01, 0.0, 5),
        Truth(0.06, 0.01, 0.0, 5),
        Truth(0.06, 0.01, 0.03, 3),
        Truth(0.06, 0.01, 0.03, 5),
    ],
    ids=str,
)
def test_what_the_advice_reaches_is_as_the_docs_say(truth: Truth, apart: float) -> None:
    advised, reached, said = settled(truth, apart, 40, 150)
    print(f"{truth}, apart {apart}: advised {advised:.2f}, settled {reached:.3f}, {said}")
    assert advised >= 0.85
    assert reached >= (0.55 if truth.interaction else 0.7)  # docs/statistics.md names these weak places
