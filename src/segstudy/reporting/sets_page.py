"""The page of a comparison over data sets, in the style of the report."""

from pathlib import Path

from markupsafe import Markup

from segstudy.analysis.compare_sets import SetsComparison
from segstudy.analysis.formatting import interval, mean, p_value, score, signed
from segstudy.analysis.sets_text import answers, facts
from segstudy.core.atomic_files import write_text
from segstudy.core.version import __version__
from segstudy.reporting.charts import data_sets, ranks, specs
from segstudy.reporting.charts.renderer import NOT_RENDERED, can_draw
from segstudy.reporting.own_pages import refuse_place
from segstudy.reporting.rendering import ENVIRONMENT
from segstudy.reporting.sets_table import CAPTION, HEADINGS, cells

GENERATOR = "segstudy compare-sets"


def write_sets_page(found: SetsComparison, file: Path) -> None:
    """Write the page; a page of this kind is replaced.

    Args:
        found: what was compared.
        file: to write.

    Raises:
        UserError: another file, or one that cannot be written.
    """
    refuse_place(file, GENERATOR, "--out")
    first, *others = answers(found)
    text = ENVIRONMENT.get_template("sets.html.j2").render(
        generator=GENERATOR,
        version=__version__,
        found=found,
        first=first,
        others=others,
        facts=facts(found),
        caption=CAPTION,
        headings=HEADINGS,
        best=[min(found.rows, key=lambda row: row.losses.per_set[k]) for k in range(len(found.set_names))],
        rows=[cells(found, i)[: len(HEADINGS)] for i in range(len(found.rows))],
        differences=_chart(data_sets.differences(list(found.against_top.values()), found.set_names), "sets"),
        ranks=_ranks(found),
        interval=interval,
        mean=mean,
        p_value=p_value,
        score=score,
        signed=signed,
    )
    write_text(file, text)


def _ranks(found: SetsComparison) -> Markup | None:
    if found.ranking is None:
        return None
    names = [row.name for row in found.rows]
    return _chart(ranks.critical_difference(found.ranking, names, "data sets"), "ranks")


def _chart(spec: specs.Spec, name: str) -> Markup:
    text = specs.inline(specs.svg(spec, name)) if can_draw() else NOT_RENDERED
    return Markup(text)  # noqa: S704  escaped by Vega
