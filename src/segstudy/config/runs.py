"""Configurations and runs: their names and their keys."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from segstudy.config.protocol import Protocol, unique
from segstudy.core.class_weights import NONE
from segstudy.core.intensity import COLOURS
from segstudy.core.schema import Frozen
from segstudy.core.sums import distinct_titles, title


class Configuration(Frozen):
    """One point of a grid, and one row of the leaderboard."""

    architecture: str
    loss: str
    protocol: Protocol

    def level(self, factor: str) -> Any:
        """Return the value of one factor."""
        if factor in ("architecture", "loss"):
            return getattr(self, factor)
        return self.protocol.model_dump(mode="json")[factor]

    @property
    def identity(self) -> tuple[str, str, str]:
        """Equal for two configurations that differ in nothing that can change a number."""
        return self.architecture, self.loss, json.dumps(self.protocol.numbers(), sort_keys=True)


class Replicate(NamedTuple):
    """Which of the runs of a configuration.

    Attributes:
        seed: of the training.
        repeat: which set of folds, from 0; its ``split_seed`` is the protocol's plus this number.
        fold: the fold, or None without folds.
    """

    seed: int
    repeat: int
    fold: int | None


class Run(Frozen):
    """One training: a configuration with its seed and fold, on given data and a given split.

    Attributes:
        configuration: what is trained, and how.
        seed: names the streams of initialisation, order and augmentation.
        repeat: which set of folds, from 0; it enters the key only through ``split``.
        fold: the fold, or None without folds.
        data: fingerprint of the samples (ids, images, masks).
        split: fingerprint of the ids of each subset.
        numerics: versions of the code whose numbers enter, by component.
    """

    configuration: Configuration
    seed: int
    repeat: int = 0
    fold: int | None
    data: str
    split: str
    numerics: dict[str, int | str]

    @property
    def replicate(self) -> Replicate:
        return Replicate(self.seed, self.repeat, self.fold)

    def description(self) -> dict[str, Any]:
        """Return everything that decides this run's numbers, and nothing else."""
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
        """The name of this run's folder: equal keys mean equal results."""
        return key_of(self.description())


def key_of(description: Mapping[str, Any]) -> str:
    """Return 16 hex digits of the SHA-256 of the canonical JSON of a run's description."""
    canonical = json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


_NEVER = object()


# Fields that later versions added, each with the value for the behaviour before it existed:
# at that value it is not hashed, so keys of older studies hold; records of older runs are read with it.
ADDED_LATER: dict[str, Any] = {
    "micro_batch": None,
    "masks": "larger",
    "intensity": "full",
    "nsd_tolerance": 0.02,
    "train_frac": 1.0,
    "classes": None,
    "ignore": None,
    "channels": None,
    "class_weights": None,
    "overlap": None,
}


def configuration_names(configurations: Sequence[Configuration]) -> list[str]:
    """Return names such as ``unet-combo-b8``, followed by any other factors in which configurations differ.

    No two are equal: files of one name are shown with as much of the path as distinguishes them.
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
    """Return these names, repeated ones with a number after them: no two are equal."""
    given: dict[str, None] = {}
    for name in names:
        others = (f"{name} ({n})" for n in itertools.count(2))
        given[next(each for each in itertools.chain([name], others) if each not in given)] = None
    return list(given)


def spelled(factor: str, value: Any) -> str:
    """Return a value as one word: a size as ``128`` or ``96x128``, classes as ``1+2``, none as ``none``."""
    if value is None:
        return str(COLOURS) if factor == "channels" else NONE
    if factor == "image_size":
        return "x".join(map(str, unique(value)))
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)
