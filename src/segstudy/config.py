"""What a study is, as values: protocol, grids, study; and the runs they plan.

Everything is frozen and validated once, here; unknown keys are refused with the known ones named.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)

from segstudy.components import distinct_titles, title
from segstudy.errors import UserError
from segstudy.explanations import explained
from segstudy.presets import PRESETS
from segstudy.suggestions import choose_of
from segstudy.values import Frozen, Positive, Size

MAX_CONFIGURATIONS, MAX_RUNS = (
    10_000,
    100_000,
)  # of a study: far above what anybody trains, far below a memory
Fraction = Annotated[float, Field(gt=0, lt=1)]


def _classes(value: object) -> object:
    """``1``, ``"1"`` and ``"1+2"`` to tuples: the command line's comma already separates levels."""
    match value:
        case bool():
            return value
        case int():
            return (value,)
        case str():
            return tuple(value.split("+"))
    return value


Classes = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), BeforeValidator(_classes)]


class Protocol(Frozen):
    """Everything that is held equal between configurations; any field can also be a factor.

    The defaults are the original study's, the ``classic`` protocol.
    """

    image_size: Size = Field((256, 256), description="height and width in pixels: N or HxW")
    resize: Literal["squash", "pad"] = Field("squash", description="squash to the size, or pad")
    foreground: Classes | None = Field(None, description="values of a multi-class mask that count")
    split: str = Field("auto", description="50/25/25, official, or auto: official where there is")
    split_seed: int = Field(0, ge=0, le=2**63 - 1, description="nothing else decides which sample goes where")
    width: Positive = Field(64, le=4096, description="channels of the first stage")
    batch_size: Positive = Field(8, le=65_536, description="images per step")
    micro_batch: int | None = Field(
        None, ge=1, le=65_536, description="images per forward pass, where memory does not hold a whole batch"
    )
    budget: Literal["epochs", "steps"] = Field(
        "epochs", description="what is equal for all: passes or updates"
    )
    epochs: Positive = Field(80, le=1_000_000, description="passes over the training images")
    steps: Positive = Field(1000, le=1_000_000_000, description="updates, where the budget is steps")
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = Field(1e-3, gt=0, le=100, description="learning rate (the highest, for onecycle)")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(0.0, ge=0, le=10)
    scheduler: Literal["plateau", "cosine", "onecycle", "none"] = "plateau"
    plateau_on: Literal["val_loss", "val_iou"] = Field("val_loss", description="where no gain is looked for")
    plateau_factor: Fraction = 0.5
    plateau_threshold: float = Field(0.005, ge=0, lt=1, description="relative improvement that counts")
    plateau_patience: int = Field(
        3, ge=0, le=1_000_000, description="epochs without improvement that are borne"
    )
    augmentation: Literal["none", "flips", "full"] = Field(
        "none", description="full: flips, rotation, scale and colour"
    )
    select: Literal["val_iou", "last"] = Field("val_iou", description="which epoch's weights are kept")
    precision: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    record_test: bool = Field(True, description="record test loss and IoU every epoch, for diagnosis only")

    def numbers(self) -> dict[str, Any]:
        """The fields that can change a run's numbers: without what the rest of the protocol leaves idle."""
        fields = self.model_dump(mode="json")
        idle = {"split", "split_seed"}  # enter through the ids of the parts
        if self.micro_batch is not None and self.micro_batch >= self.batch_size:
            fields["micro_batch"] = None
        idle |= {"steps"} if self.budget == "epochs" else {"epochs"}
        if self.optimizer != "sgd":
            idle.add("momentum")
        if self.scheduler != "plateau":
            idle |= {name for name in fields if name.startswith("plateau_")}
        return {name: value for name, value in fields.items() if name not in idle}


FACTORS = ("architecture", "loss", *Protocol.model_fields)

Level = bool | int | float | str | list[int]
Grid = dict[str, tuple[Level, ...]]


class Configuration(Frozen):
    """One point of a grid: what a row of the leaderboard stands for."""

    architecture: str
    loss: str
    protocol: Protocol

    def level(self, factor: str) -> Any:
        """The value of one factor here."""
        if factor in ("architecture", "loss"):
            return getattr(self, factor)
        return self.protocol.model_dump(mode="json")[factor]


class Run(Frozen):
    """One training: a configuration with its seed and fold, on given data and a given split.

    Attributes:
        configuration: what is trained, and how.
        seed: names the streams of initialisation, order and augmentation.
        fold: the fold, or None without folds.
        data: fingerprint of the samples (ids, images, masks).
        split: fingerprint of the ids of each part.
        numerics: versions of the code whose numbers enter, by component.
    """

    configuration: Configuration
    seed: int
    fold: int | None
    data: str
    split: str
    numerics: dict[str, int | str]

    def description(self) -> dict[str, Any]:
        """What makes this run's numbers what they are, and nothing else."""
        described = {
            "architecture": title(self.configuration.architecture),
            "loss": title(self.configuration.loss),
            **self.configuration.protocol.numbers(),
            "seed": self.seed,
            "data": self.data,
            "split": self.split,
            "numerics": self.numerics,
        }
        return {name: value for name, value in described.items() if value != ADDED_LATER.get(name, _NEVER)}

    @cached_property
    def key(self) -> str:
        """What names this run's folder: equal keys, equal results."""
        return key_of(self.description())


def key_of(description: Mapping[str, Any]) -> str:
    """16 hex digits of the SHA-256 of the canonical JSON of a run's description."""
    canonical = json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


_NEVER = object()
# A field that a later version adds, with the value that stands for the behaviour before it existed:
# at that value it is not hashed, so keys of older studies hold; records of older runs are read with it.
ADDED_LATER: dict[str, Any] = {"micro_batch": None}


class Study(Frozen):
    """Data, split, protocol and grids: everything a study file says."""

    name: str = Field(pattern=r"^[^/\\\x00-\x1f]{1,100}$", description="names the study's folder")
    data: str = Field(description="a folder, or synthetic with options as synthetic:n=60")
    reader: str | None = Field(None, description="how to read it; detected if left out")
    preset: Literal["quick", "classic", "thorough"] = Field(
        "classic", description="what fields left out come from"
    )
    seeds: Positive = Field(1, le=10_000, description="runs of each configuration, with seeds 0 to N-1")
    folds: int = Field(0, ge=0, le=100, description="0 for one split, else the number of folds, at least 3")
    exclude: tuple[str, ...] = Field((), description="ids of samples left out")
    accept_duplicates: bool = Field(False, description="train though one photograph lies in several parts")
    split_file: str | None = Field(None, description="a split.json that decides the parts")
    protocol: Protocol
    grid: tuple[Grid, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name in (".", ".."):
            raise ValueError(f"name {self.name!r} would write into a folder that is there: choose another")
        if self.folds in (1, 2):
            raise ValueError(
                "folds is 0, or 3 and more: one part to test, one to validate, the rest to train"
            )
        if self.split_file and self.folds:
            raise ValueError("split_file and folds exclude each other")
        if not self.grid:
            raise ValueError("there is no grid: write at least one [[grid]], or leave grid out")
        for grid in self.grid:
            for factor, levels in grid.items():
                if factor not in FACTORS:
                    raise ValueError(f"unknown factor {factor!r} in a grid: {choose_of(factor, FACTORS)}")
                if not levels:
                    raise ValueError(f"factor {factor!r} of a grid has no values")
        if not all({"architecture", "loss"} <= grid.keys() for grid in self.grid):
            raise ValueError("every grid names its architecture and loss")
        return self

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        """Refuse what no memory holds before it is spelled out."""
        num_configurations = sum(math.prod(map(len, grid.values())) for grid in self.grid)
        if num_configurations > MAX_CONFIGURATIONS:
            raise ValueError(
                f"the grids span {num_configurations} configurations, more than {MAX_CONFIGURATIONS}"
            )
        num_runs = num_configurations * self.seeds * max(1, self.folds)
        if num_runs > MAX_RUNS:
            raise ValueError(
                f"{num_runs} runs are planned, more than {MAX_RUNS}: fewer seeds, folds or levels"
            )
        self.configurations()
        return self

    def configurations(self) -> list[Configuration]:
        """Every point of every grid, in order, equal ones once."""
        points = []
        for grid in self.grid:
            for levels in itertools.product(*grid.values()):
                point = dict(zip(grid, levels, strict=True))
                architecture, loss = str(point.pop("architecture")), str(point.pop("loss"))
                try:
                    protocol = Protocol.model_validate({**self.protocol.model_dump(), **point})
                except ValidationError as error:
                    raise ValueError(_explain(error, True)) from None
                points.append(Configuration(architecture=architecture, loss=loss, protocol=protocol))
        return list({point.model_dump_json(): point for point in points}.values())

    def foregrounds(self) -> list[tuple[int, ...] | None]:
        """The classes that count as foreground, of all configurations; several where they are a factor."""
        return unique(configuration.protocol.foreground for configuration in self.configurations())

    def fold_numbers(self) -> list[int | None]:
        return list(range(self.folds)) if self.folds else [None]


def planned_runs(
    study: Study,
    data: str,
    split_of: Callable[[Protocol, int | None], str],
    numerics_of: Callable[[Configuration], dict[str, int | str]],
) -> list[Run]:
    """All runs of a study, equal ones once: replicate by replicate, so that a table fills evenly.

    Args:
        study: with ``auto`` values resolved and components in canonical form.
        data: fingerprint of the samples.
        split_of: fingerprint of the parts for a protocol and fold.
        numerics_of: the versions that enter a configuration's keys.
    """
    runs = [
        Run(
            configuration=configuration,
            seed=seed,
            fold=fold,
            data=data,
            split=split_of(configuration.protocol, fold),
            numerics=numerics_of(configuration),
        )
        for seed in range(study.seeds)
        for fold in study.fold_numbers()
        for configuration in study.configurations()
    ]
    once: dict[str, Run] = {}
    for run in runs:
        once.setdefault(run.key, run)
    return list(once.values())


def configuration_names(configurations: Sequence[Configuration]) -> list[str]:
    """``unet-combo-b8``, followed by whatever other factors differ between these configurations.

    No two are equal: of files of one name as much of the path is shown as tells them apart.
    """
    varying = [
        factor
        for factor in Protocol.model_fields
        if factor != "batch_size" and len({json.dumps(c.level(factor)) for c in configurations}) > 1
    ]
    architectures = distinct_titles(c.architecture for c in configurations)
    losses = distinct_titles(c.loss for c in configurations)
    return numbered(
        "-".join(
            [
                architectures[c.architecture],
                losses[c.loss],
                f"b{c.protocol.batch_size}",
                *(f"{factor}={spelled(factor, c.level(factor))}" for factor in varying),
            ]
        )
        for c in configurations
    )


def numbered(names: Iterable[str]) -> list[str]:
    """These names, those that came before with a number behind them: no two are equal."""
    given: dict[str, None] = {}
    for name in names:
        others = (f"{name} ({n})" for n in itertools.count(2))
        given[next(each for each in itertools.chain([name], others) if each not in given)] = None
    return list(given)


def spelled(factor: str, value: Any) -> str:
    """As one word: a size as ``128`` or ``96x128``, classes as ``1+2``."""
    if factor == "image_size":
        return "x".join(map(str, unique(value)))
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def preset_study(preset: str, name: str, data: str) -> Study:
    """The study that a preset's name stands for, on some data.

    Raises:
        UserError: an unknown preset, with the choices.
    """
    if preset not in PRESETS:
        raise UserError(f"unknown protocol {preset!r}: choose one of {', '.join(PRESETS)}")
    return validated({"name": name, "data": data, "preset": preset, **PRESETS[preset]}, "")


def override(study: Study, fields: Mapping[str, Sequence[Level]]) -> Study:
    """The study with options of the command line in force.

    An option that names a factor replaces it in every grid; several values make a factor of a
    protocol field. Fields of the study itself take one value.

    Raises:
        UserError: an unknown field or a value it does not take.
    """
    raw = study.model_dump()
    grids = [dict(grid) for grid in raw["grid"]]
    for field, levels in fields.items():
        if not levels and field != "exclude":
            raise UserError(f"{field} has no value: give one, or leave it out")
        if field in FACTORS:
            is_factor = field in ("architecture", "loss") or len(levels) > 1
            if not is_factor:
                raw["protocol"][field] = levels[0]
            for grid in grids:
                if is_factor or field in grid:
                    grid[field] = tuple(levels)
        elif field == "exclude":
            raw[field] = tuple(levels)
        elif field in ("reader", "seeds", "folds", "accept_duplicates", "split_file", "name", "data"):
            if len(levels) > 1:
                raise UserError(f"{field} takes one value, not {len(levels)}: it is no factor")
            raw[field] = levels[0]
        else:
            choices = (*FACTORS, "seeds", "folds", "reader")
            raise UserError(f"unknown field {field!r}: {choose_of(field, choices)}")
    return validated({**raw, "grid": grids}, "")


def extend(study: Study, fields: Mapping[str, Sequence[Level]]) -> Study:
    """A stored study with more runs: what options name is added beside what is there.

    Factors make further grids, where these bring a configuration that is not there yet; ``seeds`` and
    other fields of the study are replaced.

    Raises:
        UserError: an unknown field or a value it does not take.
    """
    factors = {name: tuple(levels) for name, levels in fields.items() if name in FACTORS}
    study = override(study, {name: levels for name, levels in fields.items() if name not in FACTORS})
    if not factors:
        return study
    grids, known = list(study.grid), set(study.configurations())
    for grid in study.grid:
        added = {**grid, **factors}
        points = validated({**study.model_dump(), "grid": [added]}, "").configurations()
        if not known.issuperset(points):
            grids.append(added)
            known.update(points)
    return validated({**study.model_dump(), "grid": grids}, "")


def is_synthetic(data: str) -> bool:
    """Whether data are the embedded set, which has no folder: ``synthetic`` or ``synthetic:n=60``."""
    return data == "synthetic" or data.startswith("synthetic:")


def validated(raw: Mapping[str, Any], source: str) -> Study:
    """A study from raw values.

    Raises:
        UserError: naming the source, the field, the value and what it takes.
    """
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{source}: {_explain(error)}" if source else _explain(error, True)) from None


def _explain(error: ValidationError, by_option: bool = False) -> str:
    """The first thing that is wrong; an option is named as such, not by its place in a file."""
    first = error.errors()[0]
    # A level of a grid lies four deep, any other field two; below that pydantic lists all it tried.
    places = unique(e["loc"][: 4 if e["loc"][:1] == ("grid",) else 2] for e in error.errors())
    where, last = ".".join(str(part) for part in places[0]), str(places[0][-1]) if places[0] else ""
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    if first["type"] == "extra_forbidden":
        fields = Protocol.model_fields if where.startswith("protocol.") else Study.model_fields
        return f"unknown field {where!r}: {choose_of(last, fields)}{more}"
    if first["type"] == "missing":
        described = Study.model_fields[where].description  # the protocol has defaults throughout
        return f"{where} is missing: {described}{more}"
    message = explained(first)
    if first["type"] == "tuple_type":
        message = f"a list is meant, as {last} = [{json.dumps(first['input'], default=str)}]"
        message = "grids are tables under [[grid]]" if where == "grid" else message
    elif first["type"] == "model_type":
        message = f"a table is meant, under [{where}]"
    elif len(first["loc"]) == 5:  # grid, number, factor, place, and the first type tried
        message = "a level is a number, a word, true, false or a list of whole numbers"
    if by_option:
        where = str(places[0][2]) if where.startswith("grid.") and len(places[0]) > 2 else last
    return f"{where}: {message}, not {first['input']!r}{more}" if where else f"{message}{more}"


def unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))
