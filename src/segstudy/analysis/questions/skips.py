"""Question 1: SegNet, U-Net without skip connections and U-Net."""

from collections.abc import Sequence

from segstudy.analysis.contrasts import adjusted, contrast
from segstudy.analysis.design import level, levels
from segstudy.analysis.formatting import listed
from segstudy.analysis.questions.answer import Answer, Table, contrast_table, contrast_text
from segstudy.analysis.results import Results
from segstudy.models import MODELS


def skip_connections(results: Results) -> Answer:
    """Question 1: SegNet, U-Net without skips and U-Net, on the losses and batch sizes they share."""
    question = "Do skip connections help?"
    asked = [spelling for model in MODELS.values() for spelling in model.skips_compared]
    there = [each for each in asked if each in levels(results, "architecture")]
    if len(there) < 2:
        return Answer(question, (f"Not asked here: it takes two of {listed(asked)}.",))
    pairs = [(a, b) for i, b in enumerate(there) for a in there[i + 1 :]]
    each = [contrast(results, "architecture", [a], [b], (a, b)) for a, b in reversed(pairs)]
    found = adjusted([c for c in each if c is not None])
    if not found:
        return Answer(question, ("Not answered: no two of them share a loss and a batch size.",))
    clean = [c for c in found if {c.left, c.right} == {"unet", "unet:skips=false"}]
    sentences = [contrast_text(c) for c in clean or found[:1]]
    if not clean:
        sentences.append(
            "SegNet and U-Net differ in more than skip connections; --architecture unet:skips=false "
            "separates them."
        )
    return Answer(question, tuple(sentences), (contrast_table(found), _parameters(results, there)))


def _parameters(results: Results, architectures: Sequence[str]) -> Table:
    rows = []
    for architecture in architectures:
        row = next(
            row
            for row in results.trained
            if level(row, "architecture") == architecture and results.complete(row.name)
        )
        macs = row.records[0].cost.get("num_macs")
        rows.append(
            (
                architecture,
                f"{row.records[0].num_parameters / 1e6:.2f} M",
                "–" if macs is None else f"{macs / 1e6:.0f} M",
            )
        )
    return Table(("", "parameters", "multiply-adds per image"), tuple(rows))
