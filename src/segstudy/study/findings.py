"""The findings about a study's data and the meaning of its masks: made once, and kept for equal data."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from segstudy.config.protocol import unique
from segstudy.config.study import Study
from segstudy.core.errors import UserError
from segstudy.core.mask_rules import MaskMeaning
from segstudy.core.quantities import counted_kinds
from segstudy.data.check import VERSION, Examined, examine
from segstudy.data.class_findings import ClassShare, class_name, meaning_name
from segstudy.data.samples import PARTS, Dataset, Problem
from segstudy.data.split import Split
from segstudy.store.records import DataRecord

_SEAL, _MADE_FROM, _SHARES = "findings_sha256", "described_sha256", "class_shares"


@dataclass(frozen=True)
class Decision:
    """The value that ``auto`` stands for, of a field that the data decide.

    Attributes:
        value: as it is spelled.
        because: what speaks for it.
        is_given: the study says the value itself.
    """

    value: str
    because: str = ""
    is_given: bool = False

    def holds_for(self, asked: Iterable[str]) -> bool:
        """Whether what was found with this decision holds for these values of the field."""
        return all(value == self.value or (value == "auto" and not self.is_given) for value in asked)

    def record(self, field: str) -> dict[str, Any]:
        """Return the decision as stored in ``data.json``."""
        return {field: self.value, f"{field}_because": self.because, f"{field}_given": self.is_given}


def _recorded(field: str, stored: Mapping[str, Any]) -> Decision | None:
    if field not in stored:
        return None
    return Decision(str(stored[field]), str(stored[f"{field}_because"]), bool(stored[f"{field}_given"]))


@dataclass(frozen=True)
class Findings:
    """The findings about a study's data.

    Attributes:
        problems: of all readings of the images and masks.
        masks: the rule for the masks.
        intensity: the scale of the images.
        empty: ids of samples whose mask has no foreground, by what masks mean (see ``meaning_name``); of
            several classes also those without each of them (see ``class_name``).
        class_shares: how much there is of each of several classes.
        channels: with which the images were read; None for three.
    """

    problems: tuple[Problem, ...]
    masks: Decision = Decision("larger")
    intensity: Decision = Decision("full")
    empty: Mapping[str, Sequence[str]] = field(default_factory=dict)
    class_shares: tuple[ClassShare, ...] = ()
    channels: int | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Numbers and kinds of warnings, the most frequent first: ``3 empty masks``."""
        return counted_kinds(problem.kind for problem in self.problems if problem.severity == "warning")

    def empty_subsets(self, used: Iterable[tuple[Split, MaskMeaning]]) -> list[str]:
        """Subsets of splits in which no mask has any foreground, in words, and training without a class."""
        found = []
        for split, meaning in used:
            empty = frozenset(self.empty.get(meaning_name(meaning), ()))
            sizes = {part: len(split.part(part)) for part in PARTS if empty.issuperset(split.part(part))}
            found += [f"none of the {n} masks in {part} has any foreground" for part, n in sizes.items() if n]
            for each in meaning.classes:
                without = frozenset(self.empty.get(class_name(meaning, each.name), ()))
                if without.issuperset(split.train):
                    found.append(f"none of the {len(split.train)} masks in train holds the class {each.name}")
        return unique(found)

    def unscored_classes(self, used: Iterable[tuple[Split, MaskMeaning]]) -> list[str]:
        """Classes that no mask of a validation or test subset holds, in words."""
        found = []
        for split, meaning in used:
            for number in meaning.outputs.scored if meaning.classes else ():
                name = meaning.classes[number].name
                without = frozenset(self.empty.get(class_name(meaning, name), ()))
                found += [
                    f"no {part} mask holds the class {name}"
                    for part in ("validation", "test")
                    if split.part(part) and without.issuperset(split.part(part))
                ]
        return unique(found)

    def record(self, dataset: Dataset, meanings: Sequence[MaskMeaning]) -> dict[str, Any]:
        """Return the findings as stored in ``data.json``."""
        problems = [asdict(problem) | {"samples": list(problem.samples)} for problem in self.problems]
        shares = [asdict(each) for each in self.class_shares]
        return {
            "check": VERSION,
            **_values_of(meanings),
            **({} if self.channels is None else {"channels": self.channels}),
            **self.masks.record("masks"),
            **self.intensity.record("intensity"),
            _MADE_FROM: _described(dataset),
            "findings": problems,
            "without_foreground": self.empty,
            **({_SHARES: shares} if shares else {}),
            _SEAL: _hash([problems, self.empty, *([shares] if shares else [])]),
        }


def find(
    dataset: Dataset,
    data: str,
    study: Study,
    stored: DataRecord | None,
    progress: Callable[[int], None],
    comparing: Callable[[int, int], None] = lambda _, __: None,
) -> Findings:
    """Examine a study's data, unless its folder holds the findings about equal data.

    Args:
        dataset: the samples.
        data: their fingerprint.
        study: says the meaning of the masks.
        stored: ``data.json`` of the study's folder, if there is one.
        progress: called with the number of samples looked at.
        comparing: called while many images are compared with each other, see ``examine``.

    Raises:
        UserError: the foregrounds of the study need different rules.
    """
    known = _stored(dataset, data, study, stored) if stored else None
    if known:
        return known
    looks = [examine(dataset, meaning, progress, scale, comparing) for meaning, scale in study.readings()]
    problems = unique(problem for look in looks for problem in look.problems)
    masks = [Decision(str(m.meaning.rule), m.why, m.is_given) for look in looks for m in [look.masks]]
    scales = [Decision(str(i.scale), i.why, i.is_given) for look in looks for i in [look.intensities]]
    empty = {name: ids for look in looks for name, ids in _empty(look).items()}
    shares = looks[0].class_shares  # all readings have the same classes
    channels = study.protocol.channels
    return Findings(tuple(problems), _one_rule(masks), _first_found(scales), empty, shares, channels)


def refuse_empty(found: Sequence[str]) -> None:
    """Stop before something is trained, selected or tested on masks without any foreground.

    Args:
        found: as ``Findings.empty_subsets`` returns it.

    Raises:
        UserError: with what can be done.
    """
    if found:
        raise UserError(
            f"{'; '.join(found)}, so scores there would have no meaning; another --set split_seed=N puts "
            "other images there, --split FILE decides which"
        )


def _empty(look: Examined) -> dict[str, list[str]]:
    """Ids of the samples without foreground, and without each of several classes."""
    meaning = look.masks.meaning
    without = [sample_id for sample_id, frac in look.foreground_fracs.items() if frac == 0]
    of_classes = {
        class_name(meaning, each.name): look.without_class(number)
        for number, each in enumerate(meaning.classes)
    }
    return {meaning_name(meaning): without, **of_classes}


def _stored(dataset: Dataset, data: str, study: Study, stored: DataRecord) -> Findings | None:
    meanings = study.mask_meanings()
    extra = stored.model_extra or {}
    findings = [finding.model_dump() for finding in stored.findings]
    made = {"check": VERSION, **_values_of(meanings), _MADE_FROM: _described(dataset)}
    empty, shares = extra.get("without_foreground"), extra.get(_SHARES)
    made |= {"channels": study.protocol.channels}
    of_study = (*made, "classes", "ignore")
    if stored.fingerprint != data or any(made.get(name) != extra.get(name) for name in of_study):
        return None
    if extra.get(_SEAL) != _hash([findings, empty, *([shares] if shares else [])]) or not isinstance(
        empty, dict
    ):
        return None
    problems = tuple(Problem(**{**finding, "samples": tuple(finding["samples"])}) for finding in findings)
    masks, intensity = _recorded("masks", extra), _recorded("intensity", extra)
    if masks is None or intensity is None:
        return None
    rules, scales = (str(meaning.rule) for meaning in meanings), map(str, study.scales())
    holds = masks.holds_for(rules) and intensity.holds_for(scales)
    known = tuple(ClassShare(**each) for each in shares or ())
    return Findings(problems, masks, intensity, empty, known, study.protocol.channels) if holds else None


def _one_rule(found: Sequence[Decision]) -> Decision:
    rules = {masks.value for masks in found if not masks.is_given}
    if len(rules) > 1:
        raise UserError(
            f"masks: the foregrounds of this study need different rules, {', '.join(rules)}; choose one "
            "with --masks, or train them in separate studies"
        )
    return _first_found(found)


def _first_found(found: Sequence[Decision]) -> Decision:
    """The decision that the data made, where they were asked: it is the same for all that ask."""
    return next((each for each in found if not each.is_given), found[0])


def decided(study: Study, findings: Findings) -> Study:
    """The study with the values that the data decided where it said ``auto``."""
    values = {"masks": findings.masks.value, "intensity": findings.intensity.value}

    def resolved(field: str, value: Any) -> Any:
        return values[field] if field in values and value == "auto" else value

    grids = tuple(
        {
            factor: tuple(unique(resolved(factor, level) for level in levels)) if factor in values else levels
            for factor, levels in grid.items()
        }
        for grid in study.grid
    )
    fixed = {field: resolved(field, getattr(study.protocol, field)) for field in values}
    return study.model_copy(update={"grid": grids, "protocol": study.protocol.model_copy(update=fixed)})


def _described(dataset: Dataset) -> str:
    """A hash of all that findings rest on beside the files, such as groups and parts."""
    samples = [[s.id, s.group, s.category, s.part] for s in dataset.samples]
    found = [asdict(problem) for problem in dataset.problems]
    return hashlib.sha256(json.dumps([samples, found]).encode()).hexdigest()


def _hash(findings: Sequence[Any]) -> str:
    """A hash that only findings as they were written have: one struck out by hand is found again."""
    return hashlib.sha256(json.dumps(findings).encode()).hexdigest()


def _values_of(meanings: Sequence[MaskMeaning]) -> dict[str, Any]:
    """What the study says of mask values, as stored: one foreground as it is, several as a list.

    Classes and ignored values are the same for all, and not written where there are none.
    """
    listed: list[Any] = [None if m.foreground is None else list(m.foreground) for m in meanings]
    several = {"classes": [str(each) for each in meanings[0].classes], "ignore": list(meanings[0].ignore)}
    named = {name: values for name, values in several.items() if values}
    return {"foreground": listed[0] if len(listed) == 1 else listed, **named}
