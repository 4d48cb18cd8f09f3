"""Question 3: which family of losses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # scipy.stats is imported at its first use: it takes half a second
from numpy.typing import NDArray

from segstudy.analysis.contrasts import Contrast, adjusted, contrast
from segstudy.analysis.design import Names, levels, matched
from segstudy.analysis.formatting import listed, mean, p_value
from segstudy.analysis.questions.answer import Answer, Table, contrast_table, contrast_text
from segstudy.analysis.results import Results, pooled_runs
from segstudy.core.quantities import counted
from segstudy.losses import FAMILIES, family
from segstudy.stats.intervals import LEVEL, joined, score_interval


def loss_families(results: Results) -> Answer:
    """Question 3: distribution, region, boundary or combined losses; which is best, which steadiest."""
    there = levels(results, "loss")
    question = _question(there)
    if len(there) < 2:
        return Answer(question, (f"Not asked here: the only loss is {there[0]}.",))
    names = matched(results, "loss", there)
    if not names[there[0]]:
        return Answer(question, ("Not answered: no architecture and batch size come with all losses.",))
    contrasts = _family_contrasts(results, there)
    steady = [_steadiness(results, loss, names[loss]) for loss in there]
    tables = [_loss_table(results, names, steady)]
    return Answer(
        question,
        (*_best_family(contrasts, there), *_steadiest(results, names, steady)),
        tuple(tables + ([contrast_table(contrasts)] if contrasts else [])),
    )


def _families(losses: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for loss in losses:
        if of := family(loss):
            found.setdefault(of, []).append(loss)
    return {each: found[each] for each in FAMILIES if each in found}


def _question(losses: Iterable[str]) -> str:
    """The question as the original study put it, unless there are losses of further kinds."""
    families = _families(losses)
    if "boundary" in families or len(families.get("combined", ())) > 1:
        return "Which family of losses: distribution, region, boundary or combined?"
    return "Distribution losses, region losses or the combination?"


def _title(of: str, losses: Sequence[str]) -> str:
    """The title of a family in sentences; several combinations are not one."""
    return "combined losses" if of == "combined" and len(losses) > 1 else FAMILIES[of]


def _family_contrasts(results: Results, losses: Sequence[str]) -> list[Contrast]:
    families = _families(losses)
    pairs = [(a, b) for i, a in enumerate(families) for b in list(families)[i + 1 :]]
    found = [
        contrast(
            results,
            "loss",
            families[a],
            families[b],
            (_title(a, families[a]), _title(b, families[b])),
        )
        for a, b in pairs
    ]
    return adjusted([c for c in found if c is not None])


def _best_family(found: Sequence[Contrast], losses: Sequence[str]) -> list[str]:
    left_out = [loss for loss in losses if family(loss) is None]
    of_family = " that belong to a family" if left_out else ""
    sentences = [text[0].upper() + text[1:] for text in map(contrast_text, found)]
    if not found:
        sentences = [
            f"All losses here{of_family} are {_title(each, mine)}."
            for each, mine in _families(losses).items()
        ]
    if left_out:
        are, it = ("is", "its record names") if len(left_out) == 1 else ("are", "their records name")
        sentences.append(
            f"{counted(len(left_out), 'loss')} {are} left out of the families, because {it} none: "
            f"{listed(left_out)}."
        )
    return sentences


@dataclass(frozen=True, slots=True)
class _Steadiness:
    """How much a loss varies: with the seed, between subsets, with the threshold."""

    loss: str
    seed_sd: float | None
    gap: float
    sensitivity: float | None


def _steadiness(results: Results, loss: str, names: Sequence[str]) -> _Steadiness:
    deviations, gaps, gains = [], [], []
    for name in names:
        test, validation = results.scores(name), results.scores(name, "validation")
        tuned = results.scores(name, metric="native_iou_tuned")
        assert test is not None
        if len(test) > 1:
            deviations.append(float(test.mean(1).var(ddof=1)))
        if validation is not None:
            gaps.append(abs(float(validation.mean() - test.mean())))
        if tuned is not None:
            gains.append(float(np.mean(np.abs(tuned.mean(1) - test.mean(1)))))
    return _Steadiness(
        loss=loss,
        seed_sd=float(np.sqrt(np.mean(deviations))) if deviations else None,
        gap=float(np.mean(gaps)) if gaps else 0.0,
        sensitivity=float(np.mean(gains)) if gains else None,
    )


def _steadiest(results: Results, names: Names, each: Sequence[_Steadiness]) -> list[str]:
    """Return whether seeds scatter more with some losses, and what else moves their scores, untested."""
    by_gap = min(each, key=lambda s: s.gap)
    described = [f"{by_gap.loss} has the smallest gap between validation and test ({by_gap.gap:.3f})"]
    if all(s.sensitivity is not None for s in each):
        by_threshold = min(each, key=lambda s: s.sensitivity or 0.0)
        change = f"{by_threshold.sensitivity:.3f}"
        described.append(f"scores with {by_threshold.loss} depend least on the threshold ({change})")
    return [_scatter(results, names, each), f"Description only: {', and '.join(described)}."]


def _scatter(results: Results, names: Names, each: Sequence[_Steadiness]) -> str:
    if any(s.seed_sd is None for s in each):
        return "Which loss is the steadiest cannot be said: one seed does not show how runs scatter."
    by_seed = sorted(each, key=lambda s: s.seed_sd or 0.0)
    least, most = by_seed[0], by_seed[-1]
    seen = (
        f"{least.loss} least (standard deviation {least.seed_sd:.3f}) and {most.loss} most "
        f"({most.seed_sd:.3f})"
    )
    p = _equal_spread(results, names)
    tested = f"test of equal deviations: {p_value(p)}"
    if p < 1 - LEVEL:
        return f"Losses differ in how much their seeds scatter: {seen}; {tested}."
    return f"No loss is shown to be steadier than the others: seeds scatter with {seen}, but {tested}."


def _deviations(seeds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return deviations from the median without the least, which is 0 or a duplicate (Hines & Hines 2000)."""
    return np.sort(np.abs(seeds - np.median(seeds)))[1:]


def _equal_spread(results: Results, names: Names) -> float:
    """Brown and Forsythe's test on the seeds' deviations from their configuration's median."""
    samples = []
    for mine in names.values():
        found = [results.scores(name) for name in mine]
        means = [scores.mean(1) for scores in found if scores is not None]
        samples.append(np.concatenate([_deviations(m) for m in means]))
    if all(len(sample) < 2 or np.all(sample == sample[0]) for sample in samples):
        return 1.0
    return float(scipy.stats.f_oneway(*samples).pvalue)


def _loss_table(results: Results, names: Names, found: Sequence[_Steadiness]) -> Table:
    rows = []
    combined = _families(names).get("combined", [])
    for steady in found:
        loss = steady.loss
        units = joined(pooled_runs(results, names[loss]), results.groups_of(names[loss][0]))
        rows.append(
            (
                loss,
                _title(of, combined) if (of := family(loss)) else "own",
                mean(score_interval(units)),
                "–" if steady.seed_sd is None else f"{steady.seed_sd:.4f}",
                f"{steady.gap:.3f}",
                "–" if steady.sensitivity is None else f"{steady.sensitivity:.3f}",
            )
        )
    num_settings = len(next(iter(names.values())))
    headings = ["", "family", "test IoU", "seed deviation", "validation – test"]
    note = (
        f"Means over {counted(num_settings, 'setting')} of everything else that all losses have; seed "
        "deviations are root mean squares"
    )
    if results.outputs.task != "binary":  # there is no threshold that is one number
        return Table(tuple(headings), tuple(row[:-1] for row in rows), f"{note}.")
    last = "the last column is how far test IoU moves from threshold .5 to the one best on validation."
    return Table((*headings, "moved by threshold"), tuple(rows), f"{note}; {last}")
