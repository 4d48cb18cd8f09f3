"""The power of a planned study in words and tables, for the terminal and for the page."""

import textwrap
from collections.abc import Callable, Sequence

from segstudy.analysis.formatting import DASH
from segstudy.analysis.power_plan import MOST_DIFFERENCE, MOST_SEEDS, Cheapest, PlannedSize, PowerPlan
from segstudy.core.quantities import counted, duration
from segstudy.reporting.text_table import TextTable, as_text
from segstudy.stats.power import PROMISE

Cell = Callable[[PlannedSize], str]


def render(found: PowerPlan, width: int | None = None) -> str:
    """Return everything as text.

    Args:
        found: the power.
        width: characters in a line; None for as many as it takes.
    """
    texts = [
        "\n".join([*_wrapped([caption], width), as_text(table(found, cell), "", width, "--json")])
        for caption, cell in tables(found)
    ]
    begin, end = ("\n".join(_wrapped(lines, width)) for lines in (facts(found), cheapest_text(found)))
    return "\n".join([begin, "", *texts, end]).rstrip() + "\n"


def _wrapped(lines: Sequence[str], width: int | None) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, width or 10_000, break_long_words=False)]


def facts(found: PowerPlan) -> list[str]:
    """Return what the numbers mean and where they come from, in sentences."""
    sds = ", ".join(f"{name} {value:.4f}" for name, value in found.pilot.standard_deviations().items())
    lines = [
        f"Power: a true difference in test IoU of the size below is shown (95 % interval without 0) with a "
        f"probability of {round(100 * PROMISE)} %, for {found.multiplicity}.",
        f"Standard deviations: {sds}. From {found.source}.",
    ]
    if found.present is None:
        return [
            *lines,
            "This study has one seed: it cannot show any difference, because training noise is unknown.",
        ]
    return [*lines, f"This study shows {smallest_text(found.present, found)}."]


def smallest_text(size: PlannedSize, found: PowerPlan) -> str:
    """Return the smallest difference of a size in words."""
    seeds = f"{found.layout_text(size.layout)}, {counted(size.seeds, 'seed')}"
    spread = "" if found.pilot.possible is None else f" [{_number(size.low)}, {_number(size.high)}]"
    across = "" if size.across is None else f"; {_number(size.across)} for training sets like these"
    return f"{_number(size.smallest)}{spread} ({seeds}){across}"


def tables(found: PowerPlan) -> list[tuple[str, Cell]]:
    """Return the captions and cells of the tables; all have layouts as rows and seeds as columns."""
    shown: list[tuple[str, Cell]] = [
        ("Smallest difference that is shown, for the training sets of the study.", _smallest)
    ]
    if any(each.across is not None for each in found.sizes):
        shown.append(("Smallest difference that is shown for training sets like these.", _across))
    if any(each.hours is not None for each in found.sizes):
        configurations = counted(found.num_configurations, "configuration")
        at_once = "one run after the other" if found.workers == 1 else f"{found.workers} runs in parallel"
        caption = f"Hours of the whole study on this machine ({configurations}, {at_once})."
        shown.append((caption, _hours))
    return shown


def table(found: PowerPlan, cell: Cell) -> TextTable:
    """Return one of the tables."""
    seeds = list(dict.fromkeys(each.seeds for each in found.sizes))
    sizes = {(each.layout, each.seeds): each for each in found.sizes}
    rows = [
        [found.layout_text(layout), *(cell(sizes[layout, number]) for number in seeds)]
        for layout in found.layouts
    ]
    rows = [row for row in rows if set(row[1:]) != {DASH}]
    return TextTable(["images, by seeds", *map(str, seeds)], rows, (), 0)


def cheapest_text(found: PowerPlan) -> list[str]:
    """Return the cheapest sizes for the wanted difference, in sentences; none if no difference is wanted."""
    wanted = found.cheapest
    if wanted is None:
        return []
    lines = [_cheapest(found, wanted, wanted.size, "for the training sets of the study")]
    if any(each.across is not None for each in found.sizes):
        lines.append(_cheapest(found, wanted, wanted.across, "for training sets like these"))
    return lines


def _cheapest(found: PowerPlan, wanted: Cheapest, size: PlannedSize | None, answer: str) -> str:
    begin = f"To show a difference of {wanted.difference:g} {answer},"
    if size is None:
        return f"{begin} none of these is enough, with up to {MOST_SEEDS} seeds."
    hours = "" if size.hours is None else f", about {duration(size.hours * 3600)}"
    how = f"{found.layout_text(size.layout)}, {counted(size.seeds, 'seed')}"
    return f"{begin} the cheapest is {how}: {counted(size.num_runs, 'run')}{hours}."


def rows_of(found: PowerPlan, cell: Cell) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return headings and rows of one of the tables."""
    made = table(found, cell)
    return made.headings, made.rows


def _smallest(size: PlannedSize) -> str:
    return _number(size.smallest)


def _across(size: PlannedSize) -> str:
    return DASH if size.across is None else _number(size.across)


def _hours(size: PlannedSize) -> str:
    if size.hours is None:
        return DASH
    if size.hours < 0.05:
        return "< 0.1"
    return f"{size.hours:.1f}" if size.hours < 10 else f"{size.hours:.0f}"


def _number(value: float) -> str:
    return (
        f"> {MOST_DIFFERENCE:g}"
        if value > MOST_DIFFERENCE
        else f"{value:.4f}"
        if value < 0.01
        else f"{value:.3f}"
    )
