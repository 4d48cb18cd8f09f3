"""The description of the data set in a report."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from segstudy.data.samples import PARTS
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
    data |= record.model_dump(exclude_unset=True) if (record := folder.data()) else {}
    return {
        **data,
        "knows_groups": knows_groups(data),
        "num_groups": len({sample["group"] for sample in data["samples"]}),
        "categories": Counter(sample["category"] for sample in data["samples"] if sample["category"]),
        "counts": Counter((finding["severity"], finding["kind"]) for finding in data["findings"]),
        "findings": [publishable_texts(finding) for finding in data["findings"][:FINDINGS_SHOWN]],
        "num_findings": len(data["findings"]),
        "splits": [(split, [len(split.ids.part(part)) for part in PARTS]) for split in folder.splits()],
    }


def knows_groups(data: Mapping[str, Any]) -> bool:
    """Whether the patient or lesion of any image is known; without one, each image is its own group."""
    return any(sample["group"] != sample["id"] for sample in data["samples"])
