"""The page of a planned study's power: chart and tables; the chart also as SVG and PNG beside it."""

from pathlib import Path

from markupsafe import Markup

from segstudy.analysis.power_plan import PowerPlan
from segstudy.core.atomic_files import write_text
from segstudy.core.errors import UserError
from segstudy.core.version import __version__
from segstudy.reporting.charts.power import power_chart
from segstudy.reporting.charts.specs import inline, save
from segstudy.reporting.own_pages import refuse_place
from segstudy.reporting.power_text import cheapest_text, facts, rows_of, tables
from segstudy.reporting.rendering import ENVIRONMENT

GENERATOR = "segstudy plan"


def refuse_page(file: Path) -> None:
    """Stop where the page or its pictures could not be written.

    Raises:
        UserError: no HTML file, a folder that is not there, or files that are not from an earlier page.
    """
    refuse_place(file, GENERATOR)
    for kind in (".svg", ".png"):
        if file.with_suffix(kind).exists() and not file.exists():
            raise UserError(f"{file.with_suffix(kind)}: is there already; give the page another name")


def write_power_page(found: PowerPlan, file: Path) -> None:
    """Write the page and its pictures."""
    picture = save(power_chart(found), file.with_suffix(""))
    text = ENVIRONMENT.get_template("power.html.j2").render(
        generator=GENERATOR,
        version=__version__,
        name=found.name,
        facts=[*facts(found), *cheapest_text(found)],
        chart=Markup(inline(picture)),  # noqa: S704 (made here)
        picture=file.with_suffix("").name,
        tables=[(caption, *rows_of(found, cell)) for caption, cell in tables(found)],
    )
    write_text(file, text)
