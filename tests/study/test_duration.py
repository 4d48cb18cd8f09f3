"""Time to go: measured per kind of network, with the workers there are, and never from a tiny run alone."""

import pytest

from segstudy.study.duration import (
    AT_WORK,
    FINISHED,
    STEPS,
    Expected,
    Forecast,
    Measured,
    Pace,
    read_forecast,
    remaining,
    wall_seconds,
    write_forecast,
)


def forecast(workers: int = 1, **runs: tuple[str, float]) -> Forecast:
    return Forecast(
        workers=workers,
        runs={key: Expected(kind=k, seconds=s, num_epochs=10) for key, (k, s) in runs.items()},
    )


def test_runs_follow_each_other_on_the_first_worker_that_is_free():
    assert wall_seconds([4, 3, 2], workers=1) == 9
    assert wall_seconds([4, 3, 2], workers=2) == 5
    assert wall_seconds([4, 1, 1], workers=8) == 4
    assert wall_seconds([], workers=2) == 0


def test_a_tiny_finished_run_says_nothing_about_large_ones():
    large = {f"l{i}": ("large", 3600.0) for i in range(27)}
    found = remaining(forecast(t=("tiny", 0.5), **large), {"t": Measured(2.0, 1, 1)}, large)
    assert found.seconds == pytest.approx(27 * 3600, rel=0.01)
    assert found.basis == {STEPS: 27}


def test_each_kind_is_corrected_by_its_own_runs():
    ahead = forecast(a=("x", 100), b=("x", 100), c=("y", 100), d=("y", 100))
    measured = {"a": Measured(300, 1, 1), "c": Measured(100, 0.5, 0.5)}
    found = remaining(ahead, measured, ["b", "c", "d"])
    assert found.seconds == pytest.approx(300 + 0.5 * 200 + 200)
    assert found.basis == {FINISHED: 1, AT_WORK: 2}


def test_what_most_runs_show_moves_those_not_yet_tried():
    ahead = forecast(a=("x", 1000), b=("y", 1000))
    assert remaining(ahead, {"a": Measured(3000, 1, 1)}, ["b"]).seconds == pytest.approx(2818, rel=0.01)


def test_the_live_estimate_starts_at_the_first_epoch_and_corrects_itself():
    pace = Pace(forecast(a=("x", 100), b=("x", 100)), ["a", "b"], began=0.0)
    assert pace.seconds_to_go(0.0) == 200
    pace.epoch("a", 1, 20.0, now=50.0)  # the worker took 30 s to start; an epoch takes 20 s, not 10
    assert pace.seconds_to_go(50.0) == pytest.approx(9 * 20 + 200)
    assert pace.seconds_to_go(55.0) == pytest.approx(9 * 20 + 200 - 5)
    pace.epoch("a", 4, 160.0, now=190.0)  # slower since: 40 s an epoch
    assert pace.seconds_to_go(190.0) == pytest.approx(6 * 40 + 400)
    pace.ended("a", now=430.0)
    assert pace.seconds_to_go(430.0) == pytest.approx(400)
    pace.ended("b", now=830.0)
    assert pace.seconds_to_go(830.0) == 0


def test_a_run_that_goes_on_is_measured_from_where_it_goes_on():
    pace = Pace(forecast(a=("x", 100)), ["a"], began=0.0)
    pace.epoch("a", 8, 12.0, now=30.0)
    assert pace.seconds_to_go(30.0) == pytest.approx(24)
    pace.epoch("a", 9, 24.0, now=42.0)
    assert pace.seconds_to_go(42.0) == pytest.approx(12)


def test_a_forecast_is_kept_and_a_damaged_one_is_none(tmp_path):
    made = forecast(workers=2, a=("x", 100))
    write_forecast(tmp_path, made)
    assert read_forecast(tmp_path) == made
    (tmp_path / "forecast.json").write_text('{"workers": "many"}')
    assert read_forecast(tmp_path) is None
    assert read_forecast(tmp_path / "nowhere") is None
