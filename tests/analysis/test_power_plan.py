"""The power of studies of several sizes: the cheapest size, and where the variances come from."""

import json
import math
from dataclasses import replace

import pytest
from places import ROOT
from planned_power import FOUR, SPLIT, TWICE, hours, planned

from segstudy.analysis.power_plan import ACROSS, PH2, SEEDS, Sizer, pilot_of, refuse_values
from segstudy.analysis.results import gather
from segstudy.core.errors import UserError
from segstudy.stats.power_pilot import pilot
from segstudy.store.folder import StudyFolder


def test_the_assumed_variances_are_those_of_the_study_in_docs() -> None:
    """Of training sets its differences show less than assumed; its single configurations show as much."""
    results = gather(StudyFolder(ROOT / "docs" / "results" / "ph2-64px-repeated-folds"))
    scores = [found for row in results.trained if (found := results.runs_of_units(row.name)) is not None]
    found = pilot(scores).standard_deviations()
    for name in ("image", "seed", "residual"):
        assert found[name] == pytest.approx(PH2[name], abs=0.0005)
    assert found["training_set"] <= PH2["training_set"]


def test_the_cheapest_size_shows_the_difference_and_one_seed_less_does_not() -> None:
    found = planned(2, 0.012).cheapest
    assert found is not None
    assert found.size is not None
    assert found.size.smallest <= 0.012
    sizer = Sizer(pilot_of(PH2), 2, hours)
    assert sizer.size(found.size.layout, found.size.seeds - 1).smallest > 0.012
    assert found.size.hours == min(
        size.hours or math.inf
        for layout in (SPLIT, FOUR)
        for seeds in range(2, 12)
        if (size := sizer.size(layout, seeds)).smallest <= 0.012
    )


def test_more_images_are_only_proposed_if_those_of_the_study_are_too_few() -> None:
    sizer = Sizer(pilot_of(PH2), 2, hours)
    enough = sizer.cheapest([SPLIT, TWICE], 0.03).size
    assert enough is not None
    assert enough.layout == SPLIT
    more = sizer.cheapest([SPLIT, TWICE], 0.015).size
    assert more is not None
    assert more.layout == TWICE
    assert sizer.cheapest([SPLIT, TWICE], 0.001).size is None
    assert sizer.cheapest([SPLIT, TWICE], 0.03).across is None


def test_where_hours_are_unknown_the_fewest_runs_are_the_cheapest() -> None:
    known = {TWICE: 3.0}
    sizer = Sizer(pilot_of(PH2), 2, lambda layout, _: known.get(layout))
    same = replace(TWICE, times_images=1)
    assert sizer.cheapest([same, SPLIT], 0.03).size.layout == same  # fewer seeds
    sizer = Sizer(pilot_of(PH2), 2, lambda layout, _: 3.0 if layout == SPLIT else None)
    assert sizer.cheapest([same, SPLIT], 0.03).size.layout == SPLIT  # unknown hours are not no hours


def test_the_number_of_configurations_decides_what_is_compared() -> None:
    one, all_pairs = planned(2), planned(5)
    assert one.multiplicity == "one pair of configurations, chosen beforehand"
    assert all_pairs.multiplicity == "all pairs of 5 configurations together (studentized range)"
    for ours, theirs in zip(one.sizes, all_pairs.sizes, strict=True):
        assert ours.smallest < theirs.smallest


def test_json_holds_every_size_and_no_infinite_number() -> None:
    large = pilot_of({**PH2, "seed": 0.3})
    sizer = Sizer(large, 30, hours)
    size = sizer.size(SPLIT, 2)
    assert size.smallest == math.inf
    assert size.as_dict()["smallest_difference"] is None  # above 1
    assert ACROSS not in size.as_dict()  # without folds nothing is known of other training sets
    assert sizer.size(FOUR, 2).as_dict()[ACROSS] is None
    found = planned(3, 0.02).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert len(found["sizes"]) == 3 * len(SEEDS)
    assert found["probability"] == 0.8


@pytest.mark.parametrize(
    ("sds", "difference", "said"),
    [
        ({"images": 0.1}, None, "--sd has no 'images'.*image"),
        ({"seed": -0.1}, None, "--sd seed must be from 0 to 1, got -0.1"),
        ({"seed": math.nan}, None, "--sd seed must be from 0 to 1, got nan"),
        ({}, 0.0, "--difference must be between 0 and 1, got 0"),
        ({}, 1.0, "--difference must be between 0 and 1, got 1"),
    ],
)
def test_wrong_values_are_refused(sds: dict[str, float], difference: float | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        refuse_values(sds, difference)
