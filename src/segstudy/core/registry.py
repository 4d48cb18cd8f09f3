"""Naming an architecture or a loss: from a table of ours, or from anyone's own file.

A component is written ``name`` or ``name:option=value:option=value``: ``unet``,
``unet:skips=false``, ``tversky:fp_weight=0.2:fn_weight=0.8``, ``my.py:MyNet``,
``path/my.py:MyNet:depth=3``.
"""

import hashlib
import importlib.util
import inspect
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.input_files import MB
from segstudy.core.source_files import importable_beside, source_files

MAX_SOURCE_BYTES = 16 * MB

Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Component:
    """A name with options, and the user's file where it does not come from a table.

    ``str(component)`` is its canonical spelling without the folder: what is printed and hashed.
    """

    name: str
    options: tuple[tuple[str, Value], ...] = ()
    file: Path | None = None

    @property
    def title(self) -> str:
        return f"{self.file.name}:{self.name}" if self.file else self.name

    def __str__(self) -> str:
        return ":".join([self.title, *(f"{name}={json.dumps(value)}" for name, value in self.options)])

    @property
    def spelling(self) -> str:
        """As ``str``, but with the folder of the user's file: it can be parsed again from anywhere."""
        return f"{self.file.parent}/{self}" if self.file else str(self)


def parse(text: str) -> Component:
    """Read ``name:option=value`` or ``file.py:name:option=value``.

    Raises:
        UserError: when the text has another form.
    """
    file, rest = None, text
    if ".py:" in text:
        path, rest = text.split(".py:", 1)
        file = Path(f"{path}.py").resolve()
    elif text.endswith(".py"):
        raise UserError(f"{text}: say which class or function of the file is meant, as {text}:Name")
    name, *options = rest.split(":")
    if not name.isidentifier():
        raise UserError(f"{text!r} is not of the form name:option=value (or file.py:name:option=value)")
    named = [_option(text, option) for option in options]
    if len(dict(named)) < len(named):
        raise UserError(f"{text!r} gives an option twice: leave one of them out")
    return Component(name, tuple(sorted(named)), file)


def _option(text: str, option: str) -> tuple[str, Value]:
    name, equals, value = option.partition("=")
    if not equals or not name.isidentifier():
        raise UserError(f"{text!r}: {option!r} is not of the form option=value")
    parsed = _parsed(value)
    if not isinstance(parsed, bool | int | float | str) or (
        isinstance(parsed, float) and not math.isfinite(parsed)
    ):
        raise UserError(f"{text!r}: {name} takes a finite number, true, false or a word, not {value}")
    return name, parsed


def _parsed(value: str) -> object:
    try:
        return json.loads(value.lower() if value.lower() in ("true", "false") else value)
    except ValueError:
        try:
            return float(value)  # .2 is no JSON
        except ValueError:
            return value


def title(text: str) -> str:
    """What a component is called wherever it is printed or hashed: without the folder of a user's file."""
    return str(parse(text))


def distinct_titles(texts: Iterable[str]) -> dict[str, str]:
    """What components are called side by side: their titles, with as much of a path as tells files apart.

    >>> sorted(distinct_titles(["/a/my.py:Net", "/b/my.py:Net", "unet"]).values())
    ['a/my.py:Net', 'b/my.py:Net', 'unet']
    """
    components = {text: parse(text) for text in texts}
    files: dict[str, set[Path]] = {}
    for component in components.values():
        if component.file is not None:
            files.setdefault(str(component), set()).add(component.file)
    return {text: _distinct_title(each, files.get(str(each), set())) for text, each in components.items()}


def _distinct_title(component: Component, files: set[Path]) -> str:
    """The title, after the last folders of its file that no other of these files ends in."""
    if component.file is None or len(files) < 2:
        return str(component)
    parts, others = component.file.parts, [file.parts for file in files if file != component.file]
    longest = len(parts)
    size = next(n for n in range(2, longest + 1) if all(o[-n:] != parts[-n:] for o in others) or n == longest)
    return Path(*parts[-size:-1], str(component)).as_posix()


def resolve(
    text: str, table: Mapping[str, Callable[..., Any]], kind: str, given: Iterable[str] = ()
) -> tuple[Component, Callable[..., Any]]:
    """Find what a component names, check its options, and drop those that equal the default.

    Args:
        text: the component as written.
        table: our own components by name.
        kind: the word for error messages, ``"architecture"`` or ``"loss"``.
        given: parameters that are not options because segstudy passes them itself.

    Returns:
        The canonical component, and the class or function it names.

    Raises:
        UserError: unknown name, unknown option or an option of the wrong type, with the choices.
    """
    component = parse(text)
    if component.file is not None:
        target = _load(component.file, component.name)
    elif component.name in table:
        target = table[component.name]
    else:
        raise UserError(
            f"unknown {kind} {component.name!r}: choose one of {', '.join(table)}, "
            "or name your own as file.py:Name"
        )
    options = _checked_options(component, target, frozenset(given))
    return Component(component.name, options, component.file), target


def _checked_options(
    component: Component, target: Callable[..., Any], given: frozenset[str]
) -> tuple[tuple[str, Value], ...]:
    defaults = {
        name: parameter.default
        for name, parameter in _signature(component, target).parameters.items()
        if parameter.default is not inspect.Parameter.empty and name not in given
    }
    kept: list[tuple[str, Value]] = []
    for name, value in component.options:
        if name not in defaults:
            choices = ", ".join(defaults) or "none"
            raise UserError(f"{component.title} has no option {name!r}: its options are {choices}")
        same_kind = _as_kind_of(defaults[name], value)
        if same_kind is None:
            raise UserError(
                f"{component.title}: {name} is of another kind than {value!r} (default {defaults[name]!r})"
            )
        if same_kind != defaults[name]:
            kept.append((name, same_kind))
    return tuple(kept)


def _as_kind_of(default: object, value: Value) -> Value | None:
    """The value as the default's type, 3 as 3.0 for one; None where that would change what it says."""
    match default:
        case bool():
            return value if isinstance(value, bool) else None
        case int() | float():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return type(default)(value) if is_number and type(default)(value) == value else None
        case str():
            return value if isinstance(value, str) else None
    return value


def _signature(component: Component, target: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(target)
    except ValueError:
        raise UserError(
            f"{component.title} does not tell its parameters: wrap it in a function of your own"
        ) from None


def _load(file: Path, name: str) -> Callable[..., Any]:
    if not file.is_file():
        raise UserError(f"{file}: no such file; {name} was to come from it")
    if file.stat().st_size > MAX_SOURCE_BYTES:
        raise UserError(f"{file}: larger than {MAX_SOURCE_BYTES / MB:g} MB, so no source file; give another")
    place = hashlib.sha256(os.fsencode(file)).hexdigest()[:8]  # files of one name are modules of their own
    spec = importlib.util.spec_from_file_location(f"segstudy_user_{file.stem}_{place}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        with importable_beside(file):
            spec.loader.exec_module(module)
    except Exception as error:  # the user's own code may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{file} cannot be imported: {reason}") from error
    target = getattr(module, name, None)
    if not callable(target):
        raise UserError(f"{file} has no class or function {name!r}")
    return target  # type: ignore[no-any-return]


def source_hash(component: Component) -> str | None:
    """The hash of a user's file and what it imports from its folder; enters the key of runs that use it."""
    if component.file is None:
        return None
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in source_files(component.file)]
    return (hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest())[:16]
