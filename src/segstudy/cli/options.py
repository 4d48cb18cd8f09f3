"""Options of the command line as arguments of the function it calls."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from segstudy.config.protocol import FACTORS
from segstudy.core.errors import UserError
from segstudy.core.suggestions import did_you_mean
from segstudy.study.options import FIELDS, MACHINE_OPTIONS

OUTSIDE_LISTS = re.compile(r",(?![^\[\]]*\])")  # commas, but those of features=[8,16]
ONE_VALUE = {"protocol", "masks", "intensity", "classes", "ignore"}  # never lists of levels
OWN_OPTIONS = {"protocol", "split", "exclude", "out", "tracker", "retry", "yes", "images", *MACHINE_OPTIONS}


def study_arguments(flags: Mapping[str, Any], settings: Sequence[str] = ()) -> dict[str, Any]:
    """The options of a study, comma lists as lists; what ``--set`` says stands under ``fields``.

    Args:
        flags: values by the name of their option; None for what is not given.
        settings: of the form ``field=value``.

    Raises:
        UserError: an unknown field, a field that is given twice, or an empty value.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    fields: dict[str, list[str]] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        name = name.replace("-", "_") if name.replace("-", "_") in FIELDS else name
        if not equals:
            raise UserError(f"--set {setting}: must have the form field=value")
        _refuse_unknown(name, setting)
        if name in fields:
            raise UserError(_twice(name, ",".join(fields[name]), value))
        if name in given:
            raise UserError(f"--{_hyphened(name)} and --set {setting} name the same field: leave one out")
        fields[name] = [value] if name in ONE_VALUE else _levels(f"--set {setting}", value)
    arguments = {
        name: _levels(f"--{_hyphened(name)} {value}", value) if _may_be_list(name, value) else value
        for name, value in given.items()
    }
    return {**arguments, "fields": fields}


def _may_be_list(name: str, value: Any) -> bool:
    return isinstance(value, str) and name not in ONE_VALUE


def executor_options(flags: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any] | None:
    """The options of an executor: those that have a flag, and ``NAME=VALUE``; None if there are none.

    Args:
        flags: values by the name of their option; None for what is not given.
        settings: of the form ``NAME=VALUE``.

    Raises:
        UserError: another form, or an option that is given twice.
    """
    found = {name: value for name, value in flags.items() if value is not None}
    for setting in settings:
        name, equals, value = setting.partition("=")
        name = name.replace("-", "_")
        if not equals or name in found:
            reason = "is given twice: leave one out" if equals else "must have the form NAME=VALUE"
            raise UserError(f"--executor-option {setting}: {reason}")
        found[name] = value
    return found or None


def _refuse_unknown(name: str, setting: str) -> None:
    """Refuse what is no field of a study.

    Raises:
        UserError: naming the option of its own that it is, or the nearest field.
    """
    if name in FIELDS:
        return
    option = "protocol" if name == "preset" else name.strip().replace("-", "_")
    if option in OWN_OPTIONS:
        raise UserError(f"--set {setting}: is no field of a study; --{_hyphened(option)} is the option")
    raise UserError(f"--set {setting}: unknown field {name!r}: {did_you_mean(name, FIELDS)}")


def _levels(written: str, value: str) -> list[str]:
    levels = [level.strip() for level in OUTSIDE_LISTS.split(value)]
    if not all(levels):
        what = "has no value" if not any(levels) else "has an empty value between its commas"
        raise UserError(f"{written}: {what}; give one, or leave the option out")
    return levels


def _twice(name: str, first: str, second: str) -> str:
    both = f"--set {name}={first},{second}"
    if name == "foreground":
        together = f"{first}+{second}".replace(",", "+")
        return (
            f"foreground is given twice: --set foreground={together} counts these classes as one foreground, "
            f"{both} trains with each in turn"
        )
    if name in FACTORS:
        return f"{name} is given twice: {both} trains with each in turn; else leave one of them out"
    return f"{name} is given twice, as {first} and as {second}: leave one of them out"


def _hyphened(name: str) -> str:
    return name.replace("_", "-")
