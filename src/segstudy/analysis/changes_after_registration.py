"""The preregistration of a study against the study as it is now: what was changed, field by field."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from segstudy.analysis.formatting import listed
from segstudy.config.protocol import Protocol
from segstudy.config.runs import Configuration, configuration_names, spelled
from segstudy.config.study import Study
from segstudy.core.quantities import counted
from segstudy.store.folder import StudyFolder
from segstudy.store.merged import MergedSource, merged_record
from segstudy.store.preregistration import (
    PLACES,
    Preregistration,
    RegisteredSplit,
    content_of,
    preregistration,
)
from segstudy.store.records import Parts

NOTHING = "Nothing was preregistered: the first run was begun without a preregistration.json."
OF_ITS_OWN = {"protocol", "grid", "exclude", "preset", *PLACES}  # compared in another way, or without effect
SHOWN_DIGITS = 16  # of a hash


@dataclass(frozen=True, slots=True)
class Registered:
    """The preregistration in words.

    Attributes:
        sentence: when it was written, and its hash; or that there is none.
        changes: what was changed after it, field by field.
    """

    sentence: str
    changes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return all of it as sentences."""
        if not self.changes:
            return self.sentence
        return f"{self.sentence} Changed after it: {'; '.join(self.changes)}."


def registered(folder: StudyFolder) -> Registered:
    """Return the preregistration of a study, and everything that differs from it now.

    Raises:
        UserError: the file was altered.
    """
    found, merged = preregistration(folder), merged_text(folder)
    if found is None:
        nothing = NOTHING if folder.finished() else "Nothing is preregistered yet: no run was begun."
        return Registered(f"{nothing}{merged}")
    changes = tuple(_changes(folder, found))
    unchanged = "" if changes else " Nothing was changed after it."
    looks = (
        "" if found.looks is None else f", looks at {listed([str(n) for n in found.looks['seeds']])} seeds"
    )
    return Registered(
        f"Study, split{looks} and a margin of {found.margin:g} IoU were fixed before the first run, on "
        f"{found.written[:10]} (preregistration.json, SHA-256 of the study "
        f"{found.study_sha256[:SHOWN_DIGITS]}).{unchanged}{merged}",
        changes,
    )


def merged_text(folder: StudyFolder) -> str:
    """Return a sentence on the studies that a study was merged from, with a space before it; else nothing."""
    found = merged_record(folder)
    if found is None:
        return ""
    sources = [
        f"{each.name} ({counted(each.num_runs, 'run')}, {_registration_text(each)})" for each in found.sources
    ]
    text = f" The study was merged on {found.written[:10]} from {' and '.join(sources)}."
    if found.replaced:
        text += (
            f" {counted(len(found.replaced), 'run')} had different numbers in several of them: those of the "
            "first were taken."
        )
    return text


def _registration_text(source: MergedSource) -> str:
    if source.preregistration is None:
        return "not registered"
    written, sha256 = (str(source.preregistration[name]) for name in ("written", "study_sha256"))
    return f"registered on {written[:10]}, SHA-256 {sha256[:SHOWN_DIGITS]}"


def _changes(folder: StudyFolder, found: Preregistration) -> Iterator[str]:
    before = found.as_study()
    content = content_of(folder.study(), folder.path)
    now = Study.model_validate({"name": "now", "data": "synthetic", **content})
    for name in Study.model_fields:
        if name not in OF_ITS_OWN and (was := getattr(before, name)) != (is_ := getattr(now, name)):
            yield _became(name, was, is_)
    yield from _excluded(before, now)
    was_all, is_all = (study.protocol.model_dump(mode="json") for study in (before, now))
    fields = [name for name in Protocol.model_fields if was_all[name] != is_all[name]]
    yield from (_became(name, was_all[name], is_all[name]) for name in fields)
    yield from _configurations(before, now, fields)
    yield from _data(folder, found, before.exclude == now.exclude and before.folds == now.folds)


def _became(name: str, was: Any, is_: Any) -> str:
    return f"{name}: {_text(name, was)} became {_text(name, is_)}"


def _text(name: str, value: Any) -> str:
    if value is None and name not in Protocol.model_fields:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else spelled(name, value)


def _excluded(before: Study, now: Study) -> Iterator[str]:
    for verb, ids in (
        ("left out", [each for each in now.exclude if each not in before.exclude]),
        ("taken back", [each for each in before.exclude if each not in now.exclude]),
    ):
        if ids:
            yield f"{counted(len(ids), 'image')} {verb} ({listed(ids)})"


def _configurations(before: Study, now: Study, fields: Sequence[str]) -> Iterator[str]:
    """Configurations that were added or removed, apart from the fields that changed for all of them."""

    def as_now(each: Configuration) -> Configuration:
        changed = {
            name: getattr(now.protocol, name)
            for name in fields
            if getattr(each.protocol, name) == getattr(before.protocol, name)
        }
        return each.model_copy(update={"protocol": each.protocol.model_copy(update=changed)})

    old = {each.identity: each for each in map(as_now, before.configurations())}
    new = {each.identity: each for each in now.configurations()}
    union = {**old, **new}
    names = dict(zip(union, configuration_names(list(union.values())), strict=True))
    for verb, identities in (
        ("added", [each for each in new if each not in old]),
        ("removed", [each for each in old if each not in new]),
    ):
        if identities:
            named = listed([names[each] for each in identities])
            yield f"{counted(len(identities), 'configuration')} {verb} ({named})"


def _data(folder: StudyFolder, found: Preregistration, same_samples: bool) -> Iterator[str]:
    """Changes of images, masks and subsets that no field of the study explains."""
    data = folder.data()
    if data and same_samples and data.fingerprint != found.data:
        yield "images or masks"
        return
    splits = {_place(each): each.fingerprint for each in found.splits}
    now = {_place(each): each.ids.fingerprint for each in folder.splits()}
    moved = [each for each in now if each in splits and now[each] != splits[each]]
    if same_samples and moved:
        yield f"the images of {counted(len(moved), 'split')}"


def _place(split: Parts | RegisteredSplit) -> tuple[str, int, int | None, float]:
    return split.split, split.split_seed, split.fold, split.train_frac
