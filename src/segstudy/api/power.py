"""The power of a planned study: ``segstudy.power(segstudy.plan(...))`` is `segstudy plan --power`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from segstudy.core.arguments import checked_call

if TYPE_CHECKING:
    from segstudy.analysis.power_plan import PowerPlan
    from segstudy.config.runs import Run
    from segstudy.study.estimate import Estimate
    from segstudy.study.machine import Machine
    from segstudy.study.plan import Plan


@checked_call
def power(
    planned: "tuple[Plan, list[Run], Estimate, Machine]",
    *,
    pilot: str | Path | None = None,
    sd: Mapping[str, float] | None = None,
    difference: float | None = None,
    html: str | Path | None = None,
) -> "PowerPlan":
    """Return the smallest differences that a planned study, and studies of other sizes, can show.

    Args:
        planned: what ``segstudy.plan`` returned.
        pilot: the folder of a finished study with two or more seeds, which gives the variances; left out,
            they are those of PH2.
        sd: standard deviations instead: ``image``, ``seed``, ``residual`` and ``training_set``.
        difference: of IoU that should be shown: the cheapest size is searched.
        html: a page to write, with the chart as SVG and PNG beside it.

    Raises:
        UserError: a wrong value, a pilot that cannot be one, or a page that cannot be written.
    """
    from segstudy.reporting.power_page import refuse_page, write_power_page  # charts
    from segstudy.study.power import power_plan  # PyTorch

    if html is not None:
        refuse_page(Path(html))
    made, _, ahead, machine = planned
    found = power_plan(made, ahead, machine, None if pilot is None else Path(pilot), sd or {}, difference)
    if html is not None:
        write_power_page(found, Path(html))
    return found
