"""Options of `plan --power`, and its output."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

import segstudy
from segstudy.cli.terminal import problems, say, width
from segstudy.core.errors import UserError

if TYPE_CHECKING:
    from segstudy.config.runs import Run
    from segstudy.study.estimate import Estimate
    from segstudy.study.machine import Machine
    from segstudy.study.plan import Plan


@Parameter(name="*")
@dataclass(frozen=True)
class PowerFlags:
    """The power of the planned study: all but the first option need it."""

    power: Annotated[
        bool, Parameter(help="Also print the smallest differences that such studies can show.", negative=())
    ] = False
    pilot: Annotated[
        Path | None,
        Parameter(help="A finished study with two or more seeds: its variances are used, not those of PH2."),
    ] = None
    sd: Annotated[
        str | None,
        Parameter(help="Standard deviations instead: image=.03,seed=.007,residual=.05,training_set=.004."),
    ] = None
    difference: Annotated[
        float | None, Parameter(help="A difference of IoU: the cheapest study that shows it is searched.")
    ] = None
    html: Annotated[
        Path | None, Parameter(help="A page to write, with the chart as SVG and PNG beside it.")
    ] = None
    json: Annotated[bool, Parameter(help="Print the power as JSON, and nothing else.", negative=())] = False

    def checked(self) -> Mapping[str, float]:
        """Refuse wrong values before anything is timed; return the standard deviations.

        Raises:
            UserError: a wrong value, or an option that needs ``--power``.
        """
        others = ("pilot", "sd", "difference", "html", "json")
        given = [name for name in others if getattr(self, name) not in (None, False)]
        if given and not self.power:
            raise UserError(f"--{given[0]} needs --power")
        if not self.power:
            return {}
        from segstudy.analysis.power_plan import refuse_values  # what a plan without power does without

        sds = _standard_deviations(self.sd or "")
        refuse_values(sds, self.difference)
        if self.html is not None:
            from segstudy.reporting.power_page import refuse_page  # charts

            refuse_page(self.html)
        if self.pilot is not None:
            from segstudy.study.power import refuse_pilot  # PyTorch

            refuse_pilot(self.pilot)
        return sds


def print_power(
    planned: "tuple[Plan, list[Run], Estimate, Machine]",
    flags: PowerFlags,
    sds: Mapping[str, float],
    study: Path | None,
) -> None:
    """Print the power of a planned study, and write its page.

    Args:
        planned: from ``segstudy.plan``.
        flags: of the command.
        sds: from ``PowerFlags.checked``.
        study: the first argument of the command: a study's folder may be its own pilot.
    """
    from segstudy.reporting.power_text import render  # what `--help` does without
    from segstudy.study.power import is_pilot  # PyTorch

    pilot = flags.pilot or (study if study is not None and is_pilot(study) else None)
    found = segstudy.power(planned, pilot=pilot, sd=sds, difference=flags.difference, html=flags.html)
    if flags.json:
        sys.stdout.write(json.dumps(found.as_dict(), indent=1) + "\n")
    else:
        sys.stdout.write("\n" + render(found, width()))
    if flags.html is not None:
        say(f"{flags.html}: the page, with the chart as {flags.html.stem}.svg and .png beside it", problems)


def _standard_deviations(text: str) -> dict[str, float]:
    """Read ``image=.03,seed=.007``.

    Raises:
        UserError: another form.
    """
    found = {}
    for part in filter(None, text.split(",")):
        name, _, value = (each.strip() for each in part.partition("="))
        try:
            number = float(value)
        except ValueError:
            raise UserError(f"--sd {part}: must have the form name=value, such as seed=.007") from None
        found[name.replace("-", "_")] = number
    return found
