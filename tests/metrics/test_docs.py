"""The table of metrics in docs/data.md is the one of METRICS."""

import re
from pathlib import Path

from segstudy.metrics import METRICS

DATA = Path(__file__).parents[2] / "docs" / "data.md"


def test_the_docs_list_every_metric_with_its_sizes_and_its_direction() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \| (higher|lower) \| .+ \|$", DATA.read_text("utf-8"), re.M)
    expected = [
        (name, ", ".join(each.sizes), "higher" if each.higher_is_better else "lower")
        for name, each in METRICS.items()
    ]
    assert rows == expected
