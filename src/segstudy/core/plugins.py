"""Plug-ins: records that installed packages add to the tables, by Python's entry points.

A package declares, for example, ``[project.entry-points."segstudy.models"]`` with ``my_net =
"my_package.nets:RECORD"``. The name stands beside ours; the record is of the table's own type. Names are read
from what is installed without importing anything; a plug-in is imported when it is used.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from segstudy.core.errors import UserError
from segstudy.core.installed import (
    code_version,
    declare_entry_points,
    imported,
    installed_distributions,
    search_path,
)

log = logging.getLogger("segstudy")

GROUPS = {
    "architecture": "segstudy.models",
    "loss": "segstudy.losses",
    "metric": "segstudy.metrics",
    "reader": "segstudy.readers",
    "executor": "segstudy.executors",
    "tracker": "segstudy.trackers",
}
CHOSEN_BY_NAME = ("reader", "executor", "tracker")  # their records contain the name that chooses them

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point of an installed distribution.

    Attributes:
        kind: a key of ``GROUPS``.
        name: by which it is chosen.
        module: that holds its record.
        attribute: the record's name in the module.
        distribution: the package that was installed, with its version: ``tiny-plugin 1.0``.
    """

    kind: str
    name: str
    module: str
    attribute: str
    distribution: str

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute} of {self.distribution}"


def installed_plugins(kind: str) -> dict[str, list[Plugin]]:
    """Return the plug-ins of a kind by name; several of one name are refused when the name is used."""
    return _scan(tuple(search_path())).get(kind, {})


@cache
def _scan(path: tuple[str, ...]) -> Mapping[str, dict[str, list[Plugin]]]:
    kinds = {group: kind for kind, group in GROUPS.items()}
    found: dict[str, dict[str, list[Plugin]]] = {kind: defaultdict(list) for kind in GROUPS}
    if not declare_entry_points(list(path), kinds):  # most machines have none: to read all names takes .1 s
        return {kind: {} for kind in GROUPS}
    for distribution in installed_distributions(list(path)):
        for entry in distribution.entry_points:
            if kind := kinds.get(entry.group):
                called = f"{distribution.metadata['Name']} {distribution.version}"
                plugin = Plugin(kind, entry.name, entry.module, entry.attr, called)
                found[kind][entry.name].append(plugin)
    return {kind: dict(sorted(plugins.items())) for kind, plugins in found.items()}


def names(kind: str, ours: Mapping[str, object]) -> list[str]:
    """Return all names: ours, then those of plug-ins."""
    return [*ours, *(name for name in installed_plugins(kind) if name not in ours)]


def plugin_named(kind: str, name: str, ours: Mapping[str, object]) -> Plugin | None:
    """Return the plug-in of this name; None if there is none.

    Raises:
        UserError: two plug-ins have this name, or it is also one of ours.
    """
    found = installed_plugins(kind).get(name, [])
    if found and name in ours:
        raise UserError(
            f"{kind} {name!r} is segstudy's own and also a plug-in, {found[0]}: two of one name are "
            "refused; rename the plug-in or uninstall it"
        )
    if len(found) > 1:
        both = " and ".join(map(str, found))
        raise UserError(f"{kind} {name!r} is the name of several plug-ins, {both}: uninstall all but one")
    return found[0] if found else None


def find(kind: str, name: str, ours: Mapping[str, Record], record: type[Record]) -> Record | None:
    """Return the record of this name, ours or a plug-in's; None if there is none.

    Raises:
        UserError: a name that two have; a plug-in that cannot be used.
    """
    plugin = plugin_named(kind, name, ours)
    return load(plugin, record) if plugin is not None else ours.get(name)


def known_record(kind: str, text: str, ours: Mapping[str, Record], record: type[Record]) -> Record | None:
    """Return the record of a stored component such as ``unet:skips=false``.

    None for a user's file, a package's own component, or a plug-in that is no longer installed or usable.
    """
    name = text.split(":", maxsplit=1)[0]
    if name in ours:
        return ours[name]
    try:
        return find(kind, name, ours, record)
    except UserError:
        return None


def record_named(kind: str, name: str, ours: Mapping[str, Record], record: type[Record]) -> Record:
    """Return the record of this name, as ``find`` does; there must be one.

    Raises:
        UserError: an unknown name, with the choices; or as ``find``.
    """
    found = find(kind, name, ours, record)
    if found is None:
        raise UserError(f"unknown {kind} {name!r}: use one of {', '.join(names(kind, ours))}")
    return found


def listed() -> list[str]:
    """Return a line for each installed plug-in, without importing any."""
    return [
        f"{kind} {name}: {' and '.join(each.distribution for each in plugins)}"
        for kind in GROUPS
        for name, plugins in installed_plugins(kind).items()
    ]


def load(plugin: Plugin, record: type[Record]) -> Record:
    """Return a plug-in's record.

    Raises:
        UserError: it cannot be imported, or has another type.
    """
    try:
        found = imported(plugin.module, plugin.attribute)
    except UserError as error:
        raise UserError(f"plug-in {plugin.name!r} ({plugin}) cannot be used: {error}") from error
    wanted = f"{record.__module__}.{record.__qualname__}"
    if not isinstance(found, record):
        raise UserError(
            f"plug-in {plugin.name!r} ({plugin}) must be a {wanted}, got a {type(found).__name__}; ask its "
            "authors"
        )
    own_name = getattr(found, "name", None) if plugin.kind in CHOSEN_BY_NAME else plugin.name
    if own_name != plugin.name:
        raise UserError(
            f"plug-in {plugin.name!r} ({plugin}) has a record named {own_name!r}; both names must be equal"
        )
    return found


def usable(kind: str, ours: Mapping[str, Record], record: type[Record]) -> dict[str, Record]:
    """Return ours and all usable plug-ins; for each other one a line says why it cannot be used."""
    found = dict(ours)
    for name in installed_plugins(kind):
        try:
            plugin = plugin_named(kind, name, ours)
            assert plugin is not None
            found[name] = load(plugin, record)
        except UserError as error:
            _say_once(f"left out: {error}")
    return found


@cache
def _say_once(text: str) -> None:
    log.warning("%s", text)


def plugin_version(plugin: Plugin, *parts: Any) -> str:
    """Return what enters a key: distribution, version, and hashes of the files of the record and its parts.

    Args:
        plugin: a plug-in that is loaded.
        parts: the classes and functions whose numbers enter, wherever their files are.
    """
    versions = [code_version(None, plugin.module), *(code_version(part, plugin.module) for part in parts)]
    first, *others = dict.fromkeys(versions)
    same = f"{first.rsplit(' ', 1)[0]} "
    return " ".join([first, *(other.removeprefix(same) for other in others)])
