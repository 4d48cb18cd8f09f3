"""The findings about a study's data and the meaning of its masks: made once, and kept for equal data."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from segstudy.config.protocol import unique
from segstudy.config.study import Study
from segstudy.core.errors import UserError
from segstudy.core.mask_rules import MaskMeaning
from segstudy.data.check import VERSION, examine
from segstudy.data.mask_survey import Inference
from segstudy.data.samples import Dataset, Problem
from segstudy.store.records import DataRecord

_SEAL, _MADE_FROM = "findings_sha256", "described_sha256"


@dataclass(frozen=True)
class Findings:
    """The findings about a study's data.

    Attributes:
        problems: of all readings of the masks.
        rule: the rule that ``masks = auto`` stands for, as it is spelled.
        because: what speaks for it.
        is_given: the study says the rule itself.
    """

    problems: tuple[Problem, ...]
    rule: str = "larger"
    because: str = ""
    is_given: bool = False

    def hold_for(self, meanings: Iterable[MaskMeaning]) -> bool:
        """Whether findings that were made with this rule are those of these meanings."""
        asked = [str(meaning.rule) for meaning in meanings]
        return all(rule == self.rule or (rule == "auto" and not self.is_given) for rule in asked)

    def record(self, dataset: Dataset, meanings: Sequence[MaskMeaning]) -> dict[str, Any]:
        """Return the findings as stored in ``data.json``."""
        problems = [asdict(problem) | {"samples": list(problem.samples)} for problem in self.problems]
        return {
            "check": VERSION,
            "foreground": _foregrounds(meanings),
            "masks": self.rule,
            "masks_because": self.because,
            "masks_given": self.is_given,
            _MADE_FROM: _described(dataset),
            "findings": problems,
            _SEAL: _hash(problems),
        }


def find(
    dataset: Dataset,
    data: str,
    study: Study,
    stored: DataRecord | None,
    progress: Callable[[int], None],
) -> Findings:
    """Examine a study's data, unless its folder holds the findings about equal data.

    Args:
        dataset: the samples.
        data: their fingerprint.
        study: says the meaning of the masks.
        stored: ``data.json`` of the study's folder, if there is one.
        progress: called with the number of samples looked at.

    Raises:
        UserError: the foregrounds of the study call for different rules.
    """
    meanings = study.mask_meanings()
    known = _stored(dataset, data, meanings, stored) if stored else None
    if known:
        return known
    looks = [examine(dataset, meaning, progress) for meaning in meanings]
    problems = unique(problem for look in looks for problem in look.problems)
    return _one_rule(tuple(problems), [look.masks for look in looks])


def _stored(
    dataset: Dataset, data: str, meanings: Sequence[MaskMeaning], stored: DataRecord
) -> Findings | None:
    extra = stored.model_extra or {}
    findings = [finding.model_dump() for finding in stored.findings]
    made = {"check": VERSION, "foreground": _foregrounds(meanings), _MADE_FROM: _described(dataset)}
    if stored.fingerprint != data or not made.items() <= extra.items() or extra.get(_SEAL) != _hash(findings):
        return None
    problems = tuple(Problem(**{**finding, "samples": tuple(finding["samples"])}) for finding in findings)
    known = Findings(problems, str(extra["masks"]), str(extra["masks_because"]), bool(extra["masks_given"]))
    return known if known.hold_for(meanings) else None


def _one_rule(problems: tuple[Problem, ...], found: Sequence[Inference]) -> Findings:
    rules = {str(masks.meaning.rule): masks.why for masks in found if not masks.is_given}
    if len(rules) > 1:
        raise UserError(
            f"masks: the foregrounds of this study call for different rules, {', '.join(rules)}; choose one "
            "with --masks, or train them in studies of their own"
        )
    if not rules:
        return Findings(problems, str(found[0].meaning.rule), found[0].why, is_given=True)
    ((rule, why),) = rules.items()
    return Findings(problems, rule, why)


def with_masks(study: Study, rule: str) -> Study:
    """The study with this rule where it said ``auto``."""

    def resolved(value: Any) -> Any:
        return rule if value == "auto" else value

    grids = tuple(
        {
            factor: tuple(unique(map(resolved, levels))) if factor == "masks" else levels
            for factor, levels in grid.items()
        }
        for grid in study.grid
    )
    protocol = study.protocol.model_copy(update={"masks": resolved(study.protocol.masks)})
    return study.model_copy(update={"grid": grids, "protocol": protocol})


def _described(dataset: Dataset) -> str:
    """A hash of all that findings rest on beside the files, such as groups and parts."""
    samples = [[s.id, s.group, s.category, s.part] for s in dataset.samples]
    found = [asdict(problem) for problem in dataset.problems]
    return hashlib.sha256(json.dumps([samples, found]).encode()).hexdigest()


def _hash(findings: Sequence[Mapping[str, Any]]) -> str:
    """A hash that only findings as they were written have: one struck out by hand is found again."""
    return hashlib.sha256(json.dumps(findings).encode()).hexdigest()


def _foregrounds(meanings: Sequence[MaskMeaning]) -> list[Any] | None:
    """Return the stored form: one foreground as it is, several as a list."""
    listed: list[Any] = [None if m.foreground is None else list(m.foreground) for m in meanings]
    return listed[0] if len(listed) == 1 else listed
