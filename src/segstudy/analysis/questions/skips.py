"""Question 1: SegNet, U-Net without skip connections and U-Net."""

from collections.abc import Sequence

from segstudy.analysis.contrasts import adjusted, contrast
from segstudy.analysis.design import level, levels
from segstudy.analysis.formatting import listed
from segstudy.analysis.questions.answer import Answer, Table, contrast_table, contrast_text
from segstudy.analysis.results import Results
from segstudy.core.quantities import counted
from segstudy.models import MODELS, known_model


def skip_connections(results: Results) -> Answer:
    """Question 1: SegNet, U-Net without skips and U-Net, on the losses and batch sizes they share."""
    question = "Do skip connections help?"
    trained = levels(results, "architecture")
    variants = _variants(trained)
    asked = [each for some in variants for each in some]
    there = [each for each in asked if each in trained]
    left_out = _left_out(trained)
    if len(there) < 2:
        return Answer(question, (f"Not asked here: it takes two of {listed(asked)}.", *left_out))
    pairs = [(a, b) for i, b in enumerate(there) for a in there[i + 1 :]]
    each = [contrast(results, "architecture", [a], [b], (a, b)) for a, b in reversed(pairs)]
    found = adjusted([c for c in each if c is not None])
    if not found:
        return Answer(question, ("Not answered: no two of them share a loss and a batch size.", *left_out))
    clean = [c for c in found if any({c.left, c.right} <= some for some in map(set, variants))]
    sentences = [contrast_text(c) for c in clean or found[:1]]
    if not clean:
        missing = [each for some in variants if len(some) > 1 for each in some if each not in there]
        remedy = f"; --architecture {missing[0]} separates them" if missing else ""
        sentences.append(
            f"{found[0].left} and {found[0].right} differ in more than skip connections{remedy}."
        )
    tables = (contrast_table(found), _parameters(results, there))
    return Answer(question, (*sentences, *left_out), tables)


def _variants(architectures: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the spellings to compare, by model: ours, and those of the plug-ins that were trained."""
    models = [*MODELS.values(), *filter(None, map(known_model, architectures))]
    return list(dict.fromkeys(model.skips_compared for model in models if model.skips_compared))


def _left_out(architectures: Sequence[str]) -> list[str]:
    """Return a sentence on those of which no record says how they take part, if there are any."""
    models = {each: known_model(each) for each in architectures}
    names = [each for each, model in models.items() if model is None or model.skips_compared is None]
    if not names:
        return []
    are, it = ("is", "its record does") if len(names) == 1 else ("are", "their records do")
    return [
        f"{counted(len(names), 'architecture')} {are} left out, because {it} not say what to compare: "
        f"{listed(names)}."
    ]


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
