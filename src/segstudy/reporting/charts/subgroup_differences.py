"""The chart of differences between configurations within subgroups of the test images."""

from collections.abc import Sequence

import altair as alt
import polars as pl

from segstudy.analysis.formatting import possible
from segstudy.analysis.subgroup_differences import SubgroupDifferences
from segstudy.reporting.charts import specs
from segstudy.reporting.charts.specs import NEUTRAL, PALETTE, ROWS, Spec, finished, with_rows

STEP_PX, WIDTH_PX, NAME_PX = 10, 640, 320
MARGIN = {**specs.MARGIN, "left": 56}  # long names in a wider font


def differences_chart(found: Sequence[SubgroupDifferences]) -> Spec:
    """Return the chart of the first configuration minus each of the others, a line for each subgroup."""
    rows = [
        {
            "subgroup": f"{each.kind}: {one.name} (n = {one.num_images})",
            "other": f"less {each.other}",
            "difference": one.difference.mean,
            "low": possible(one.difference.low) if one.has_interval else None,
            "high": possible(one.difference.high) if one.has_interval else None,
            "zero": 0.0 if each is found[0] and one is each.subgroups[0] else None,
        }
        for each in found
        for one in each.subgroups
    ]
    others = list(dict.fromkeys(str(row["other"]) for row in rows))
    subgroups = list(dict.fromkeys(str(row["subgroup"]) for row in rows))
    base = alt.Chart().encode(
        y=alt.Y("subgroup:N", sort=subgroups, title=None, axis=alt.Axis(labelLimit=NAME_PX)),
        yOffset=alt.YOffset("other:N", sort=others),
        color=alt.Color(
            "other:N",
            title=None,
            sort=others,
            scale=alt.Scale(domain=others, range=PALETTE),
            legend=alt.Legend(columns=2, columnPadding=40),
        ),
    )
    zero = alt.Chart().transform_filter("isValid(datum.zero)")
    zero = zero.mark_rule(color=NEUTRAL, strokeDash=[3, 2]).encode(x="zero:Q")
    title = f"test IoU of {found[0].first} minus that of the other"
    layers = alt.layer(
        zero,
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(
            x=alt.X("low:Q", title=title, axis=alt.Axis(tickCount=8)), x2="high:Q"
        ),
        base.mark_point(filled=True, size=40, opacity=1).encode(x="difference:Q"),
        data=alt.NamedData(ROWS),
    )
    sized = layers.properties(width=WIDTH_PX, height=alt.Step(STEP_PX), padding=MARGIN)
    return with_rows(finished(sized), pl.DataFrame(rows, infer_schema_length=None))
