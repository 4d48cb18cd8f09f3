"""Factor effects against statsmodels' and scipy's own, and on simulated factorials."""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.formula.api as smf
from simulated import Truth
from simulated import scores as simulated_scores
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multicomp import pairwise_tukeyhsd

from segstudy.stats.comparisons import Difference, difference
from segstudy.stats.factors import factorial, for_all_pairs, noncentral_f

RNG = np.random.default_rng(0)


def runs(num_seeds: int, **factors: list[str]) -> dict[str, list[str]]:
    """The levels of every run of a full factorial."""
    points = [point for point in itertools.product(*factors.values()) for _ in range(num_seeds)]
    return {name: [point[i] for point in points] for i, name in enumerate(factors)}


ARCHITECTURES, LOSSES = ["segnet", "unet", "unet2"], ["bce", "dice", "tversky"]


def test_the_factor_that_moves_the_score_is_found_and_the_other_is_not() -> None:
    levels = runs(5, architecture=ARCHITECTURES, loss=LOSSES)
    scores = [0.05 * (a == "segnet") + RNG.normal(0.8, 0.01) for a in levels["architecture"]]
    found = factorial(scores, levels)
    by_name = {effect.factors: effect for effect in found.effects}
    assert set(by_name) == {("architecture",), ("loss",), ("architecture", "loss")}
    assert by_name["architecture",].p < 1e-6
    assert by_name["architecture",].omega_squared > 0.5
    assert by_name["architecture",].low > 0.3
    assert by_name["loss",].p > 0.01
    assert by_name["loss",].low == 0
    differing = {(d.a, d.b) for d in found.differences["architecture"] if d.p < 0.05}
    assert differing == {("segnet", "unet"), ("segnet", "unet2")}
    assert [m.level for m in found.means["loss"]] == LOSSES


def test_an_interaction_is_found() -> None:
    levels = runs(5, architecture=["a", "b"], loss=["c", "d"])
    pairs = zip(levels["architecture"], levels["loss"], strict=True)
    scores = [0.05 * ((a == "a") == (loss == "c")) + RNG.normal(0.8, 0.01) for a, loss in pairs]
    by_name = {effect.factors: effect.p for effect in factorial(scores, levels).effects}
    assert by_name["architecture", "loss"] < 1e-6
    assert min(by_name["architecture",], by_name["loss",]) > 0.01


def test_levels_of_a_single_factor_differ_as_by_games_and_howell() -> None:
    levels = runs(6, loss=LOSSES)
    sd = {"bce": 0.01, "dice": 0.01, "tversky": 0.03}
    scores = [RNG.normal(0.8 + 0.02 * (loss == "dice"), sd[loss]) for loss in levels["loss"]]
    theirs = pairwise_tukeyhsd(scores, levels["loss"], use_var="unequal").pvalues
    ours = [d.p for d in factorial(scores, levels).differences["loss"]]
    assert ours == pytest.approx(theirs.tolist(), abs=1e-6)


def test_with_equal_variances_f_is_that_of_statsmodels() -> None:
    """Where every combination scatters alike, the statistic and its degrees of freedom are the classical."""
    levels = runs(4, architecture=ARCHITECTURES, loss=LOSSES)
    noise = np.array([-0.02, -0.005, 0.005, 0.02])
    combination_means = RNG.normal(0.8, 0.02, 9)
    scores = (combination_means[:, None] + noise).ravel()
    frame = pd.DataFrame(levels | {"y": scores})
    table = anova_lm(smf.ols("y ~ C(architecture) * C(loss)", frame).fit(), typ=2)
    found = factorial(scores, levels).effects
    assert [e.f for e in found] == pytest.approx(table["F"].dropna().tolist())
    assert [e.df for e in found] == pytest.approx([2, 2, 4])
    assert [e.df_residual for e in found] == pytest.approx([27, 27, 27])


def test_a_levels_interval_is_the_t_interval_of_its_runs_where_it_is_alone() -> None:
    levels = runs(6, loss=LOSSES)
    scores = RNG.normal(0.8, 0.02, 18)
    found = factorial(scores, levels).means["loss"][1]
    interval = scipy.stats.ttest_1samp(scores[6:12], 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_a_single_seed_is_described_only() -> None:
    levels = runs(1, architecture=ARCHITECTURES, loss=LOSSES)
    found = factorial(RNG.normal(0.8, 0.01, 9), levels)
    assert found.effects == ()
    assert found.differences == {"architecture": (), "loss": ()}
    assert {m.low for m in found.means["loss"]} == {None}


def test_runs_without_any_noise_have_no_test() -> None:
    found = factorial([0.5] * 12, runs(3, architecture=["a", "b"], loss=["c", "d"]))
    assert found.effects == ()
    assert {d.p for d in found.differences["loss"]} == {1.0}


def test_partial_eta_squared_lies_in_its_interval() -> None:
    levels = runs(5, architecture=ARCHITECTURES, loss=LOSSES)
    for _ in range(10):
        for effect in factorial(RNG.normal(0.8, 0.02, 45), levels).effects:
            eta = effect.f * effect.df / (effect.f * effect.df + effect.df_residual)
            assert 0 <= effect.low <= effect.high <= 1
            assert effect.low <= eta + 1e-9


@pytest.mark.parametrize(
    ("wild", "num_studies"),
    [pytest.param(wild, 300, marks=pytest.mark.slow) for wild in (0.006, 0.03)],
)
def test_the_level_holds_also_when_one_loss_scatters_five_times_as_much(
    wild: float, num_studies: int
) -> None:
    """Main effects, interaction and pairs of levels of equal configurations: at most 7 % are called real."""
    levels = runs(5, architecture=["a", "b", "c", "d"], loss=["bce", "focal", "dice", "tversky", "combo"])
    sd = np.array([wild if loss == "tversky" else 0.006 for loss in levels["loss"]])
    rng, p_values = np.random.default_rng(1), []
    for _ in range(num_studies):
        found = factorial(rng.normal(0, sd), levels)
        p_values.append([e.p for e in found.effects] + [min(d.p for d in found.differences["loss"])])
    assert ((np.array(p_values) < 0.05).mean(0) <= 0.07).all()


@pytest.mark.slow
def test_an_effect_of_many_levels_has_an_interval() -> None:
    """scipy's noncentral F distribution has no value there: the report of such a study once failed."""
    levels = runs(5, architecture=ARCHITECTURES[:2], loss=LOSSES, batch_size=[str(n) for n in range(20)])
    shift = {size: 0.02 * n for n, size in enumerate(dict.fromkeys(levels["batch_size"]))}
    found = factorial([shift[size] + RNG.normal(0.8, 0.01) for size in levels["batch_size"]], levels)
    by_name = {effect.factors: effect for effect in found.effects}
    effect = by_name["batch_size",]
    assert 0.98 < effect.low < effect.high < 1


def test_thenoncentral_f_distribution_agrees_with_scipys_where_that_has_a_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    points = [tuple(np.exp(rng.uniform((-2, 0, 1, -2), (6, 6, 9, 9)))) for _ in range(300)]
    theirs = [float(scipy.stats.ncf.cdf(*point)) for point in points]
    monkeypatch.setattr(scipy.stats.ncf, "cdf", lambda *_: np.nan)
    ours = [noncentral_f(*point) for point in points]
    known = ~np.isnan(theirs)
    assert known.mean() > 0.9
    assert np.array(ours)[known] == pytest.approx(np.array(theirs)[known], abs=1e-9)
    assert np.isfinite(ours).all()


def two_of(num_levels: int, apart: float, num_seeds: int = 4) -> tuple[Difference, Difference]:
    """A difference of two levels by itself, and for all pairs of as many levels."""
    rng = np.random.default_rng(3)
    sides = [
        rng.normal(mean, 0.01, (num_seeds, 1)) + rng.normal(0, 0.03, (num_seeds, 30)) for mean in (apart, 0)
    ]
    found = difference(*sides)
    return found, for_all_pairs(found, num_levels)


def test_two_levels_are_one_pair() -> None:
    alone, together = two_of(2, 0.02)
    assert alone == together


@pytest.mark.parametrize("num_levels", [3, 5])
@pytest.mark.parametrize("apart", [0.0, 0.02, 0.03, 0.2])
def test_of_several_levels_interval_and_p_value_are_wider_and_agree(num_levels: int, apart: float) -> None:
    alone, together = two_of(num_levels, apart)
    assert (together.low + together.high) / 2 == pytest.approx(alone.mean)
    assert together.high - together.low > alone.high - alone.low
    assert together.p >= alone.p
    assert (together.p < 0.05) == (together.low > 0 or together.high < 0)
    assert (together.conclusion in ("a", "b")) == (together.p < 0.05)


def test_many_runs_give_tukeys_range() -> None:
    """With many runs, the half width is that of the studentized range in units of the standard error."""
    alone, together = two_of(4, 0.01, num_seeds=200)
    quantile = scipy.stats.studentized_range.ppf(0.95, 4, np.inf) / np.sqrt(2)
    assert (together.high - together.low) / 2 / alone.standard_error == pytest.approx(quantile, rel=0.1)


def test_a_pair_without_training_noise_stays_as_it_is() -> None:
    alone, together = two_of(5, 0.1, num_seeds=1)
    assert alone == together
    assert together.conclusion == "training noise not measured"


EVERYWHERE = [{0, 1}, {0, 1}, {0, 1}]
IN_PARTS = [{0, 1}, {0, 1, 2}, {1, 2}]  # the settings in which each level was tried


@pytest.mark.slow
@pytest.mark.parametrize(
    "tried", [EVERYWHERE, IN_PARTS, [{0}] * 5], ids=["everywhere", "in parts", "5 levels"]
)
@pytest.mark.parametrize("wild", [1, 4])
@pytest.mark.parametrize(
    "truth", [Truth(0.03, 0.005, 0.0, 3), Truth(0.03, 0.02, 0.03, 3), Truth(0.03, 0.02, 0.0, 5)], ids=str
)
def test_of_equal_levels_any_pair_is_called_different_in_at_most_7_percent(
    truth: Truth, wild: float, tried: list[set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one level scatters more, and where levels were tried in different settings."""
    monkeypatch.setattr(
        scipy.stats.studentized_range, "sf", lambda *_: 1.0
    )  # slow; the intervals decide here
    rng, num_studies, wrong = np.random.default_rng(1), 500, 0
    places = [(level, setting) for level, settings in enumerate(tried) for setting in sorted(settings)]
    sds = [truth.seed * (wild if level == 0 else 1) for level, _ in places]
    for _ in range(num_studies):
        runs = [rng.normal(0, sd, truth.num_seeds) for sd in sds]
        found = dict(zip(places, simulated_scores(rng, truth, [0.0] * len(places), runs), strict=True))
        pairs = []
        for a, b in itertools.combinations(range(len(tried)), 2):
            sides = [np.mean([found[x, setting] for setting in tried[a] & tried[b]], axis=0) for x in (a, b)]
            pairs.append(for_all_pairs(difference(*sides), len(tried)))
        wrong += any(d.low > 0 or d.high < 0 for d in pairs)
    print(f"{truth}, the first level {wild} x, {tried}: {wrong / num_studies:.3f}")
    assert wrong <= 0.07 * num_studies
