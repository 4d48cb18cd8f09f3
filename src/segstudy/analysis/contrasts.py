"""Comparisons of levels of a factor with everything else equal, pooled over all common settings."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from statsmodels.stats.multitest import multipletests

from segstudy.analysis.configurations import Row
from segstudy.analysis.results import Results, pooled
from segstudy.stats.comparisons import Difference, difference
from segstudy.stats.factors import Factorial, factorial
from segstudy.stats.intervals import LEVEL

Names = dict[str, list[str]]
FACTORS = ("architecture", "loss", "batch_size")


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two groups of levels: `left` less `right` in test IoU.

    Attributes:
        left, right: their names.
        difference: of the two, each averaged over its configurations.
        num_matched: how many settings of everything else it is averaged over.
    """

    left: str
    right: str
    difference: Difference
    num_matched: int


def level(row: Row, factor: str) -> str:
    """Return the level of a factor in a configuration, as text."""
    value = row.configuration.get(factor, row.configuration["protocol"].get(factor))
    return value if isinstance(value, str) else json.dumps(value)


def levels(results: Results, factor: str) -> list[str]:
    """Return the levels of configurations with all their runs, in the study's order."""
    return list(dict.fromkeys(level(row, factor) for row in results.trained if results.complete(row.name)))


def matched(results: Results, factor: str, wanted: Iterable[str]) -> Names:
    """Return, for each level, the configurations that differ in that factor alone, in the same order.

    Settings of everything else that lack one of the levels are left out, and so is what is incomplete or
    tested on other images.
    """
    wanted = list(wanted)
    found: dict[str, dict[str, str]] = {each: {} for each in wanted}
    for row in results.trained:
        if results.complete(row.name) and level(row, factor) in found:
            found[level(row, factor)][_rest(row, factor)] = row.name
    settings = [s for s in found[wanted[0]] if all(s in found[each] for each in wanted)]
    names = [[found[each][setting] for setting in settings] for each in wanted]
    if names[0]:
        ids = results.ids(names[0][0])
        same = [i for i in range(len(settings)) if all(results.ids(column[i]) == ids for column in names)]
        names = [[column[i] for i in same] for column in names]
    return dict(zip(wanted, names, strict=True))


def _rest(row: Row, factor: str) -> str:
    """Return everything of a configuration except one factor."""
    flat = {**row.configuration["protocol"], **{f: row.configuration[f] for f in ("architecture", "loss")}}
    return json.dumps({name: value for name, value in flat.items() if name != factor}, sort_keys=True)


def contrast(
    results: Results, factor: str, left: Sequence[str], right: Sequence[str], called: tuple[str, str]
) -> Contrast | None:
    """Compare groups of levels on their common settings; None if there are none."""
    names = matched(results, factor, [*left, *right])
    if not names[left[0]] or len(set(results.groups_of(names[left[0]][0]))) < 2:
        return None
    ours, theirs = ([name for each in side for name in names[each]] for side in (left, right))
    groups = results.groups_of(ours[0])
    return Contrast(
        *called,
        difference(pooled(results, ours), pooled(results, theirs), groups, results.margin),
        len(names[left[0]]),
    )


def adjusted(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Return the contrasts of one question with Holm's p values and the conclusions that these allow."""
    measured = [c for c in contrasts if c.difference.has_training_noise]
    if len(measured) < 2 or len(measured) < len(contrasts):
        return list(contrasts)
    p_values = multipletests([c.difference.p for c in measured], method="holm")[1]
    return [_with_p(c, float(p)) for c, p in zip(measured, p_values, strict=True)]


def _with_p(c: Contrast, p: float) -> Contrast:
    won = c.difference.conclusion in ("a", "b")
    conclusion = "not resolved" if won and p >= 1 - LEVEL else c.difference.conclusion
    return replace(c, difference=replace(c.difference, p=p, conclusion=conclusion))


def factorials(results: Results) -> list[tuple[str, Factorial]]:
    """Return the analyses of variance of a study's full factorials, each with its description.

    Architecture x loss at each batch size, and batch size x architecture x loss where several batch
    sizes have them; only configurations that share the rest of the protocol with most others.
    """
    rows = _of_one_protocol([row for row in results.trained if results.complete(row.name)])
    sizes = list(dict.fromkeys(level(row, "batch_size") for row in rows))
    found = []
    for chosen in [[size] for size in sizes] + ([sizes] if len(sizes) > 1 else []):
        names = _full(rows, chosen)
        varying = [i for i in range(3) if len({key[i] for key in names}) > 1]
        if varying and len(names) > 1:
            title = " × ".join(FACTORS[i].replace("_", " ") for i in varying)
            if "batch_size" not in [FACTORS[i] for i in varying]:
                title += f" at batch size {chosen[0]}"
            found.append((title, _analysed(results, names, varying)))
    return found


def _of_one_protocol(rows: Sequence[Row]) -> list[Row]:
    def rest(row: Row) -> str:
        protocol = {k: v for k, v in row.configuration["protocol"].items() if k != "batch_size"}
        return json.dumps(protocol, sort_keys=True)

    protocols = [rest(row) for row in rows]
    usual = max(dict.fromkeys(protocols), key=protocols.count, default="")
    return [row for row, protocol in zip(rows, protocols, strict=True) if protocol == usual]


Key = tuple[str, ...]


def _full(rows: Sequence[Row], sizes: Sequence[str]) -> dict[Key, str]:
    """Return the full factorial that most architectures have at all of these batch sizes, by its levels."""
    found = {tuple(level(row, factor) for factor in FACTORS): row.name for row in rows}
    losses = list(dict.fromkeys(loss for _, loss, size in found if size in sizes))
    architectures = [
        architecture
        for architecture in dict.fromkeys(architecture for architecture, _, _ in found)
        if all((architecture, loss, size) in found for loss in losses for size in sizes)
    ]
    return {key: name for key, name in found.items() if key[0] in architectures and key[2] in sizes}


def _analysed(results: Results, names: Mapping[Key, str], varying: Sequence[int]) -> Factorial:
    fewest = min(len(results.seeds(name)) for name in names.values())
    scores: list[float] = []
    columns: dict[str, list[str]] = {FACTORS[i]: [] for i in varying}
    for key, name in names.items():
        found = results.scores(name)
        assert found is not None
        scores += [float(mean) for mean in np.mean(found, axis=1)[:fewest]]
        for i in varying:
            columns[FACTORS[i]] += [key[i]] * fewest
    return factorial(scores, columns)
