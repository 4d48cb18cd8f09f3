"""The data set, its subsets and the findings of the check."""

from dataclasses import dataclass
from typing import Any

from segstudy.analysis.formatting import DASH
from segstudy.core.palette import colour_of
from segstudy.core.quantities import percent
from segstudy.reporting.sections.base import ReportData


@dataclass(frozen=True, slots=True)
class DescribedClass:
    """A class of the data set, as text.

    Attributes:
        name, colour: of the class.
        values: its mask values; empty if it has masks of its own.
        share: of all mask pixels that count.
        num_masks: that hold it.
    """

    name: str
    colour: str
    values: str
    share: str
    num_masks: str


def values(report: ReportData) -> dict[str, Any]:
    """Return the values of ``data.html.j2``."""
    outputs = report.results.outputs
    shares = {each["name"]: each for each in report.data.get("class_shares", [])}
    values = {each.name: each.values for each in report.study.protocol.mask_classes()}
    classes = [
        DescribedClass(
            name,
            colour_of(number, is_background=number not in outputs.scored),
            " or ".join(map(str, values[name])),
            percent(shares[name]["pixel_frac"], 1) if name in shares else DASH,
            f"{shares[name]['num_masks']:,}" if name in shares else DASH,
        )
        for number, name in enumerate(outputs.names)
        if outputs.task != "binary"
    ]
    return {"data": report.data, "classes": classes, "ignored": report.study.protocol.ignore or ()}
