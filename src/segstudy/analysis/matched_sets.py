"""Studies of the same configurations on different data sets: what is common, and what differs."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segstudy.analysis.configurations import Row
from segstudy.analysis.design import COMPONENTS, RECORDING, TRUTH, Design, design_of
from segstudy.analysis.formatting import listed
from segstudy.analysis.results import Results, gather
from segstudy.config.protocol import FACTORS
from segstudy.config.runs import numbered
from segstudy.core.errors import UserError
from segstudy.core.quantities import counted
from segstudy.store.folder import StudyFolder

ACCEPT = "--accept-differences"
NOTED = ("image_size", "resize", "classes", "ignore")  # may follow from the data: said, and not refused
OF_THE_DATA = (*(field for field in TRUTH if field not in NOTED), "intensity")  # each data set has its own
NOT_OF_IOU = (*RECORDING, "nsd_tolerance")  # changes no IoU
MOST_SHARED = 0.5  # of the images of the smaller set: two with more of them are one data set

Key = tuple[str | None, ...]


@dataclass(frozen=True)
class DataSet:
    """A finished study on a data set.

    Attributes:
        name: of the data set; no other set has it.
        folder: of the study.
        results: its scores.
        design: its complete configurations that are tested on the same images.
    """

    name: str
    folder: Path
    results: Results
    design: Design

    @property
    def rows(self) -> list[Row]:
        """Return the configurations of the design."""
        return [row for row in self.results.trained if row.name in self.design.points]

    @property
    def num_images(self) -> int:
        """Return the number of test images."""
        return len(self.results.ids(next(iter(self.design.points))))

    @property
    def num_units(self) -> int:
        """Return the number of their groups."""
        return len(set(self.results.groups_of(next(iter(self.design.points)))))


@dataclass(frozen=True, slots=True)
class CommonConfiguration:
    """A configuration that all studies have: its name here, and in each study."""

    name: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class MatchedSets:
    """Data sets with the configurations that all of them have.

    Attributes:
        sets: at least two.
        configurations: at least two, in the order of the first study.
        left_out: sentences on configurations that are not compared.
        notes: sentences on what differs between the studies.
    """

    sets: tuple[DataSet, ...]
    configurations: tuple[CommonConfiguration, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def matched_sets(folders: Sequence[Path], accept_differences: bool = False) -> MatchedSets:
    """Read studies and find the configurations that all of them have.

    Args:
        folders: of the studies.
        accept_differences: compare even if protocols or versions of the code differ.

    Raises:
        UserError: fewer than two studies, one data set twice, fewer than two common configurations, or
            protocols that differ.
    """
    sets = _named([_data_set(folder) for folder in folders])
    if len(sets) < 2:
        raise UserError(f"compare-sets needs two or more studies on different data sets, got {len(sets)}")
    shared = [_shared_images(a, b) for a, b in itertools.combinations(sets, 2)]
    factors = [
        f
        for f in FACTORS
        if f not in (*COMPONENTS, *OF_THE_DATA, *NOT_OF_IOU)
        and any(len(s.design.levels(f)) > 1 for s in sets)
    ]
    places = [_places(each, factors) for each in sets]
    common = [key for key in places[0] if all(key in other for other in places)]
    left_out = _left_out(sets, places, common)
    if len(common) < 2:
        raise UserError(
            f"{counted(len(common), 'configuration')} in all {len(sets)} studies, at least two are needed. "
            f"{' '.join(left_out)}"
        )
    configurations = _configurations(places, common, factors)
    noted = _noted(sets, configurations, factors, accept_differences)
    return MatchedSets(sets, configurations, left_out, (*noted, *filter(None, shared)))


def _data_set(folder: Path) -> DataSet:
    opened = StudyFolder(folder)
    opened.study()  # raises if there is none
    results = gather(opened)
    design = design_of(results)
    if not design.points:
        raise UserError(f"{folder}: no configuration has all its runs; `segstudy run {folder}` trains them")
    record = opened.data()
    found = DataSet((record.name if record else "") or folder.name, folder, results, design)
    if found.num_units < 2:
        raise UserError(f"{folder}: one test image or group compares nothing; at least two are needed")
    return found


def _named(sets: Sequence[DataSet]) -> tuple[DataSet, ...]:
    """Return the sets with different names: where two have one, the folder's name is added."""
    names = [each.name for each in sets]
    full = [
        each.name if names.count(each.name) == 1 else f"{each.name} ({each.folder.resolve().name})"
        for each in sets
    ]
    return tuple(
        DataSet(name, each.folder, each.results, each.design)
        for name, each in zip(numbered(full), sets, strict=True)
    )


def _shared_images(a: DataSet, b: DataSet) -> str:
    """Return a sentence on images that both sets have; empty if there are none.

    Raises:
        UserError: they are one data set.
    """
    fingerprints = [{row.data for row in each.rows} for each in (a, b)]
    images = [{image for image, _ in each.results.contents.values()} for each in (a, b)]
    both, fewer = len(images[0] & images[1]), min(map(len, images))
    if fingerprints[0] & fingerprints[1] or (fewer and both > MOST_SHARED * fewer):
        same = "equal fingerprints" if fingerprints[0] & fingerprints[1] else f"{both} of {fewer} images"
        raise UserError(
            f"{a.folder} and {b.folder} are on the same data set ({same}): data sets are compared as "
            "independent ones, so leave one of the studies out"
        )
    if not both:
        return ""
    return f"{a.name} and {b.name} share {counted(both, 'image')}: they are not independent."


def _places(each: DataSet, factors: Sequence[str]) -> dict[Key, str]:
    """Return the name of each configuration by its levels of everything that varies in any of the studies."""
    return {
        tuple(point.get(f) for f in (*COMPONENTS, *factors)): name
        for name, point in each.design.points.items()
    }


def _configurations(
    places: Sequence[Mapping[Key, str]],
    common: Sequence[Key],
    factors: Sequence[str],
) -> tuple[CommonConfiguration, ...]:
    names = [tuple(of_set[key] for of_set in places) for key in common]
    if all(len(set(each)) == 1 for each in names):
        return tuple(CommonConfiguration(each[0], each) for each in names)
    shown = [i for i, f in enumerate((*COMPONENTS, *factors)) if f in COMPONENTS or _varies(common, i)]
    titles = [
        "-".join(_part_of_name((*COMPONENTS, *factors)[i], key[i]) for i in shown if key[i] is not None)
        for key in common
    ]
    return tuple(
        CommonConfiguration(title, each) for title, each in zip(numbered(titles), names, strict=True)
    )


def _varies(keys: Sequence[Key], place: int) -> bool:
    return len({key[place] for key in keys}) > 1


def _part_of_name(factor: str, level: str | None) -> str:
    if factor in COMPONENTS:
        return str(level)
    return f"b{level}" if factor == "batch_size" else f"{factor}={level}"


def _left_out(
    sets: Sequence[DataSet], places: Sequence[Mapping[Key, str]], common: Sequence[Key]
) -> tuple[str, ...]:
    """Return sentences on the configurations that are not compared, counted and named."""
    found: dict[Key, str] = {}
    for of_set in places:
        for key, name in of_set.items():
            if key not in common:
                lacking = [s.name for s, other in zip(sets, places, strict=True) if key not in other]
                found.setdefault(key, f"{name} (not in {listed(lacking, joined='or')})")
    said = []
    if found:
        said.append(
            f"Not in all studies: {counted(len(found), 'configuration')}: {listed(list(found.values()))}."
        )
    for each in sets:
        for names, why in (
            (each.design.incomplete, "with missing runs"),
            (each.design.stopped, "stopped at a look"),
            (each.design.other_truths, "tested on other images or masks"),
            (tuple(r.name for r in each.results.rows if r.masks is not None), "masks of other tools"),
        ):
            if names:
                said.append(f"Left out of {each.name}, {why}: {len(names)} ({listed(list(names))}).")
    return tuple(said)


def _noted(
    sets: Sequence[DataSet],
    configurations: Sequence[CommonConfiguration],
    factors: Sequence[str],
    accepted: bool,
) -> list[str]:
    """Return sentences on what differs between the studies.

    Raises:
        UserError: what differs is more than the size of the images, and was not accepted.
    """
    fields = [f for f in FACTORS if f not in (*COMPONENTS, *OF_THE_DATA, *NOT_OF_IOU, *factors)]
    levels = {f: [_level(each, f) for each in sets] for f in fields}
    # A field that a study does not use, as momentum of adam, follows from another difference.
    differing = {f: found for f, found in levels.items() if len(set(found)) > 1 and "" not in found}
    noted = [_beside(f, found, sets) for f, found in differing.items() if f in NOTED]
    serious = [_beside(f, found, sets) for f, found in differing.items() if f not in NOTED]
    serious += list(_versions(sets, configurations))
    if serious and not accepted:
        raise UserError(
            f"the studies differ in more than their data: {'; '.join(serious)}. Train them alike, or give "
            f"{ACCEPT}: then these differences count as differences between the data sets"
        )
    said = [f"The studies differ in {each}." for each in noted]
    said += [
        f"The studies differ in {each}; it counts as a difference between data sets." for each in serious
    ]
    return said


def _level(each: DataSet, field: str) -> str:
    """Return the level of a field that does not vary in a study; empty if it is not used."""
    found = each.design.levels(field)
    return found[0] if found else ""


def _beside(field: str, levels: Sequence[str], sets: Sequence[DataSet]) -> str:
    """Return ``lr (0.003 in ISIC, 0.001 in the others)``."""
    rarest_first = sorted(set(levels), key=lambda level: (levels.count(level), levels.index(level)))
    pairs = []
    for level in rarest_first:
        names = [each.name for each, its in zip(sets, levels, strict=True) if its == level]
        others = len(names) > 1 and level == rarest_first[-1] and len(rarest_first) > 1
        pairs.append(f"{level} in {'the others' if others else listed(names, len(names))}")
    return f"{field} ({', '.join(pairs)})"


def _versions(sets: Sequence[DataSet], configurations: Sequence[CommonConfiguration]) -> Iterator[str]:
    """Yield the parts of the code that were of another version in another study."""
    seen: set[str] = set()
    for each in configurations:
        versions = [_version(s.results.row(name)) for s, name in zip(sets, each.names, strict=True)]
        for part in sorted(set().union(*versions)):
            found = [str(of_set.get(part, "not stored")) for of_set in versions]
            text = _beside(f"the version of {part} of {each.name}", found, sets)
            if len(set(found)) > 1 and part not in seen:
                seen.add(part)
                yield text


def _version(row: Row) -> dict[str, Any]:
    """Return versions of the code; that of the preprocessing depends on the format of the images."""
    numerics = row.records[0].description.numerics
    return {part: version for part, version in numerics.items() if part != "preprocessing"}
