"""Choices where a study takes long: a quick look, the quick protocol, or the whole study."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segstudy.analysis.seed_plan import SeedPlan
from segstudy.config.presets import PRESETS
from segstudy.config.protocol import Protocol
from segstudy.config.runs import Run, spelled
from segstudy.config.study import Study
from segstudy.core.classes import spelled_classes
from segstudy.core.errors import UserError
from segstudy.core.progress import Stage
from segstudy.core.quantities import counted, duration
from segstudy.losses import LOSSES
from segstudy.store.folder import StudyFolder
from segstudy.study.estimate import Estimate, Steps, estimate
from segstudy.study.machine import Machine
from segstudy.study.options import MACHINE_OPTIONS, described
from segstudy.study.plan import Plan, missing_runs, plan_on, resolve
from segstudy.training.executors import EXECUTORS

# Options of the data and their split, which a quick look keeps.
ABOUT_THE_DATA = (
    *("data", "reader", "exclude", "split", "split_file", "split_seed", "train_frac", "foreground", "masks"),
    *("classes", "ignore", "channels", "intensity", "resize", "overlap"),
    *MACHINE_OPTIONS,
    "images",
)
FLAGS = (
    *("protocol", "architecture", "loss", "batch_size", "seeds", "folds", "epochs", "image_size", "width"),
    *("data", "split", "exclude", "classes", "ignore", "channels", "resize", "out", *MACHINE_OPTIONS),
)
UNSAID = {"device": "auto", "threads": 0, "workers": 0, "checkpoint_every": 0, "same_hardware": False}


@dataclass(frozen=True)
class Choice:
    """A study that may be run: the one requested, or a smaller one.

    Attributes:
        title: a few words on it.
        command: the call of the command line that runs it; empty where there is none.
        study: as described by that call.
        folder: of the study.
        plan: its runs.
        missing: those that are not stored yet.
        ahead: their estimated cost.
        seed_plan: how its seeds are planned: fixed, or by looks.
    """

    title: str
    command: str
    study: Study
    folder: StudyFolder
    plan: Plan = field(repr=False)
    missing: tuple[Run, ...] = field(repr=False)
    ahead: Estimate
    seed_plan: SeedPlan = field(default=SeedPlan(), repr=False)

    @property
    def cost(self) -> str:
        """``4 runs, about 6 min``"""
        if not self.missing:
            return f"{counted(len(self.plan.runs), 'run')}, all finished"
        runs = f"{self.seed_plan.at_most}{counted(len(self.missing), 'run')}"
        return f"{runs}, about {duration(self.ahead.hours * 3600)}"


def quicker(
    asked: Choice, source: str | Path | None, options: Mapping[str, Any], machine: Machine, stage: Stage
) -> list[Choice]:
    """Return choices that give a first answer sooner, the quickest first; none if there are none.

    Args:
        asked: the study of the call.
        source: of the call.
        options: of the call.
        machine: where it would be trained.
        stage: called with what is being done.
    """
    found: list[Choice] = []
    steps: Steps = {}
    for title, other, changed in _requests(asked, source, options):
        study, folder = described(other, changed)
        if (study.data, study.exclude) != (asked.study.data, asked.study.exclude):
            continue  # the call cannot say it: rather none than one about other data
        given = asked.plan
        plan = plan_on(resolve(study, machine), given.dataset, given.data, given.findings, stage)
        missing = missing_runs(plan, folder)
        ahead = estimate(plan, missing, machine, not options.get("workers"), stage, steps)
        sooner = not missing or ahead.hours < asked.ahead.hours / 2
        if sooner and all(each.plan.runs != plan.runs for each in found):
            found.append(Choice(title, command(other, changed), study, folder, plan, tuple(missing), ahead))
    return found


def _requests(
    asked: Choice, source: str | Path | None, options: Mapping[str, Any]
) -> list[tuple[str, str | Path | None, dict[str, Any]]]:
    """Return smaller studies as calls: title, source and options."""
    fields = {name: v for name, v in (options.get("fields") or {}).items() if name in ABOUT_THE_DATA}
    kept = {name: options.get(name) for name in ABOUT_THE_DATA} | {"fields": fields}
    configurations = asked.study.configurations()
    losses = list(dict.fromkeys(c.loss for c in configurations))
    architectures = list(dict.fromkeys(c.architecture for c in configurations))
    looked_at = {
        "architecture": architectures if architectures != _quick_levels("architecture") else None,
        "loss": next((each for each in losses if each in LOSSES and LOSSES[each].is_preferred), losses[0]),
    }
    out = f"{options['out']}-quick" if options.get("out") else None
    path = None if source is None else Path(source)
    if path is not None and (StudyFolder(path).exists() or path.suffix == ".toml"):
        file = path / "study.toml" if StudyFolder(path).exists() else path
        fields = {**fields, **PRESETS["quick"]["protocol"], "name": f"{asked.study.name}-quick"}
        fields |= {"batch_size": 8, "seeds": 1, "folds": 0, **looked_at, "architecture": architectures}
        return [("a quick look", file, {**kept, "fields": fields, "out": out})]
    named = {name: options.get(name) for name in ("architecture", "loss")}
    quick = {**kept, "protocol": "quick", "out": out}
    return [
        ("a quick look", source, {**quick, **looked_at}),
        ("the quick protocol", source, {**quick, **named}),
    ]


def _quick_levels(factor: str) -> list[Any]:
    return list(PRESETS["quick"]["grid"][0][factor])


def command(source: str | Path | None, options: Mapping[str, Any], *more: str) -> str:
    """Return a call as a command line; empty if it cannot be one, such as with ids given in Python.

    >>> command("my images", {"protocol": "quick", "loss": ["bce", "dice"]})
    "segstudy run 'my images' --protocol quick --loss bce,dice"
    """
    words = ["segstudy", "run"] + ([] if source is None else [str(source)])
    given = {**(options.get("fields") or {}), **{n: v for n, v in options.items() if v is not None}}
    exclude = given.get("exclude")
    if exclude is not None and not isinstance(exclude, str | Path):
        return ""
    for name in (*(each for each in FLAGS if each in given), *(each for each in given if each not in FLAGS)):
        value = given[name]
        if name == "executor_options":
            words += _executor_words(value)
        elif name in FLAGS and value != UNSAID.get(name):
            words.append(f"--{name.replace('_', '-')}")
            words += [] if value is True else [_as_word(name, value)]
        elif name in Protocol.model_fields or name in ("reader", "name", "split_file"):
            words += ["--set", f"{name}={_as_word(name, value)}"]
    if options.get("images") is False:
        words.append("--no-images")
    return shlex.join([*words, *more])


def _executor_words(options: Mapping[str, Any]) -> list[str]:
    flags = {option.name for executor in EXECUTORS.values() for option in executor.options}
    words = []
    for name, value in options.items():
        flag = [f"--{name.replace('_', '-')}", str(value)]
        words += flag if name in flags else ["--executor-option", f"{name}={value}"]
    return words


def _as_word(name: str, value: Any) -> str:
    """Return a value, or the levels of a factor, as a word of the command line."""
    if name == "classes":
        return str(spelled_classes(value))
    if name == "ignore":
        return spelled(name, list(value) if isinstance(value, list | tuple) else value)
    are_numbers = isinstance(value, list | tuple) and all(isinstance(v, int | float) for v in value)
    is_size = name == "image_size" and isinstance(value, tuple) and len(value) == 2
    if (name in ("foreground", "class_weights") and are_numbers) or is_size:
        return spelled(name, list(value))
    if isinstance(value, list | tuple):
        return ",".join(_as_word(name, each) for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def refusal(asked: Choice, choices: list[Choice]) -> UserError:
    """Return the error for a call without a terminal, where no question can be asked."""
    ahead = f"{asked.cost.split(',')[0]} would take about {duration(asked.ahead.hours * 3600)}"
    commands = [f"`{each.command}` ({each.cost})" for each in choices if each.command]
    sooner = f"; for a first answer {commands[0]}" if commands else ""
    return UserError(f"{ahead}: --yes, in Python yes=True, continues without asking{sooner}")


def as_asked(asked: Choice, source: str | Path | None, options: Mapping[str, Any]) -> Choice:
    """Return the whole requested study as a choice, with the command that continues without a question."""
    is_preset = not (source is not None and (Path(source).suffix == ".toml" or asked.folder.exists()))
    title = f"all of it, protocol {asked.study.preset}" if is_preset else "all of it"
    more = ["--retry"] if options.get("retry") else []
    more += asked.seed_plan.words
    for name in ("max_hours", "max_seeds"):
        if options.get(name) is not None:
            more += [f"--{name.replace('_', '-')}", f"{options[name]:g}"]
    named = {name: value for name, value in options.items() if name in (*FLAGS, *Protocol.model_fields)}
    named |= {name: options.get(name) for name in ("fields", "reader", "name", "split_file", "images")}
    return replace(asked, title=title, command=command(source, named, *more, "--yes"))
