"""The data set, its subsets and the findings of the check."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from segstudy.analysis.formatting import DASH
from segstudy.config.check_command import check_command
from segstudy.core.palette import colour_of
from segstudy.core.quantities import percent
from segstudy.core.synthetic import is_synthetic
from segstudy.data.class_findings import class_name
from segstudy.data.samples import PARTS
from segstudy.data.split import Split
from segstudy.reporting.sections.base import ReportData


@dataclass(frozen=True, slots=True)
class DescribedClass:
    """A class of the data set, as text.

    Attributes:
        name, colour: of the class.
        values: its mask values; empty if it has masks of its own.
        share: of all mask pixels that count.
        num_masks: that hold it.
        in_parts: of those, the number in training, validation and test; the fewest and the most, as ``3–5``,
            where there are several splits.
    """

    name: str
    colour: str
    values: str
    share: str
    num_masks: str
    in_parts: tuple[str, ...]


def values(report: ReportData) -> dict[str, Any]:
    """Return the values of ``data.html.j2``."""
    outputs, meaning = report.results.outputs, report.study.protocol.mask_meaning()
    splits = [split.ids for split, _ in report.data["splits"]]
    without = report.data.get("without_foreground", {})
    shares = {each["name"]: each for each in report.data.get("class_shares", [])}
    values = {each.name: each.values for each in report.study.protocol.mask_classes()}
    classes = [
        DescribedClass(
            name,
            colour_of(number, is_background=number not in outputs.scored),
            " or ".join(map(str, values[name])),
            percent(shares[name]["pixel_frac"], 1) if name in shares else DASH,
            f"{shares[name]['num_masks']:,}" if name in shares else DASH,
            in_parts(splits, without.get(class_name(meaning, name))),
        )
        for number, name in enumerate(outputs.names)
        if outputs.task != "binary"
    ]
    data = report.study.data
    return {
        "data": report.data,
        "classes": classes,
        "ignored": report.study.protocol.ignore or (),
        "check": check_command(report.study, data if is_synthetic(data) else "DATA"),
    }


def in_parts(splits: Sequence[Split], without: Collection[str] | None) -> tuple[str, ...]:
    """Return how many masks of each subset hold a class, as text.

    Args:
        splits: of the study.
        without: ids of the samples whose mask lacks it; None if they are not known.
    """
    if without is None:
        return tuple(DASH for _ in PARTS)
    found = []
    for part in PARTS:
        numbers = [len(set(split.part(part)) - set(without)) for split in splits]
        low, high = min(numbers, default=0), max(numbers, default=0)
        found.append(f"{low:,}" if low == high else f"{low:,}–{high:,}")
    return tuple(found)
