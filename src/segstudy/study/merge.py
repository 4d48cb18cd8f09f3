"""Several studies of the same data and split as one, in a new folder; none of them is changed.

``study.toml`` is written last: a folder without it is no study, and the same call completes it.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from segstudy.analysis.run_matching import KeyParts, planned_from, planned_of
from segstudy.config.protocol import unique
from segstudy.config.study import Study
from segstudy.config.study_file import dump, relative
from segstudy.config.union import differing_fields, levels_text, union
from segstudy.core.atomic_files import NEW, write_text
from segstudy.core.environment import differing_text
from segstudy.core.errors import UserError
from segstudy.core.json_files import read_json
from segstudy.core.locks import hold, is_held
from segstudy.core.progress import Stage, silent
from segstudy.core.quantities import counted
from segstudy.evaluation.baselines import join_baselines
from segstudy.store import preregistration as registration
from segstudy.store import second_rater
from segstudy.store.copies import copy_external, copy_file, copy_run, copy_states
from segstudy.store.folder import StudyFolder
from segstudy.store.merged import FILE as MERGED
from segstudy.store.merged import (
    MergedSource,
    content_of_merged,
    merged_record,
    source_record,
    write_merged,
)
from segstudy.store.records import FailureRecord, NumericsRecord, Parts, RunRecord
from segstudy.store.study_lock import held_while_read
from segstudy.store.tidying import tidy
from segstudy.study.merge_choice import Chosen, choose
from segstudy.study.merge_sources import Source, refuse_different, source_of, spelled_alike

REPORTS = "reports.json"
BEGUN = {"study.lock", MERGED}  # what a call leaves that was killed before it copied anything
ANOTHER = "choose another folder with --out"


@dataclass(frozen=True)
class Merged:
    """What became one study.

    Attributes:
        path: its folder.
        num_runs: finished ones.
        from_each: how many of them every study had, by its folder.
        num_shared: runs that several of them had, with equal files.
        num_replaced: runs that several had with different numbers: those of the first that had it stayed.
        num_failed: runs that failed and were finished by none.
        num_begun: unfinished runs with a saved state.
        num_left: planned runs that are not finished.
        num_new: of those left, runs that none of the studies had planned.
        differing: fields of the protocol in which the studies differ, so that configurations differ in them.
        environments: differences between finished runs that may change their last bits, in words.
        was_there: whether an earlier call had merged the same runs into this folder, so that nothing changed.
    """

    path: Path
    num_runs: int
    from_each: Mapping[str, int]
    num_shared: int
    num_replaced: int
    num_failed: int
    num_begun: int
    num_left: int
    num_new: int
    differing: tuple[str, ...]
    environments: str = ""
    was_there: bool = False


def merge_studies(
    paths: Sequence[Path], out: Path, accept_differences: bool = False, stage: Stage = silent
) -> Merged:
    """Merge studies into a new folder; see ``segstudy.merge``.

    Raises:
        UserError: studies that cannot be one, damaged runs, or a folder that holds something else.
    """
    _refuse_places(paths, out)
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(held_while_read(StudyFolder(path)))
        return _merged([source_of(path) for path in paths], out, accept_differences, stage)


def _merged(found: Sequence[Source], out: Path, accept_differences: bool, stage: Stage) -> Merged:
    """Merge studies whose locks are held."""
    sources = spelled_alike(found)
    refuse_different(sources)
    chosen = choose(sources, accept_differences)
    records = [source_record(source.folder) for source in sources]
    folder, study = StudyFolder(out), _union(sources, out)
    _refuse_occupied(folder, records, chosen)
    finished = [_finished(source.folder) for source in sources]
    planned = [
        _planned(source.folder, source.folder.study(), runs)
        for source, runs in zip(sources, finished, strict=True)
    ]
    if was_there := folder.exists():
        _unlock(folder)
    else:
        records_of_all = [finished[n][key] for key, n in chosen.runs.items()]
        _refuse_lost(out, study, sources, [*records_of_all, *_failures(sources, chosen)], planned)
        with hold(folder.lock, "this study"):
            _refuse_occupied(folder, records, chosen)
            folder.create()
            write_merged(folder, records, chosen.replaced)
            _copy(folder, sources, chosen, stage)
            _write_beside(folder, sources)
            tidy(folder)
            write_text(folder.path / "study.toml", dump(study, out))
    return _result(folder, sources, chosen, set().union(*planned), was_there)


def _unlock(folder: StudyFolder) -> None:
    """Remove the lock of a call that was killed after it had written everything."""
    if folder.lock.is_file() and not is_held(folder.lock):
        with hold(folder.lock, "this study"):
            pass


def _refuse_places(paths: Sequence[Path], out: Path) -> None:
    """Refuse fewer than two studies, one of them twice, and a folder within another."""
    if len(paths) < 2:
        raise UserError(f"merge takes the folders of two studies or more, got {len(paths)}")
    places = [path.resolve() for path in paths]
    for place, path in zip(places, paths, strict=True):
        if places.count(place) > 1:
            raise UserError(f"{path} is given twice: leave it out once")
        if out.resolve() == place:
            raise UserError(f"--out {out} is one of the studies to merge; {ANOTHER}")
        if out.resolve().is_relative_to(place) or place.is_relative_to(out.resolve()):
            raise UserError(f"{out} and {path} lie in one another, and {path} must not change; {ANOTHER}")


def _refuse_occupied(folder: StudyFolder, records: Sequence[MergedSource], chosen: Chosen) -> None:
    """Refuse a folder with anything but the same merge, finished or begun.

    Raises:
        UserError: naming what is there.
    """
    path = folder.path
    folder.refuse_unwritable()
    if not path.exists():
        return
    before = merged_record(folder)
    is_same = before is not None and before.content == content_of_merged(records, chosen.replaced)
    if folder.exists() and not is_same:
        raise UserError(f"{path}: is a study already, not the one of this call; {ANOTHER}")
    if before is not None and not is_same:
        raise UserError(
            f"{path}: holds an unfinished merge of other studies, or of the same with other runs; delete it, "
            f"or {ANOTHER}"
        )
    strange = sorted(each.name for each in path.iterdir() if not _is_of_begun(each))
    if before is None and strange:
        raise UserError(f"{path}: is not empty (it contains {strange[0]}); {ANOTHER}")


def _is_of_begun(path: Path) -> bool:
    empty = path.name in ("runs", "failures") and path.is_dir() and not any(path.iterdir())
    return empty or path.name in BEGUN or (path.name.startswith(MERGED) and path.name.endswith(NEW))


def _union(sources: Sequence[Source], out: Path) -> Study:
    """Return the study of all their configurations, with the data of the first that are there."""
    study = union([source.study for source in sources])
    place = _with_data(sources).study
    files = [source.study.split_file for source in sources if source.study.split_file]
    there = [file for file in files if Path(file).exists()]
    return study.model_copy(
        update={
            "name": out.resolve().name,
            **{name: getattr(place, name) for name in ("data", "reader", "exclude")},
            "split_file": (there or files)[0] if study.split_file else None,
        }
    )


def _with_data(sources: Sequence[Source]) -> Source:
    return next((source for source in sources if source.has_data), sources[0])


def _copy(folder: StudyFolder, sources: Sequence[Source], chosen: Chosen, stage: Stage) -> None:
    """Copy the runs one by one, then external scores, failures and saved states."""
    for done, (key, n) in enumerate(sorted(chosen.runs.items())):
        stage("copying the runs", done, len(chosen.runs))
        copy_run(sources[n].folder, key, folder)
    stage("copying what else there is", 0, 0)
    for name, path in chosen.externals.items():
        with hold(folder.external_lock, "its scores"):
            copy_external(path, folder.external / name)
    for key, n in chosen.failures.items():
        name = f"{key}.json"
        copy_file(sources[n].folder.failures / name, folder.failures / name)
    for key, n in chosen.begun.items():
        copy_states(sources[n].folder, key, folder)


def _write_beside(folder: StudyFolder, sources: Sequence[Source]) -> None:
    """Write the files beside the runs: about data, split, code, registration and reports."""
    for name in ("thumbnails.parquet", second_rater.FILE):
        files = [source.folder.path / name for source in sources]
        if there := [file for file in files if file.is_file()]:
            copy_file(there[0], folder.path / name)
    baselines = [found for s in sources if (found := s.folder.baselines()) is not None]
    if baselines:
        folder.write_table("baselines.parquet", join_baselines(baselines))
    if reports := _reports(sources):
        folder.write_json(REPORTS, reports)
    folder.write_json("split.json", {"splits": _splits(sources)})
    if numerics := _numerics(sources, folder.path):
        folder.write_json("numerics.json", numerics)
    if (first := _registered_first(sources)) is not None:
        copy_file(first.folder.path / registration.FILE, folder.path / registration.FILE)
    folder.write_json("data.json", _data(sources))


def _reports(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Return every report of every study, the oldest first: each was a look at the test subset."""
    found = [report.model_dump() for source in sources for report in source.folder.reports()]
    once = [each for n, each in enumerate(found) if each not in found[:n]]
    return sorted(once, key=lambda each: str(each["when"]))


def _splits(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Return every split once, by the rule of the first study."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for source in sources:
        for each in source.splits:
            content = each.model_dump(mode="json", exclude_unset=True)
            if len(source.rules) == 1:
                content["split"] = sources[0].rules[0]
            place = (content["split"], each.split_seed, each.fold, each.train_frac)
            found.setdefault(place, content)
    return list(found.values())


def _numerics(sources: Sequence[Source], out: Path) -> dict[str, Any]:
    """Return the versions of the code that the runs of all studies have; none if no study stored them."""
    stored = [source for source in sources if source.numerics is not None]
    if not stored:
        return {}
    augmented = [source for source in stored if source.is_augmented] or stored
    versions: dict[str, dict[str, int | str]] = {"architecture": {}, "loss": {}}
    in_bfloat16: dict[str, int] = {}
    for source in stored:
        for (factor, level), version in source.versions.items():
            versions[factor][relative(level, out)] = version
        in_bfloat16 |= source.numerics.bfloat16 if source.numerics else {}
    of_all, of_augmentation = stored[0].numerics, augmented[0].numerics
    assert of_all is not None
    assert of_augmentation is not None
    return {
        **versions,
        "augmentation": of_augmentation.augmentation,
        "preprocessing": of_all.preprocessing,
        "training": of_all.training,
        **({"bfloat16": in_bfloat16} if in_bfloat16 else {}),
    }


def _registered_first(sources: Sequence[Source]) -> Source | None:
    """Return the study that was registered first; None if the runs of one were begun without registration.

    Every study was registered before its own runs. So the first registration is older than all runs, and all
    that the others add is a change after it, which the report lists.
    """
    found: list[tuple[datetime, Source]] = []
    for source in sources:
        registered = registration.preregistration(source.folder)
        if registered is not None:
            found.append((datetime.fromisoformat(registered.written), source))
        elif source.finished or source.folder.failed() or source.folder.begun():
            return None
    return min(found, key=lambda each: each[0])[1] if found else None


def _data(sources: Sequence[Source]) -> dict[str, Any]:
    """Return data.json: of the study whose data are used, with what the others measured of them."""
    place = _with_data(sources)
    raw = {id(source): read_json(source.folder.path / "data.json") for source in sources}
    content: dict[str, Any] = dict(raw[id(place)])
    for name in ("best_iou", "leaks"):
        lists = [content.get(name) or [], *(each.get(name) or [] for each in raw.values())]
        joined = [entry for entries in lists for entry in entries]
        if any(name in each for each in raw.values()):
            content[name] = [entry for n, entry in enumerate(joined) if entry not in joined[:n]]
    return content


def _planned(folder: StudyFolder, study: Study, finished: Mapping[str, RunRecord]) -> set[str]:
    """Return the keys of all runs that a study in this folder plans."""
    records: list[RunRecord | FailureRecord] = [*finished.values(), *folder.failed().values()]
    return {key for each in planned_of(folder, study, records) for key in each.keys}


def _finished(folder: StudyFolder) -> dict[str, RunRecord]:
    keys = sorted(folder.finished())
    return dict(zip(keys, folder.run_records(keys), strict=True))


def _failures(sources: Sequence[Source], chosen: Chosen) -> list[FailureRecord]:
    failed = {n: sources[n].folder.failed() for n in set(chosen.failures.values())}
    return [failed[n][key] for key, n in chosen.failures.items()]


def _refuse_lost(
    out: Path,
    study: Study,
    sources: Sequence[Source],
    records: Sequence[RunRecord | FailureRecord],
    before: Sequence[set[str]],
) -> None:
    """Refuse a study that would not name a run which its own study names.

    Args:
        out: the folder of the merged study.
        study: the merged one.
        sources: the merged studies.
        records: of the runs and failures that it will have.
        before: keys of the runs that each of the merged studies plans.

    Raises:
        UserError: naming the study and the number of these runs.
    """
    splits, numerics = map(Parts.model_validate, _splits(sources)), _numerics(sources, out)
    versions = NumericsRecord.model_validate(numerics) if numerics else None
    parts = KeyParts(out, sources[0].data.fingerprint, list(splits), versions)
    planned = {key for each in planned_from(parts, study, records) for key in each.keys}
    for source, named in zip(sources, before, strict=True):
        if lost := sorted(named & source.finished - planned):
            raise UserError(
                f"{source.name}: {counted(len(lost), 'run')} of it ({lost[0]}) would not be named by the "
                "merged study; run that study again with this version, then merge"
            )


def _result(
    folder: StudyFolder, sources: Sequence[Source], chosen: Chosen, before: set[str], was_there: bool
) -> Merged:
    finished = _finished(folder)
    keys = finished.keys()
    planned = _planned(folder, folder.study(), finished)
    studies = [source.study for source in sources]
    differing = differing_fields(studies)
    return Merged(
        path=folder.path,
        num_runs=len(finished),
        from_each={source.name: len(source.finished) for source in sources},
        num_shared=chosen.num_shared,
        num_replaced=len(chosen.replaced),
        num_failed=len(folder.failed()),
        num_begun=len(folder.begun() - keys),
        num_left=len(planned - keys),
        num_new=len(planned - before - keys),
        differing=tuple(
            f"{name} ({'; '.join(unique(levels_text(each, name) for each in studies))})" for name in differing
        ),
        environments=differing_text(each for record in finished.values() for each in record.environments),
        was_there=was_there,
    )
