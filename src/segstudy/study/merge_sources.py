"""Studies that are to become one: what they hold, and in what they differ that must be equal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from segstudy.config.protocol import SAME_FOR_ALL, unique
from segstudy.config.study import Study
from segstudy.config.study_file import relative
from segstudy.config.union import levels_text
from segstudy.core.errors import UserError
from segstudy.core.quantities import counted
from segstudy.core.sums import parse_sum, title
from segstudy.core.synthetic import is_synthetic
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import looks_of
from segstudy.store.pack_record import pack_record
from segstudy.store.records import DataRecord, NumericsRecord, Parts

COMPONENTS = ("architecture", "loss")
Place = tuple[str, int, int | None, float]  # rule, split seed, fold, share of the training images
SAME_TRUTH = ("masks", "foreground", *SAME_FOR_ALL)  # what scores are compared with, and how
AGAIN = "studies are merged only if these are equal"


@dataclass(frozen=True)
class Source:
    """A study that is merged.

    Attributes:
        folder: its folder, which is never changed.
        study: as it was last run, with the split rule and the components as the first study spells them.
        data: the data set as it was then.
        splits: every split and fold.
        numerics: versions of the code; None of version 0.1.
        versions: of the code of every architecture and loss, by factor and spelling, where they are stored.
    """

    folder: StudyFolder
    study: Study
    data: DataRecord
    splits: tuple[Parts, ...]
    numerics: NumericsRecord | None
    versions: Mapping[tuple[str, str], int | str]

    @property
    def name(self) -> str:
        return str(self.folder.path)

    @cached_property
    def finished(self) -> set[str]:
        return self.folder.finished()

    @property
    def has_data(self) -> bool:
        """Whether the data set lies where the study says."""
        return is_synthetic(self.study.data) or Path(self.study.data).exists()

    @property
    def is_augmented(self) -> bool:
        """Whether the version of augmentation enters a key of it."""
        return any(each.protocol.augmentation != "none" for each in self.study.configurations())

    @cached_property
    def rules(self) -> list[str]:
        """The rules of its splits."""
        return sorted({each.split for each in self.splits})

    def ids(self) -> dict[Place, str]:
        """Return the fingerprint of every split; without the rule if there is only one."""
        rule = "" if len(self.rules) == 1 else None
        return {
            (rule if rule is not None else each.split, each.split_seed, each.fold, each.train_frac): (
                each.ids.fingerprint
            )
            for each in self.splits
        }


def source_of(path: Path) -> Source:
    """Read a study for a merge, while its lock is held.

    Raises:
        UserError: no study, a sequential one, or one that was never trained.
    """
    folder = StudyFolder(path)
    study = folder.study()
    if looks_of(folder) is not None:
        raise UserError(
            f"{path}: is a sequential study: its looks were planned for its own runs, and with more runs or "
            "configurations their error of 5 % would not hold; `segstudy compare` compares "
            "configurations of two studies without merging them"
        )
    packed = pack_record(folder)
    if packed is not None and not packed.is_whole:
        raise UserError(
            f"{path}: was packed without weights or pictures, and a merged study must have them; merge the "
            "study that was packed, or a pack made with --weights --images"
        )
    data, splits = folder.data(), folder.splits()
    if data is None or not splits:
        missing = "data.json" if data is None else "split.json"
        raise UserError(f"{path}: {missing} is missing; `segstudy run {path}` writes it")
    numerics = folder.numerics()
    return Source(folder, study, data, tuple(splits), numerics, _stored_versions(folder, study, numerics))


def _stored_versions(
    folder: StudyFolder, study: Study, numerics: NumericsRecord | None
) -> dict[tuple[str, str], int | str]:
    found = {}
    for factor, level in _components(study):
        stored = getattr(numerics, factor, {})
        if (spelling := relative(level, folder.path)) in stored:
            found[factor, level] = stored[spelling]
    return found


def _components(study: Study) -> list[tuple[str, str]]:
    """Return every architecture and loss of a study, with its factor."""
    return unique(
        (factor, str(level)) for grid in study.grid for factor in COMPONENTS for level in grid[factor]
    )


def refuse_different(sources: Sequence[Source]) -> None:
    """Refuse studies that cannot be one.

    Raises:
        UserError: naming everything in which one differs from the first, with both values.
    """
    first = sources[0]
    for other in sources[1:]:
        if found := list(_differences(first, other)):
            raise UserError(f"{other.name} cannot be merged with {first.name}: {'; '.join(found)}; {AGAIN}")


def _differences(a: Source, b: Source) -> Iterator[str]:
    if a.data.fingerprint != b.data.fingerprint:
        yield f"data: {_data_text(a, b)}"
        return  # then the subsets differ too
    yield from _sample_differences(a.data, b.data)
    yield from _split_differences(a, b)
    if a.study.margin != b.study.margin:
        yield (
            f"margin: {b.study.margin:g}, not {a.study.margin:g} (`segstudy run {b.name} --set "
            f"margin={a.study.margin:g}` changes it, and its report says so)"
        )
    for name in SAME_TRUTH:
        ours, theirs = (levels_text(each.study, name) for each in (a, b))
        if ours != theirs:
            yield f"{name}: {theirs}, not {ours} (scores would mean different things)"
    yield from _numerics_differences(a, b)


def _data_text(a: Source, b: Source) -> str:
    """Return in which samples two data sets differ."""
    ours, theirs = ({each.id: (each.image, each.mask) for each in s.data.samples} for s in (a, b))
    both = ours.keys() & theirs.keys()
    num_changed = sum(ours[each] != theirs[each] for each in both)
    text = (
        f"{b.data.name} ({counted(len(theirs), 'sample')}, {b.data.fingerprint}), not {a.data.name} "
        f"({counted(len(ours), 'sample')}, {a.data.fingerprint})"
    )
    added, gone = len(theirs.keys() - both), len(ours.keys() - both)
    parts = [f"{added} only there" * bool(added), f"{gone} missing there" * bool(gone)]
    parts.append(f"{num_changed} with another image or mask" * bool(num_changed))
    return ", ".join([text, *filter(None, parts)])


def _sample_differences(a: DataRecord, b: DataRecord) -> Iterator[str]:
    """Yield the fields of samples that no fingerprint has: they decide on splits, intervals and subgroups."""
    theirs = {sample.id: sample for sample in b.samples}
    for name in ("group", "category", "part"):
        changed = [
            sample
            for sample in a.samples
            if getattr(sample, name) != getattr(theirs.get(sample.id, sample), name)
        ]
        if changed:
            was, is_ = getattr(changed[0], name), getattr(theirs[changed[0].id], name)
            yield (
                f"{name} of {counted(len(changed), 'sample')}: {is_}, not {was}, of {changed[0].id} "
                "(read the data with the same tables, and run again)"
            )


def _split_differences(a: Source, b: Source) -> Iterator[str]:
    if a.study.folds != b.study.folds:
        yield f"folds: {b.study.folds}, not {a.study.folds}"
        return
    if a.rules != b.rules and max(len(a.rules), len(b.rules)) > 1:
        yield f"split: {', '.join(b.rules)}, not {', '.join(a.rules)}"
        return
    ours, theirs = levels_text(a.study, "split_seed"), levels_text(b.study, "split_seed")
    if ours != theirs:
        yield f"split_seed: {theirs}, not {ours}"
        return
    mine, others = a.ids(), b.ids()
    changed = [place for place in mine if place in others and others[place] != mine[place]]
    if changed:
        _, seed, fold, frac = changed[0]
        where = f"split_seed {seed}" + (f", fold {fold}" if fold is not None else "")
        where += f", train_frac {frac:g}" if frac != 1 else ""
        yield f"split: the subsets of {counted(len(changed), 'split')} have other images ({where})"


def _numerics_differences(a: Source, b: Source) -> Iterator[str]:
    """Yield versions of the code that differ: runs of both have other keys and must not share a row."""
    if a.numerics is None or b.numerics is None:
        if a.numerics is not b.numerics:
            lacks = a if a.numerics is None else b
            yield f"numerics.json is missing from {lacks.name} (`segstudy run {lacks.name}` writes it)"
        return
    ours, theirs = _versions(a), _versions(b)
    changed = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    if changed:
        named = [f"{name} {_short(theirs[name])}, not {_short(ours[name])}" for name in changed]
        yield f"versions of the code: {', '.join(named)} (run the older study again with this version)"


def _versions(source: Source) -> dict[str, int | str]:
    """Return the version of every part of the code that a study was trained with, by its spelling."""
    assert source.numerics is not None
    found: dict[str, int | str] = {
        name: getattr(source.numerics, name) for name in ("preprocessing", "training")
    }
    if source.is_augmented:
        found["augmentation"] = source.numerics.augmentation
    found |= {level: version for (_, level), version in source.versions.items()}
    in_bfloat16 = {
        each.architecture for each in source.study.configurations() if each.protocol.precision == "bfloat16"
    }
    return found | {f"{each} in bfloat16": source.numerics.bfloat16.get(each, 1) for each in in_bfloat16}


def _short(version: int | str) -> str:
    return str(version)[:12]


def spelled_alike(sources: Sequence[Source]) -> list[Source]:
    """Return the studies with one spelling for each of the users' own files, and for the rule of the split.

    Two files are one component if name and content are equal, wherever they lie: their keys are equal too.
    """
    spellings = _spellings(sources)
    return [_respelled(source, spellings, sources[0].study.protocol.split) for source in sources]


def _spellings(sources: Sequence[Source]) -> dict[tuple[str, str, int | str], str]:
    """Return one spelling for every component, by factor, title and version: of a file that is there."""
    found: dict[tuple[str, str, int | str], str] = {}
    for source in sources:
        for (factor, level), version in source.versions.items():
            place = (factor, title(level), version)
            file = parse_sum(found.get(place, level)).file
            if place not in found or (file is not None and not file.exists()):
                found[place] = level
    return found


def _respelled(source: Source, spellings: Mapping[tuple[str, str, int | str], str], rule: str) -> Source:
    new = {
        (factor, level): spellings[factor, title(level), version]
        for (factor, level), version in source.versions.items()
    }
    one_rule = len(source.rules) == 1
    grids = [
        {
            factor: tuple(new.get((factor, str(level)), level) for level in levels)
            for factor, levels in grid.items()
            if not (factor == "split" and one_rule)
        }
        for grid in source.study.grid
    ]
    protocol = source.study.protocol
    if one_rule:
        protocol = protocol.model_copy(update={"split": rule})
    return replace(
        source,
        study=source.study.model_copy(update={"grid": tuple(grids), "protocol": protocol}),
        versions={(place[0], new[place]): version for place, version in source.versions.items()},
    )
