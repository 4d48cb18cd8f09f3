"""Which study gives each run, failure, saved state and external score to the merged one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.core.json_files import read_json
from segstudy.core.quantities import and_more, counted
from segstudy.store.copies import external_files, newest_epoch
from segstudy.store.folder import CLASSES, read_external
from segstudy.store.verify_runs import FILES
from segstudy.study.merge_sources import Source

NAMED = 3  # runs that a message names


@dataclass(frozen=True)
class Chosen:
    """The parts of the merged study.

    Attributes:
        runs: by key, the number of the study that gives it.
        failures: the same of failures of runs that none of the studies finished.
        begun: the same of saved states of unfinished runs: the study that got furthest.
        externals: folders of external scores, by name.
        num_shared: runs that several studies have with equal files.
        replaced: keys of runs that several studies have with different numbers; the first one's is taken.
    """

    runs: Mapping[str, int]
    failures: Mapping[str, int]
    begun: Mapping[str, int]
    externals: Mapping[str, Path]
    num_shared: int
    replaced: tuple[str, ...]


def choose(sources: Sequence[Source], accept_differences: bool) -> Chosen:
    """Choose from each study what the merged one gets: of equal keys that of the first study that has it.

    Raises:
        UserError: one run, or one name of external scores, with different numbers, and not
            ``accept_differences``.
    """
    holders: dict[str, list[int]] = {}
    for n, source in enumerate(sources):
        for key in sorted(source.finished):
            holders.setdefault(key, []).append(n)
    shared = {key: numbers for key, numbers in holders.items() if len(numbers) > 1}
    replaced = [key for key, numbers in shared.items() if not _are_equal(sources, key, numbers)]
    if replaced and not accept_differences:
        raise UserError(_differing_runs(sources, replaced, shared))
    failures: dict[str, int] = {}
    for n, source in enumerate(sources):
        for key in sorted(source.folder.failed().keys() - holders.keys()):
            failures.setdefault(key, n)
    return Chosen(
        runs={key: numbers[0] for key, numbers in holders.items()},
        failures=failures,
        begun=_furthest(sources, holders),
        externals=_externals(sources, accept_differences),
        num_shared=len(shared) - len(replaced),
        replaced=tuple(replaced),
    )


def _are_equal(sources: Sequence[Source], key: str, numbers: Sequence[int]) -> bool:
    """Whether all of these studies have this run with the same files, apart from run.json."""
    found = [_checksums(sources[n], key) for n in numbers]
    return all(each.get(name) == found[0].get(name) for each in found[1:] for name in FILES | _in_all(found))


def _in_all(found: Sequence[Mapping[str, str]]) -> set[str]:
    return set.intersection(*(set(each) for each in found))


def _checksums(source: Source, key: str) -> dict[str, str]:
    content = read_json(source.folder.runs / key / "run.json")
    checksums = content.get("sha256") if isinstance(content, dict) else None
    return checksums if isinstance(checksums, dict) else {}


def _differing_runs(
    sources: Sequence[Source], replaced: Sequence[str], shared: Mapping[str, Sequence[int]]
) -> str:
    key = replaced[0]
    names = [sources[n].name for n in shared[key]]
    more = and_more(len(replaced) - NAMED)
    return (
        f"{counted(len(replaced), 'run')} with different files in {' and '.join(names)}: "
        f"{', '.join(replaced[:NAMED])}{more}. One key should give the same bits; other hardware or "
        f"libraries give others (`segstudy status` names them). --accept-differences takes those of "
        f"{names[0]}; or remove them from one study"
    )


def _furthest(sources: Sequence[Source], finished: Mapping[str, object]) -> dict[str, int]:
    """Return which study's saved states each unfinished run continues from: the furthest that are whole."""
    best: dict[str, tuple[int, int]] = {}
    for n, source in enumerate(sources):
        for key in sorted(source.folder.begun() - finished.keys()):
            epoch = newest_epoch(source.folder, key)
            if epoch > best.get(key, (0, 0))[0]:
                best[key] = (epoch, n)
    return {key: n for key, (_, n) in best.items()}


def _externals(sources: Sequence[Source], accept_differences: bool) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for source in sources:
        for name, path in external_files(source.folder).items():
            there = found.setdefault(name, path)
            if there != path and not accept_differences and not _same_scores(there, path):
                raise UserError(
                    f"{there} and {path} have one name and different scores; --accept-differences takes the "
                    f"first, or score one of them again under another name"
                )
    return found


def _same_scores(a: Path, b: Path) -> bool:
    """Whether two folders hold scores of the same kind and of the same values."""
    kinds = [read_external(path / "record.json").kind for path in (a, b)]
    try:
        tables = [_tables(path) for path in (a, b)]
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}); score it again") from None
    return kinds[0] == kinds[1] and tables[0] == tables[1]


def _tables(scores: Path) -> list[bytes]:
    files = [scores / "images.parquet", scores / CLASSES]
    return [file.read_bytes() for file in files if file.name != CLASSES or file.exists()]
