"""A plan of the power of a study, with the assumed variances and hours that follow from the runs."""

from segstudy.analysis.power_plan import PH2, SEEDS, Layout, PowerPlan, Sizer, pilot_of

SPLIT, FOUR, TWICE = Layout(0, 1, 50), Layout(4, 1, 200), Layout(0, 1, 100, 2)


def hours(layout: Layout, seeds: int) -> float:
    return 0.1 * layout.design(seeds).runs


def planned(configurations: int, difference: float | None = None) -> PowerPlan:
    sizer = Sizer(pilot_of(PH2), configurations, hours)
    layouts = [SPLIT, FOUR, TWICE]
    return PowerPlan(
        name="a study",
        num_configurations=configurations,
        unit="test image",
        source="here",
        pilot=sizer.pilot,
        present=sizer.size(SPLIT, 3),
        sizes=tuple(sizer.size(layout, seeds) for layout in layouts for seeds in SEEDS),
        cheapest=None if difference is None else sizer.cheapest(layouts, difference),
    )
