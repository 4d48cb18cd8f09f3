"""The description of the data set in a report."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from segstudy.core.quantities import counted_kinds
from segstudy.data.samples import PARTS
from segstudy.evaluation.best_iou import best_iou_text, is_low
from segstudy.reporting.publishable import publishable_texts
from segstudy.store.folder import StudyFolder

FINDINGS_SHOWN = 20


def described_data(folder: StudyFolder) -> dict[str, Any]:
    """Return the data set, its subsets and the findings of the check, for the page's section on data."""
    data: dict[str, Any] = {
        "name": "",
        "reader": "",
        "terms": "",
        "citation": "",
        "group_noun": "group",
        "samples": [],
        "findings": [],
        "leaks": [],
    }
    record = folder.data()
    data |= record.model_dump(exclude_unset=True) if record else {}
    best = record.best_iou if record else []
    return {
        **data,
        "knows_groups": knows_groups(data),
        "num_groups": len({sample["group"] for sample in data["samples"]}),
        "categories": Counter(sample["category"] for sample in data["samples"] if sample["category"]),
        "warnings": counted_kinds(f["kind"] for f in data["findings"] if f["severity"] == "warning"),
        "best_iou_texts": [
            (f"{(text := best_iou_text(each))[:1].upper()}{text[1:]}.", is_low(each)) for each in best
        ],
        "counts": Counter((finding["severity"], finding["kind"]) for finding in data["findings"]),
        "findings": [publishable_texts(finding) for finding in data["findings"][:FINDINGS_SHOWN]],
        "num_findings": len(data["findings"]),
        "splits": [(split, [len(split.ids.part(part)) for part in PARTS]) for split in folder.splits()],
    }


def knows_groups(data: Mapping[str, Any]) -> bool:
    """Whether the patient or lesion of any image is known; without one, each image is its own group."""
    return any(sample["group"] != sample["id"] for sample in data["samples"])
