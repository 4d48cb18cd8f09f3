"""The most suspicious masks as text, CSV and JSON."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from segstudy.analysis.formatting import DASH, listed, mean, score
from segstudy.core.errors import UserError
from segstudy.core.quantities import counted
from segstudy.mask_errors.audit import MOST_EXAMINED, Audit, AuditedMask
from segstudy.mask_errors.predictions import MOST_PX
from segstudy.reporting.tables import safe_text
from segstudy.reporting.text_table import TextTable, as_text

HEADINGS = (
    "",
    "id",
    "suspicion",
    "IoU",
    "agreement",
    "second rater",
    "networks",
    "suspected",
)
LEAVE_OUT = ("networks", "agreement", "second rater", "IoU")  # on a narrow terminal, in order


def render(
    audit: Audit,
    format: str,  # noqa: A002
    number: int,
    width: int | None = None,
    folder: Path | None = None,
) -> str:
    """Return the masks as ``text`` (the first ones), ``csv`` or ``json`` (all of them).

    Args:
        audit: of a study.
        format: one of these.
        number: masks in a text.
        width: characters in a line of text; None for as many as it takes.
        folder: of the study, named where columns are left out.

    Raises:
        UserError: another format.
    """
    match format:
        case "csv":
            return safe_text(audit.table()).write_csv()
        case "json":
            return audit.table().write_json() + "\n"
        case "text":
            return _text(audit, number, width, folder)
    raise UserError(f"unknown format {format!r}: use one of text, csv, json")


def _text(audit: Audit, number: int, width: int | None, folder: Path | None) -> str:
    shown = audit.masks[:number]
    with_second = audit.second is not None
    places = [i for i, name in enumerate(HEADINGS) if name != "second rater" or with_second]
    headings = [HEADINGS[i] for i in places]
    cells = [_cells(rank, mask) for rank, mask in enumerate(shown, 1)]
    table = TextTable(
        headings=headings,
        rows=[[row[i] for i in places] for row in cells],
        leave_out=[headings.index(name) for name in LEAVE_OUT if name in headings],
        name=headings.index("id"),
    )
    where = "DIR" if folder is None else shlex.quote(str(folder))
    return as_text(table, " ".join(facts(audit, len(shown))), width, f"segstudy audit {where} --format csv")


def _cells(rank: int, mask: AuditedMask) -> list[str]:
    return [
        str(rank),
        mask.id,
        score(mask.suspicion),
        score(mask.iou),
        score(mask.agreement),
        DASH if mask.second_iou is None else score(mask.second_iou),
        str(mask.num_networks),
        suspected_text(mask),
    ]


def suspected_text(mask: AuditedMask) -> str:
    """Return the suspected kind of error; empty if there is none."""
    return f"{mask.kind} with {mask.partner}" if mask.partner else mask.kind


def _size_text(audit: Audit) -> str:
    if audit.networks.protocol.resize == "tiles":
        return f"native size, reduced to {MOST_PX} px where the longer side has more"
    return "network size"


def facts(audit: Audit, num_shown: int) -> list[str]:
    """Return sentences on what was compared, and on what was left out."""
    num_masks, networks = len(audit.masks), audit.networks
    said = [
        *([audit.warning] if audit.warning else []),
        f"The {num_shown} most suspicious of {counted(num_masks, 'mask')}."
        if num_shown < num_masks
        else f"All {counted(num_masks, 'mask')}, the most suspicious first.",
        f"IoU: of the mask with what the networks predict together, at {_size_text(audit)}. "
        + _agreement_text(audit)
        + " Suspicion: agreement x (1 - IoU).",
        f"Networks: {listed(networks.names, len(networks.names))}, {counted(len(networks.records), 'run')}; "
        "none was trained on the images that it is compared on.",
    ]
    if audit.num_untested:
        said.append(
            f"{audit.num_untested} of {counted(len(audit.samples), 'sample')} were not tested and are not "
            "ranked; a study with --folds tests every image."
        )
    if networks.left_out:
        others = ", ".join(f"{number} ({reason})" for reason, number in networks.left_out.items())
        said.append(f"Configurations not used: {others}.")
    if num_masks > MOST_EXAMINED:
        said.append(f"Kinds of errors were looked for in the first {MOST_EXAMINED} masks.")
    return [*said, *_second_rater_facts(audit)]


def _agreement_text(audit: Audit) -> str:
    """Return what agreement is; it is another thing for images that only one network tested."""
    numbers = {mask.num_networks for mask in audit.masks}
    pairs = "Agreement: mean IoU of all pairs of networks."
    alone = "the IoU that its probabilities promise, a weaker sign: a second configuration or seed helps."
    if numbers == {1}:
        return f"Agreement: one network tested each image, so this is {alone}"
    return pairs if 1 not in numbers else f"{pairs} Of images that one network tested, {alone}"


def _second_rater_facts(audit: Audit) -> Sequence[str]:
    if audit.second is None:
        return ()
    found = audit.second
    beside = "; ".join(f"{name} {mean(each)}" for name, each in found.models.items())
    missing = (
        f" {counted(found.num_missing, 'tested image')} without a second mask left out."
        if found.num_missing
        else ""
    )
    return (
        f"Second rater ({found.folder}): mean IoU of both raters {mean(found.interval)} on "
        f"{counted(len(found.ious), 'image')}; networks with the first rater on the same images: "
        f"{beside or 'not all of them tested there'}.{missing}",
    )
