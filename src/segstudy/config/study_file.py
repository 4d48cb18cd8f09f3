"""study.toml: reading and writing a study as text, with paths relative to the file."""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import tomlkit

from segstudy.config.presets import PRESETS
from segstudy.config.protocol import Level, Protocol
from segstudy.config.runs import spelled
from segstudy.config.study import Study, validated
from segstudy.core.errors import UserError
from segstudy.core.input_files import MB, read_text
from segstudy.core.paths import expanded, reason_missing, with_slashes
from segstudy.core.schema import Frozen
from segstudy.core.synthetic import is_synthetic

MAX_STUDY_FILE_BYTES = 16 * MB  # it contains the excluded ids
# Fields without a value, as a template shows them: commented out.
EXAMPLES = {
    "reader": "folder",
    "split_file": "split.json",
    "overlap": 32,
    "classes": "background=0,disc=1,cup=2",
    "ignore": [255],
    "foreground": [1],
    "channels": 1,
    "micro_batch": 4,
    "class_weights": "balanced",
}
_BACKSLASH = re.compile(r'"[^"\n]*\\')  # within a string with double quotes


def load(file: Path) -> Study:
    """Read a study file. Paths in it are relative to its folder; the study has absolute ones.

    Raises:
        UserError: no such file, no TOML, an unknown field or a value it does not take.
    """
    raw = read_toml(file)
    raw.setdefault("name", file.stem if file.name != "study.toml" else file.resolve().parent.name)
    preset = raw.setdefault("preset", "classic")
    if preset not in list(PRESETS):  # a list, because the value may not be hashable
        raise UserError(f"{file}: unknown preset {preset!r}: use one of {', '.join(PRESETS)}")
    base = PRESETS[preset]
    if isinstance(raw.get("protocol", {}), dict):
        raw["protocol"] = {**base["protocol"], **raw.get("protocol", {})}
    folder = file.resolve().parent

    def whole(path: str) -> str:
        return os.path.normpath(folder / with_slashes(expanded(path), folder))

    return _with_paths(validated({**base, **raw}, str(file)), whole)


def read_toml(file: Path) -> dict[str, Any]:
    """The content of a study file, with its paths as they are written.

    Raises:
        UserError: no such file, or no TOML.
    """
    try:
        text = read_text(file, MAX_STUDY_FILE_BYTES)
    except FileNotFoundError:
        hint = reason_missing(file)
        raise UserError(f"{file}: no such file{hint}; `segstudy init` prints one to start from") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); is it the study file?") from None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of numbers too long and arrays too deep
        escape = (
            '; a backslash within "..." begins an escape: write paths with /, or within single quotes'
            if _BACKSLASH.search(text)
            else ""
        )
        raise UserError(f"{file} is not a TOML file: {error}{escape}") from None


def dump(study: Study, folder: Path, comments: bool = False) -> str:
    """Return the resolved study as complete TOML, with paths relative to its folder.

    Args:
        study: the study to write.
        folder: of the file.
        comments: describe every field beside it, for people who start from this file.
    """
    study = _with_paths(study, partial(_relative_path, folder.resolve()))
    raw = study.model_dump(mode="json", exclude_none=True)
    size = spelled("image_size", study.protocol.image_size)
    raw["protocol"]["image_size"] = int(size) if size.isdecimal() else size
    grids, protocol = raw.pop("grid"), raw.pop("protocol")
    document = tomlkit.document()
    _fill(document, raw, Study, comments)
    table = tomlkit.table()
    _fill(table, protocol, Protocol, comments)
    document["protocol"] = table
    tables = tomlkit.aot()
    for grid in grids:
        tables.append(tomlkit.item({factor: list(levels) for factor, levels in grid.items()}))
    document["grid"] = tables
    return tomlkit.dumps(document)


def _fill(
    table: tomlkit.TOMLDocument | tomlkit.items.Table,
    values: Mapping[str, Any],
    model: type[Frozen],
    comments: bool,
) -> None:
    for name in model.model_fields:
        if name not in values and not (comments and name in EXAMPLES):
            continue
        item = tomlkit.item(values.get(name, EXAMPLES.get(name)))
        text = _described(model, name)
        if name not in values:
            table.add(tomlkit.comment(f"{name} = {item.as_string()} # {text}"))
            continue
        if comments and text:
            item.comment(text)
        table[name] = item


def _described(model: type[Frozen], name: str) -> str:
    """What a field is, and its values, for people."""
    field = model.model_fields[name]
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return "; ".join(filter(None, [" | ".join(map(str, choices)), field.description]))


def relative(component: str, folder: Path) -> str:
    """Return a component as a study file in that folder spells it."""
    return _with_path(component, lambda path: _relative_path(folder.resolve(), path))


def _relative_path(folder: Path, path: str) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _with_path(component: str, change: Callable[[str], str]) -> str:
    if ".py:" not in component:
        return component
    file, rest = component.split(".py:", 1)
    return f"{change(f'{file}.py')}:{rest}"


def _with_paths(study: Study, change: Callable[[str], str]) -> Study:
    """Return the study with other paths for its data, split file and users' own source files."""

    def component(level: Level) -> Level:
        return _with_path(level, change) if isinstance(level, str) else level

    own = ("architecture", "loss")
    grids = [
        {f: tuple(component(v) for v in levels) if f in own else levels for f, levels in grid.items()}
        for grid in study.grid
    ]
    return study.model_copy(
        update={
            "data": study.data if is_synthetic(study.data) else change(study.data),
            "split_file": study.split_file and change(study.split_file),
            "grid": tuple(grids),
        }
    )
