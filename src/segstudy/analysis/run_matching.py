"""Which of a study's configurations a stored run belongs to: by what entered its key, never by its name."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pydantic import ValidationError

from segstudy.config.protocol import Protocol
from segstudy.config.runs import ADDED_LATER, Configuration, key_of
from segstudy.config.study import Study
from segstudy.config.study_file import relative
from segstudy.core.errors import UserError
from segstudy.core.registry import parse, source_hash, title
from segstudy.store.folder import StudyFolder
from segstudy.store.records import FailureRecord, NumericsRecord, RunRecord

COMPONENTS = ("architecture", "loss")
Identity = tuple[str, str, str]  # architecture and loss as hashed, and the protocol's numbers
Input = tuple[str, str]  # fingerprints of data and split
Numerics = Mapping[str, int | str]
Record = RunRecord | FailureRecord


@dataclass(frozen=True)
class Planned:
    """A configuration of a study with all that its runs' keys are made from but the seed.

    Attributes:
        configuration: of several that no key tells apart, the first.
        identity: what its runs are called, and their numbers.
        numerics: versions of the code; those that nobody wrote down are left out.
        inputs: fingerprints by fold.
    """

    configuration: Configuration
    identity: Identity
    numerics: Numerics
    inputs: Mapping[int | None, Input]

    @property
    def key(self) -> str:
        """What names it, whatever it is called: 16 hex digits."""
        protocol = self.configuration.protocol
        split: list[Any] = [[fold, *each] for fold, each in self.inputs.items()]
        split = split or [protocol.split, protocol.split_seed]  # not cut yet
        return key_of({"identity": self.identity, "numerics": dict(self.numerics), "split": split})

    def takes(self, record: Record) -> bool:
        """Whether a record of the same identity is of this data, split and code, as far as it says."""
        inputs, said = self.inputs.get(record.fold), record.description
        same_input = inputs is not None and (said.data is None or (said.data, said.split) == inputs)
        return same_input and agree(self.numerics, said.numerics)


def agree(ours: Numerics, theirs: Numerics) -> bool:
    """Whether no version is known to differ."""
    return all(theirs.get(name, version) == version for name, version in ours.items())


def identity_of(record: Record) -> Identity:
    """Of a run, by its record."""
    return identity(record.architecture, record.loss, record.protocol)


def identity(architecture: str, loss: str, protocol: Mapping[str, Any]) -> Identity:
    """Of a configuration's titles and protocol."""
    return architecture, loss, _numbers(json.dumps({**ADDED_LATER, **protocol}, sort_keys=True))


@cache
def _numbers(protocol: str) -> str:
    """The fields that can change a number; all of them where this version does not know one."""
    try:
        fields = Protocol.model_validate_json(protocol).numbers()
    except ValidationError:
        return protocol
    return json.dumps(fields, sort_keys=True)


def planned_of(folder: StudyFolder, study: Study, records: Sequence[RunRecord]) -> list[Planned]:
    """The study's configurations, in its order; those that no key tells apart are one.

    Args:
        folder: the study's.
        study: as it was last run.
        records: of its finished runs, the newest first. Studies of older versions did not write down
            what code they were planned with: there it is taken from these.
    """
    stored = folder.numerics()
    inputs = _inputs(folder)
    planned = [
        Planned(
            each,
            identity(**described_as(each)),
            _stored_numerics(folder, stored, each),
            inputs(each.protocol, study),
        )
        for each in study.configurations()
    ]
    by_identity: dict[Identity, list[int]] = defaultdict(list)
    for place, each in enumerate(planned):
        by_identity[each.identity].append(place)
    newest: dict[Identity, list[RunRecord]] = defaultdict(list)
    for record in records:
        newest[identity_of(record)].append(record)
    for each_identity, places in by_identity.items():
        for place in places:
            among = [planned[other] for other in places if other != place]
            planned[place] = _completed(planned[place], among, newest[each_identity])
    once: dict[str, Planned] = {}
    for each in planned:
        once.setdefault(each.key, each)
    return list(once.values())


def described_as(configuration: Configuration) -> dict[str, Any]:
    """A configuration's titles and protocol, as records of its runs have them."""
    return {
        **{factor: title(configuration.level(factor)) for factor in COMPONENTS},
        "protocol": configuration.protocol.model_dump(mode="json"),
    }


def _inputs(folder: StudyFolder) -> Callable[[Protocol, Study], dict[int | None, Input]]:
    """How to find the fingerprints of a protocol's data and splits, by fold."""
    data, splits = folder.data(), folder.splits()
    prints = [split.ids.fingerprint for split in splits]

    def found(protocol: Protocol, study: Study) -> dict[int | None, Input]:
        return {
            split.fold: (data.fingerprint if data else "", fingerprint)
            for split, fingerprint in zip(splits, prints, strict=True)
            if split.split_seed == protocol.split_seed
            and split.fold in study.fold_numbers()
            and (study.folds or split.split == protocol.split)
        }

    return found


def _stored_numerics(
    folder: StudyFolder, stored: NumericsRecord | None, configuration: Configuration
) -> dict[str, int | str]:
    """What ``numerics.json`` says of a configuration."""
    if stored is None:
        return {}
    found: dict[str, int | str] = {"preprocessing": stored.preprocessing, "training": stored.training}
    if configuration.protocol.augmentation != "none":
        found["augmentation"] = stored.augmentation
    for factor, versions in (("architecture", stored.architecture), ("loss", stored.loss)):
        spelling = relative(configuration.level(factor), folder.path)
        if spelling in versions:
            found[factor] = versions[spelling]
    return found


def _completed(each: Planned, namesakes: Sequence[Planned], newest: Iterable[RunRecord]) -> Planned:
    """With versions that nobody wrote down: those of the newest run, if it can be of no other configuration.

    Else of users' files the hash as they are now, and where they are gone one that no run has.
    """
    known = dict(each.numerics)
    if any(agree(known, other.numerics) and other.inputs == each.inputs for other in namesakes):
        for factor in COMPONENTS:
            if factor not in known and (source := _hash_now(each.configuration.level(factor))):
                known[factor] = source
        return replace(each, numerics=known)
    first = next((record for record in newest if each.takes(record)), None)
    return replace(each, numerics={**(first.description.numerics if first else {}), **known})


def _hash_now(component: str) -> str | None:
    try:
        return source_hash(parse(component))
    except (OSError, UserError):
        return f"{component} is gone"
