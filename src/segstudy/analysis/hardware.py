"""The hardware of a study's runs: what differs, for which runs, and what it means for comparisons.

Hardware is all that may change a run's last bits, see ``core.environment.BITS``.
"""

import json
import string
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any

from segstudy.analysis.configurations import Row
from segstudy.analysis.design import RECORDING, TRUTH, label, level, levels_of
from segstudy.analysis.formatting import listed
from segstudy.config.protocol import FACTORS
from segstudy.core.environment import BITS, TIMES, differing
from segstudy.core.quantities import and_more, counted
from segstudy.store.records import RunRecord

MOST_SHOWN = 10  # kinds of hardware, and runs in parts, that a text lists; the others are counted
UNKNOWN = "not recorded"
Signature = tuple[str | None, ...]  # of an environment: its values of BITS as text
Part = tuple[int, str]  # the first epoch that was trained on a kind of hardware, and the kind's letter


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of hardware; environments that differ in nothing that may change bits are of one kind.

    Attributes:
        letter: its name.
        num_runs: that were trained on it from the first epoch to the last.
        values: of the fields in which kinds differ.
    """

    letter: str
    num_runs: int
    values: Mapping[str, str]

    @property
    def text(self) -> str:
        """``A (20 runs): threads 1``"""
        described = ", ".join(f"{name} {value}" for name, value in self.values.items())
        return f"{self.letter} ({counted(self.num_runs, 'run')}): {described}"


@dataclass(frozen=True, slots=True)
class Hardware:
    """The kinds of hardware of a study's runs; empty if all runs are of one kind.

    Attributes:
        kinds: in the order of their first epochs in the study's runs.
        differing: fields that may change bits and differ, with their values.
        times: fields that differ and change times only.
        parts: runs that were resumed on another kind, with what was trained where.
        confounded: a sentence for each factor of which two levels have no hardware in common.
        num_apart: pairs of configurations that have no hardware in common.
        num_pairs: of configurations.
        num_unequal: replicates (a seed, with folds of one fold) for which configurations differ in hardware.
        num_replicates: that two configurations or more have.
    """

    kinds: tuple[Kind, ...] = ()
    differing: Mapping[str, list[str]] = field(default_factory=dict)
    times: Mapping[str, list[str]] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    confounded: tuple[str, ...] = ()
    num_apart: int = 0
    num_pairs: int = 0
    num_unequal: int = 0
    num_replicates: int = 0

    @property
    def sentences(self) -> tuple[str, ...]:
        """Everything in sentences, the kinds first; none if all runs are of one kind."""
        return tuple(_sentences(self)) if self.kinds else ()


def hardware(rows: Sequence[Row]) -> Hardware:
    """Return the kinds of hardware on which the runs of these configurations were trained."""
    records = [record for row in rows for record in row.records]
    letters = _letters(record.environments for record in records)
    if len(set(letters.values())) < 2:
        return Hardware()
    parts = {record.key: _parts(record, letters) for record in records}
    found = differing(each for record in records for each in record.environments)
    trained = [row for row in rows if row.records]
    used = {row.name: {letter for key in row.keys for _, letter in parts[key]} for row in trained}
    apart = [not used[a.name] & used[b.name] for a, b in combinations(trained, 2)]
    equal = _replicates(trained, parts)
    return Hardware(
        kinds=tuple(_kinds(records, letters, parts, found)),
        differing=found,
        times=differing((each for record in records for each in record.environments), TIMES),
        parts={
            _run_name(row, record): parts_text(parts[record.key])
            for row in trained
            for record in row.records
            if len(parts[record.key]) > 1
        },
        confounded=tuple(_confounded(trained, used)),
        num_apart=sum(apart),
        num_pairs=len(apart),
        num_unequal=sum(len(each) > 1 for each in equal),
        num_replicates=len(equal),
    )


def _signature(environment: Mapping[str, Any]) -> Signature:
    return tuple(None if (value := environment.get(name)) is None else str(value) for name in BITS)


def _letters(runs: Iterable[Sequence[Mapping[str, Any]]]) -> dict[Signature, str]:
    """Return the letter of each distinct environment; those of one kind have the same.

    A field that an older record lacks does not differ. So an environment is of the first kind that it does
    not contradict.
    """
    found = dict.fromkeys(_signature(each) for environments in runs for each in environments)
    kinds: list[dict[str, Any]] = []
    letters = {}
    for signature in found:
        values = {name: each for name, each in zip(BITS, signature, strict=True) if each is not None}
        place = next((n for n, kind in enumerate(kinds) if not differing([kind, values])), len(kinds))
        if place == len(kinds):
            kinds.append({})
        kinds[place] |= values
        letters[signature] = _letter(place)
    return letters


def _letter(place: int) -> str:
    return string.ascii_uppercase[place] if place < len(string.ascii_uppercase) else f"no. {place + 1}"


def _parts(record: RunRecord, letters: Mapping[Signature, str]) -> list[Part]:
    """Return the parts of a run, one where all its sessions are of one kind."""
    starts = [1, *(session.after_epoch + 1 for session in record.resumed)]
    sessions = [letters[_signature(each)] for each in record.environments]
    parts = list(zip(starts, sessions, strict=True))
    return [parts[0], *(now for before, now in pairwise(parts) if before[1] != now[1])]


def parts_text(parts: Sequence[Part]) -> str:
    """``trained in 2 parts: epochs 1-30 on A, from 31 on B``"""
    ended = [
        f"{start}-{following - 1} on {letter}" if start < following - 1 else f"{start} on {letter}"
        for (start, letter), (following, _) in pairwise(parts)
    ]
    start, letter = parts[-1]
    return f"trained in {len(parts)} parts: epochs {', '.join(ended)}, from {start} on {letter}"


def _run_name(row: Row, record: RunRecord) -> str:
    fold = "" if record.fold is None else f", fold {record.fold}"
    repeat = f", repeat {row.repeats[record.key]}" if row.repeats.get(record.key) else ""
    return f"{row.name} (seed {record.seed}{repeat}{fold})"


def _kinds(
    records: Sequence[RunRecord],
    letters: Mapping[Signature, str],
    parts: Mapping[str, Sequence[Part]],
    fields: Iterable[str],
) -> Iterator[Kind]:
    whole = Counter(each[0][1] for each in parts.values() if len(each) == 1)
    values: dict[str, dict[str, Any]] = defaultdict(dict)
    for record in records:
        for each in record.environments:
            values[letters[_signature(each)]].update({n: v for n, v in each.items() if v is not None})
    names = list(fields)
    for letter in dict.fromkeys(letters.values()):
        yield Kind(letter, whole[letter], {name: str(values[letter].get(name, UNKNOWN)) for name in names})


def _replicates(rows: Sequence[Row], parts: Mapping[str, Sequence[Part]]) -> list[set[str]]:
    """Return the hardware of each replicate that two configurations or more have."""
    found: dict[tuple[int, int, int | None], list[str]] = defaultdict(list)
    for row in rows:
        for record in row.records:
            place = record.seed, row.repeats.get(record.key, 0), record.fold
            found[place].append(json.dumps(parts[record.key]))
    return [set(each) for each in found.values() if len(each) > 1]


def _confounded(rows: Sequence[Row], used: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield a sentence on each factor of which two levels have no hardware in common."""
    for factor in FACTORS:
        levels = [] if factor in (*RECORDING, *TRUTH) else levels_of(rows, factor)
        of_level = {each: _of_level(rows, used, factor, each) for each in levels}
        apart = [pair for pair in combinations(levels, 2) if not of_level[pair[0]] & of_level[pair[1]]]
        if apart:
            named = dict.fromkeys(each for pair in apart for each in pair)
            shown = [f"{label(factor, each)} on {listed(sorted(of_level[each]))}" for each in named]
            yield (
                f"{factor.replace('_', ' ').capitalize()} is confounded with hardware ({listed(shown)}): a "
                "difference between these may be one of hardware."
            )


def _of_level(rows: Sequence[Row], used: Mapping[str, set[str]], factor: str, named: str) -> set[str]:
    return {letter for row in rows if level(row, factor) == named for letter in used[row.name]}


def _sentences(found: Hardware) -> Iterator[str]:
    shown = [kind.text for kind in found.kinds[:MOST_SHOWN]]
    yield f"Hardware: {'; '.join(shown)}{and_more(len(found.kinds) - MOST_SHOWN)}."
    if found.times:
        fields = ", ".join(f"{name} ({', '.join(values)})" for name, values in found.times.items())
        yield f"These differ too, but cannot change a score: {fields}."
    if found.parts:
        listing = [f"{run} was {text}" for run, text in list(found.parts.items())[:MOST_SHOWN]]
        yield f"{'; '.join(listing)}{and_more(len(found.parts) - MOST_SHOWN)}."
    yield from found.confounded
    yield balance_text(found)


def balance_text(found: Hardware) -> str:
    """Return what the hardware means for comparisons of configurations."""
    if not found.num_pairs:
        return "There is one configuration, so no comparison is between kinds of hardware."
    if not found.num_unequal and found.num_replicates:
        return (
            "All runs of the same seed and fold were trained on the same hardware, so no comparison of "
            "configurations is between kinds of hardware."
        )
    apart = (
        f" {found.num_apart} of {counted(found.num_pairs, 'pair')} of configurations share no hardware."
        if found.num_apart
        else ""
    )
    return (
        f"Of {counted(found.num_replicates, 'set')} of runs with the same seed and fold, {found.num_unequal} "
        "were trained on different hardware, so differences between configurations include those of "
        f"hardware.{apart}"
    )
