"""The description of a study: data, split, protocol and grids; and the runs that it plans.

Everything is frozen and validated once, here; unknown keys are refused with the known ones named.
"""

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from segstudy.config.presets import PRESETS
from segstudy.config.protocol import FACTORS, SAME_FOR_ALL, Grid, Level, Protocol, numbers_of, unique
from segstudy.config.runs import Configuration, Replicate, Run
from segstudy.core.errors import UserError
from segstudy.core.intensity import Scale
from segstudy.core.mask_rules import MaskMeaning
from segstudy.core.schema import Frozen, Positive
from segstudy.core.schema_messages import explained
from segstudy.core.suggestions import use_one_of

MAX_CONFIGURATIONS, MAX_RUNS = (
    10_000,
    100_000,
)  # of a study: far more than anyone trains, far less than memory holds

ONE_VALUE = (
    "reader",
    "seeds",
    "folds",
    "repeats",
    "accept_duplicates",
    "split_file",
    "margin",
    "name",
    "data",
)


class Study(Frozen):
    """Data, split, protocol and grids: the content of a study file."""

    name: str = Field(
        pattern=r"^[^/\\\x00-\x1f]{1,100}$", description="the name of the study; it names the default folder"
    )
    data: str = Field(description="a folder, or synthetic with options as synthetic:n=60")
    reader: str | None = Field(None, description="the reader of the data; omit it to detect the reader")
    preset: Literal["quick", "classic", "thorough"] = Field(
        "classic", description="the initial values of all fields"
    )
    seeds: Positive = Field(1, le=10_000, description="number of runs per configuration: seeds 0 to N-1")
    folds: int = Field(0, ge=0, le=100, description="0: one split; otherwise the number of folds, at least 3")
    repeats: Positive = Field(
        1, le=1000, description="number of sets of folds: split_seed to split_seed + repeats - 1"
    )
    exclude: tuple[str, ...] = Field((), description="ids of samples to leave out")
    accept_duplicates: bool = Field(False, description="train even if one photograph is in several subsets")
    split_file: str | None = Field(None, description="a split.json that sets the subsets")
    margin: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="differences of IoU below this are practically equal; set it before the training",
    )
    protocol: Protocol
    grid: tuple[Grid, ...]

    @field_validator("grid")
    @classmethod
    def _typed(cls, grids: tuple[Grid, ...]) -> tuple[Grid, ...]:
        return tuple(
            {factor: numbers_of(factor, levels) for factor, levels in grid.items()} for grid in grids
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name in (".", ".."):
            raise ValueError(f"name {self.name!r} would write into an existing folder: choose another name")
        if self.folds in (1, 2):
            raise ValueError(
                "folds must be 0, or 3 or more: one for test, one for validation, the others for training"
            )
        if self.split_file and self.folds:
            raise ValueError("split_file and folds cannot be used together")
        if not self.grid:
            raise ValueError("there is no grid: write at least one [[grid]], or leave grid out")
        for grid in self.grid:
            for factor, levels in grid.items():
                _refuse_wrong_factor(factor, levels)
        if not all({"architecture", "loss"} <= grid.keys() for grid in self.grid):
            raise ValueError("every grid must name its architecture and loss")
        return self

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        """Refuse a study with more runs than memory can hold, before they are listed."""
        num_configurations = sum(math.prod(map(len, grid.values())) for grid in self.grid)
        if num_configurations > MAX_CONFIGURATIONS:
            raise ValueError(
                f"the grids span {num_configurations} configurations, more than {MAX_CONFIGURATIONS}"
            )
        num_runs = num_configurations * self.seeds * max(1, self.folds) * self.repeats
        if num_runs > MAX_RUNS:
            raise ValueError(
                f"{num_runs} runs are planned, more than {MAX_RUNS}: "
                "use fewer seeds, folds, repeats or levels"
            )
        self.configurations()
        return self

    @model_validator(mode="after")
    def _repeatable(self) -> Self:
        """Refuse repeats of one split, and repeats that count over split seeds that are a factor."""
        if self.repeats == 1:
            return self
        if not self.folds:
            raise ValueError("repeats needs folds: set folds to 3 or more, or repeats to 1")
        split_seeds = {each.protocol.split_seed for each in self.configurations()}
        if len(split_seeds) > 1:
            raise ValueError(
                f"split_seed has {len(split_seeds)} values and repeats is {self.repeats}: repeats counts up "
                "from one split_seed, so leave one of them out"
            )
        return self

    def configurations(self) -> list[Configuration]:
        """Return every point of every grid, in order, equal ones once."""
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

    def mask_meanings(self) -> list[MaskMeaning]:
        """Return the meanings of the masks in all configurations; several if they are a factor."""
        return unique(configuration.protocol.mask_meaning() for configuration in self.configurations())

    def replicates(self) -> list[Replicate]:
        """Seed, repeat and fold of each run of a configuration."""
        return [
            Replicate(seed, repeat, fold)
            for repeat in range(self.repeats)
            for seed in range(self.seeds)
            for fold in self.fold_numbers()
        ]

    def readings(self) -> list[tuple[MaskMeaning, Scale]]:
        """How masks and images are read in all configurations."""
        protocols = [configuration.protocol for configuration in self.configurations()]
        return unique((protocol.mask_meaning(), protocol.scale()) for protocol in protocols)

    def scales(self) -> list[Scale]:
        """The intensity scales of all configurations; several where intensity is a factor."""
        return unique(configuration.protocol.scale() for configuration in self.configurations())

    def fold_numbers(self) -> list[int | None]:
        return list(range(self.folds)) if self.folds else [None]


def _refuse_wrong_factor(factor: str, levels: Sequence[Level]) -> None:
    """Refuse what no grid may have.

    Raises:
        ValueError: an unknown factor, one that must be the same for all, or one without values.
    """
    if factor not in FACTORS:
        raise ValueError(f"unknown factor {factor!r} in a grid: {use_one_of(factor, FACTORS)}")
    if factor in SAME_FOR_ALL:
        raise ValueError(f"{factor} must be one value under [protocol], the same for all: it is no factor")
    if not levels:
        raise ValueError(f"factor {factor!r} of a grid has no values")


def planned_runs(
    study: Study,
    data: str,
    split_of: Callable[[Protocol, Replicate], str],
    numerics_of: Callable[[Configuration], dict[str, int | str]],
) -> list[Run]:
    """Return all runs of a study, equal ones once: replicate by replicate, so that a table fills evenly.

    Args:
        study: with ``auto`` values resolved and components in canonical form.
        data: fingerprint of the samples.
        split_of: fingerprint of the subsets for a protocol and replicate.
        numerics_of: the versions that enter a configuration's keys.
    """
    by_configuration = [
        runs_of(study, each, data, split_of, numerics_of(each)) for each in study.configurations()
    ]
    once: dict[str, Run] = {}
    for runs in zip(*by_configuration, strict=True):
        for run in runs:
            once.setdefault(run.key, run)
    return list(once.values())


def runs_of(
    study: Study,
    configuration: Configuration,
    data: str,
    split_of: Callable[[Protocol, Replicate], str],
    numerics: dict[str, int | str],
) -> list[Run]:
    """The runs of one configuration, by repeat, seed and fold; arguments as of ``planned_runs``."""
    return [
        Run(
            configuration=configuration,
            seed=replicate.seed,
            repeat=replicate.repeat,
            fold=replicate.fold,
            data=data,
            split=split_of(configuration.protocol, replicate),
            numerics=numerics,
        )
        for replicate in study.replicates()
    ]


def preset_study(preset: str, name: str, data: str) -> Study:
    """Return the study of a preset's name on some data.

    Raises:
        UserError: an unknown preset, with the choices.
    """
    if preset not in PRESETS:
        raise UserError(f"unknown protocol {preset!r}: use one of {', '.join(PRESETS)}")
    return validated({"name": name, "data": data, "preset": preset, **PRESETS[preset]}, "")


def override(study: Study, fields: Mapping[str, Sequence[Level]]) -> Study:
    """Return the study with the options of the command line applied.

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
        elif field in ONE_VALUE:
            if len(levels) > 1:
                raise UserError(f"{field} takes one value, got {len(levels)}: it is not a factor")
            raw[field] = levels[0]
        else:
            choices = (*FACTORS, "seeds", "folds", "repeats", "reader", "margin")
            raise UserError(f"unknown field {field!r}: {use_one_of(field, choices)}")
    return validated({**raw, "grid": grids}, "")


def extend(study: Study, fields: Mapping[str, Sequence[Level]]) -> Study:
    """Return a stored study with more runs: the options add to it and remove nothing.

    Factors make further grids if these have a new configuration; ``seeds`` and other fields of the study
    are replaced.

    Raises:
        UserError: an unknown field or a value it does not take.
    """
    adding = set(FACTORS) - set(SAME_FOR_ALL)
    factors = {name: tuple(levels) for name, levels in fields.items() if name in adding}
    study = override(study, {name: levels for name, levels in fields.items() if name not in adding})
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


def validated(raw: Mapping[str, Any], source: str) -> Study:
    """Return a study from raw values.

    Raises:
        UserError: with the source, the field, the value and the values it takes.
    """
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{source}: {_explain(error)}" if source else _explain(error, True)) from None


def _explain(error: ValidationError, by_option: bool = False) -> str:
    """Return the first error; an option is named as such, not by its place in a file."""
    first = error.errors()[0]
    # A level of a grid lies four deep, any other field two; below that pydantic lists all it tried.
    places = unique(e["loc"][: 4 if e["loc"][:1] == ("grid",) else 2] for e in error.errors())
    where, last = ".".join(str(part) for part in places[0]), str(places[0][-1]) if places[0] else ""
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    if first["type"] == "extra_forbidden":
        fields = Protocol.model_fields if where.startswith("protocol.") else Study.model_fields
        return f"unknown field {where!r}: {use_one_of(last, fields)}{more}"
    if first["type"] == "missing":
        described = Study.model_fields[where].description  # the protocol has defaults throughout
        return f"{where} is missing: {described}{more}"
    message = explained(first)
    if first["type"] == "tuple_type":
        message = f"must be a list, as {last} = [{json.dumps(first['input'], default=str)}]"
        message = "grids are tables under [[grid]]" if where == "grid" else message
    elif first["type"] == "model_type":
        message = f"must be a table, under [{where}]"
    elif len(first["loc"]) == 5:  # grid, number, factor, place, and the first type tried
        message = "must be a number, a word, true, false or a list of whole numbers"
    if by_option:
        where = str(places[0][2]) if where.startswith("grid.") and len(places[0]) > 2 else last
    if not where or (last == "protocol" and first["type"] == "value_error"):  # it names its fields itself
        return f"{message}{more}"
    between = " " if message.startswith("must ") else ": "
    return f"{where}{between}{message}, got {first['input']!r}{more}"
