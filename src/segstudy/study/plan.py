"""The plan of a study: read the data, plan its runs, and find those that are missing."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from segstudy.config.check_command import check_command
from segstudy.config.grid_text import how_to_leave_out, in_words
from segstudy.config.protocol import unique
from segstudy.config.runs import Configuration, Run, configuration_names
from segstudy.config.study import Study, planned_runs
from segstudy.config.study_file import dump, relative
from segstudy.core.atomic_files import write_text
from segstudy.core.device import best_precision
from segstudy.core.mask_rules import MaskMeaning
from segstudy.core.progress import Stage, silent
from segstudy.core.windowing import Size
from segstudy.data import augment, preprocess
from segstudy.data.check import refuse_errors
from segstudy.data.class_findings import NO_BACKGROUND
from segstudy.data.datasets import read, refuse_gone
from segstudy.data.fingerprint import contents, fingerprint, fingerprint_of
from segstudy.data.leakage import leaks
from segstudy.data.samples import PARTS, Dataset
from segstudy.data.split import Split, about_folds
from segstudy.evaluation.best_iou import best_iou, best_iou_text, is_low
from segstudy.losses import resolve_loss
from segstudy.models import check_size, lower_precision_numerics, resolve_architecture
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import Looks
from segstudy.store.preregistration import register
from segstudy.store.records import BestIou, DataRecord
from segstudy.study.findings import Findings, decided, find
from segstudy.study.machine import Machine
from segstudy.study.network_inputs import native_sizes, tiles_texts
from segstudy.study.overview import Overview
from segstudy.study.splits import SplitKey, key_of_split, splits_of
from segstudy.training import loop


@dataclass(frozen=True)
class Plan:
    """A study with everything resolved, and its runs.

    Attributes:
        study: components in canonical form, ``auto`` resolved.
        dataset: the samples, without the excluded ones.
        findings: about the data, and about what its masks mean.
        data: the samples' fingerprint.
        splits: all subsets, see ``study.splits``.
        runs: all of them, equal ones once.
        numerics: the versions of the code that enter each configuration's keys.
        best_iou: what each image size allows on the test images.
        native_sizes: height and width of each image by id, if any configuration takes tiles of them.
        num_earlier: runs that an earlier version of segstudy has finished, with another arithmetic.
        num_earlier_begun: runs that it has begun, so that they have a saved state.
    """

    study: Study
    dataset: Dataset
    findings: Findings
    data: str
    splits: Mapping[SplitKey, Split]
    runs: tuple[Run, ...]
    numerics: Mapping[Configuration, Mapping[str, int | str]]
    best_iou: tuple[BestIou, ...] = ()
    native_sizes: Mapping[str, Size] = field(default_factory=dict)
    num_earlier: int = 0
    num_earlier_begun: int = 0

    def overview(self) -> Overview:
        """Return the summary for the user."""
        counts = Counter(each.severity for each in self.findings.problems)
        splits = unique(self.split_of(run) for run in self.runs)
        return Overview(
            name=self.study.name,
            num_runs=len(self.runs),
            num_configurations=len(self.configurations()),
            data=self.dataset.name,
            num_samples=len(self.dataset.samples),
            parts=tuple(sorted({(len(s.train), len(s.validation), len(s.test)) for s in splits})),
            num_warnings=counts["warning"],
            num_notes=counts["note"],
            warnings=self.findings.warnings,
            check=check_command(self.study),
            best_iou=tuple((best_iou_text(each), is_low(each)) for each in self.best_iou),
            grids=in_words(self.study),
            leave_out=how_to_leave_out(self.study),
            folds=self._about_folds(),
            about_classes=NO_BACKGROUND if self.study.protocol.outputs().lacks_background else "",
            tiles=tiles_texts(
                unique((run.configuration.protocol, self.split_of(run)) for run in self.runs),
                self.native_sizes,
            ),
            unscored=tuple(self.findings.unscored_classes(self._used(self.runs))),
            num_earlier=self.num_earlier,
            num_earlier_begun=self.num_earlier_begun,
        )

    def _about_folds(self) -> str:
        """Say what becomes of official subsets if the study has folds."""
        rules = unique(each.protocol.split for each in self.configurations()) if self.study.folds else []
        return "; ".join(unique(about_folds(self.dataset.samples, rule) for rule in rules))

    def leaks(self, runs: Sequence[Run]) -> list[str]:
        """Return in words samples that show the same and are in different subsets of these runs' splits."""
        return leaks(self.findings.problems, unique(self.split_of(run) for run in runs))

    def empty_subsets(self, runs: Sequence[Run]) -> list[str]:
        """Subsets of the splits of these runs without any foreground, in words."""
        return self.findings.empty_subsets(self._used(runs))

    def _used(self, runs: Sequence[Run]) -> list[tuple[Split, MaskMeaning]]:
        """The subsets of these runs, and what masks mean there."""
        return unique((self.split_of(run), run.configuration.protocol.mask_meaning()) for run in runs)

    def split_of(self, run: Run) -> Split:
        return self.splits[key_of_split(run.configuration.protocol, run.replicate)]

    def configurations(self) -> list[Configuration]:
        """Return the planned configurations, in the study's order: of several with equal keys the first."""
        planned = {run.configuration for run in self.runs}
        return [each for each in self.study.configurations() if each in planned]

    def names(self) -> dict[str, str]:
        """Return the configuration's name of each run, by key."""
        configurations = self.configurations()
        by_configuration = dict(zip(configurations, configuration_names(configurations), strict=True))
        return {run.key: by_configuration[run.configuration] for run in self.runs}


def make_plan(
    study: Study, machine: Machine, stored: DataRecord | None = None, stage: Stage = silent
) -> Plan:
    """Read and check the data, make the splits and return the plan. Writes nothing.

    Args:
        study: as the user wrote it.
        machine: resolves ``precision = auto``.
        stored: ``data.json`` of a study folder: equal data are not checked a second time.
        stage: called with what is being done.

    Raises:
        UserError: invalid components, invalid data or an impossible split.
    """
    stage("finding the images and masks", 0, 0)
    study = resolve(study, machine)
    refuse_gone(study.data)
    dataset = read(study.data, study.reader, study.exclude)
    total = len(dataset.samples)
    data = fingerprint(dataset.samples, lambda done: stage("reading images and masks", done, total))
    findings = find(
        dataset,
        data,
        study,
        stored,
        lambda done: stage("checking the data", done, total),
        lambda done, of: stage("comparing the images with each other", done, of),
    )
    refuse_errors(findings.problems)
    return plan_on(study, dataset, data, findings, stage)


def plan_on(study: Study, dataset: Dataset, data: str, findings: Findings, stage: Stage = silent) -> Plan:
    """Return the plan of a resolved study on data that were read and checked.

    ``stage`` is called with the name of each stage.

    Raises:
        UserError: an impossible split.
    """
    study = decided(study, findings)
    splits = splits_of(study, dataset.samples)
    preprocessing = preprocess.numerics(sample.image for sample in dataset.samples)
    numerics = _all_numerics(preprocessing, study.configurations())
    runs = planned_runs(
        study,
        data,
        lambda protocol, replicate: splits[key_of_split(protocol, replicate)].fingerprint,
        numerics.__getitem__,
    )
    best = _best_iou(study, dataset, data, splits, stage)
    sizes = native_sizes(dataset.samples, [each.protocol for each in study.configurations()])
    return Plan(study, dataset, findings, data, splits, tuple(runs), numerics, best, sizes)


def _best_iou(
    study: Study, dataset: Dataset, data: str, splits: Mapping[SplitKey, Split], stage: Stage
) -> tuple[BestIou, ...]:
    """What each image size of a study allows, on the test images of all its splits."""
    tested = {sample_id for split in splits.values() for sample_id in split.test}
    samples = [sample for sample in dataset.samples if sample.id in tested]

    def measured(done: int, total: int) -> None:
        stage("measuring what the image size allows", done, total)

    protocols = unique(configuration.protocol for configuration in study.configurations())
    resized = [p for p in protocols if p.resize != "tiles"] if samples else []  # tiles lose nothing
    settings = unique((p.image_size, p.resize, p.mask_meaning()) for p in resized)
    return tuple(
        best_iou(samples, data, size, resize, meaning, measured) for size, resize, meaning in settings
    )


def resolve(study: Study, machine: Machine) -> Study:
    """Return the study with components in canonical form and ``auto`` values decided.

    Raises:
        UserError: an unknown architecture, loss or option.
    """

    def level(factor: str, value: Any) -> Any:
        if factor == "architecture":
            return resolve_architecture(value)[0].spelling
        if factor == "loss":
            return resolve_loss(value, study.protocol.outputs())[0].spelling
        return best_precision(machine.device) if (factor, value) == ("precision", "auto") else value

    grids = [{f: _once(level(f, v) for v in levels) for f, levels in grid.items()} for grid in study.grid]
    protocol = study.protocol.model_copy(update={"precision": level("precision", study.protocol.precision)})
    resolved = study.model_copy(update={"grid": tuple(grids), "protocol": protocol})
    for configuration in resolved.configurations():
        check_size(*configuration.protocol.image_size)
    return resolved


def _once(levels: Iterable[Any]) -> tuple[Any, ...]:
    """Return levels in their order, equal ones once; some are lists."""
    return tuple({json.dumps(level): level for level in levels}.values())


def _all_numerics(
    preprocessing: int, configurations: Sequence[Configuration]
) -> dict[Configuration, dict[str, int | str]]:
    """Return the versions of each configuration's code; each component is looked up once."""
    found: dict[tuple[str | None, ...], dict[str, int | str]] = {}
    numerics: dict[Configuration, dict[str, int | str]] = {}
    for each in configurations:
        protocol = each.protocol
        kind = each.architecture, each.loss, protocol.augmentation, protocol.precision, protocol.class_weights
        if kind not in found:
            found[kind] = _numerics(preprocessing, each)
        numerics[each] = dict(found[kind])
    return numerics


def _numerics(preprocessing: int, configuration: Configuration) -> dict[str, int | str]:
    protocol = configuration.protocol
    is_weighted = protocol.class_weights is not None
    versions: dict[str, int | str] = {
        "architecture": resolve_architecture(configuration.architecture)[1],
        "loss": resolve_loss(configuration.loss, protocol.outputs(), is_weighted)[1],
        "preprocessing": preprocessing,
        "training": loop.NUMERICS,
    }
    if protocol.augmentation != "none":
        versions["augmentation"] = augment.NUMERICS
    return versions | lower_precision_numerics(configuration.architecture, protocol.precision)


def missing_runs(plan: Plan, folder: StudyFolder, retry: bool = False) -> list[Run]:
    """Return the planned runs that are not stored; diverged ones only with ``retry``."""
    finished = folder.finished()
    diverged = {key for key, failure in folder.failed().items() if failure.reason == "diverged"}
    return [run for run in plan.runs if run.key not in finished and (retry or run.key not in diverged)]


def write_plan(plan: Plan, folder: StudyFolder) -> None:
    """Write ``study.toml``, ``split.json`` and ``data.json``, replacing older ones.

    Raises:
        UserError: when the folder cannot be written.
    """
    folder.create()
    dataset, hashes = plan.dataset, _hashes_of_files(plan)
    write_text(folder.path / "study.toml", dump(plan.study, folder.path))
    splits = [_split_record(key, parts) for key, parts in plan.splits.items()]
    folder.write_json("split.json", {"splits": splits})
    folder.write_json("numerics.json", _stored_numerics(plan, folder))
    folder.write_json(
        "data.json",
        {
            "name": dataset.name,
            "reader": dataset.reader,
            "terms": dataset.terms,
            "citation": dataset.citation,
            "group_noun": dataset.group_noun,
            "fingerprint": plan.data,
            "samples": [
                {"id": s.id, "group": s.group, "category": s.category, "part": s.part, **hashes.get(s.id, {})}
                for s in dataset.samples
            ],
            **plan.findings.record(dataset, plan.study.mask_meanings()),
            "best_iou": [each.model_dump(mode="json") for each in plan.best_iou],
            "leaks": plan.leaks(plan.runs),
        },
    )


def _split_record(key: SplitKey, parts: Split) -> dict[str, Any]:
    """Return a split as ``split.json`` has it; whole ones as before there was ``train_frac``."""
    place = key._asdict()
    if key.train_frac == 1:
        del place["train_frac"]
    return {**place, **{part: list(parts.part(part)) for part in PARTS}}


def preregister(plan: Plan, folder: StudyFolder, looks: Looks | None = None) -> None:
    """Write ``preregistration.json`` before the first run; an existing one is never replaced.

    Args:
        plan: of the study.
        folder: of the study.
        looks: of a sequential study.

    Raises:
        DiskError: when it cannot be written.
    """
    planned = None if looks is None else looks.plan.model_dump(mode="json")
    register(folder, plan.study, plan.data, folder.splits(), planned)


def _hashes_of_files(plan: Plan) -> dict[str, dict[str, str]]:
    """Return the hashes of every sample's files; none if a file has changed since the plan was made."""
    found = contents(plan.dataset.samples)
    if fingerprint_of(found) != plan.data:
        return {}
    return {sample_id: {"image": image, "mask": mask} for sample_id, (image, mask) in found.items()}


def _stored_numerics(plan: Plan, folder: StudyFolder) -> dict[str, Any]:
    """Return the content of ``numerics.json``, which distinguishes runs of other versions of the code."""
    found: dict[str, Any] = {"architecture": {}, "loss": {}, "augmentation": augment.NUMERICS}
    for configuration, versions in plan.numerics.items():
        for factor in ("architecture", "loss"):
            found[factor][relative(configuration.level(factor), folder.path)] = versions[factor]
        found |= {name: versions[name] for name in ("preprocessing", "training")}
        if "bfloat16" in versions:
            found.setdefault("bfloat16", {})[configuration.architecture] = versions["bfloat16"]
    return found
