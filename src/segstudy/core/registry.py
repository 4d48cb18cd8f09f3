"""Names of architectures and losses: of ours, of a plug-in, of an installed package, or of a file.

A component is written ``name`` or ``name:option=value:option=value``:

- ``unet``, ``unet:skips=false``, ``tversky:fp_weight=0.2:fn_weight=0.8``: of our table, or of a plug-in;
- ``my.py:MyNet``, ``path/my.py:MyNet:depth=3``: of a file of one's own;
- ``monai.networks.nets:UNet:spatial_dims=2:channels=[8,16]``: of a module of an installed package.
"""

import hashlib
import importlib.util
import inspect
import json
import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segstudy.core.errors import UserError, typed_line
from segstudy.core.input_files import MB
from segstudy.core.installed import code_version, imported
from segstudy.core.paths import expanded, reason_missing
from segstudy.core.plugins import load, names, plugin_named, plugin_version
from segstudy.core.source_files import FromSource, importable_beside, source_files

MAX_SOURCE_BYTES = 16 * MB

Value = bool | int | float | str | tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class Component:
    """A name with options; also the user's file or the module, if the name is not from a table.

    ``str(component)`` is its canonical spelling without the folder, which is printed and hashed.
    """

    name: str
    options: tuple[tuple[str, Value], ...] = ()
    file: Path | None = None
    module: str | None = None

    @property
    def title(self) -> str:
        place = self.file.name if self.file else self.module
        return f"{place}:{self.name}" if place else self.name

    def __str__(self) -> str:
        return ":".join([self.title, *(f"{name}={_as_json(value)}" for name, value in self.options)])

    @property
    def spelling(self) -> str:
        """Return the spelling with the folder of the user's file, which can be parsed from any folder."""
        return f"{self.file.parent}/{self}" if self.file else str(self)


@dataclass(frozen=True, slots=True)
class Extension:
    """How plug-ins extend a table, and how the class or function of a record is called.

    Attributes:
        kind: the word for messages, a key of ``plugins.GROUPS``: ``"architecture"`` or ``"loss"``.
        record: the type of the table's records.
        target: the class or function of a record, whose parameters are the options.
        given: parameters that are not options because segstudy passes them itself.
        num_called_with: how many arguments a function is called with, before its options.
        filled: options that segstudy fills in if they are not given, so that they need no default.
    """

    kind: str
    record: type[Any]
    target: Callable[[Any], Callable[..., Any]]
    given: tuple[str, ...] = ()
    num_called_with: int = 0
    filled: tuple[str, ...] = ()


def _as_json(value: Value) -> str:
    return json.dumps(value, separators=(",", ":"))


def parse(text: str) -> Component:
    """Read ``name:option=value``, ``file.py:name:option=value`` or ``package.module:name:option=value``.

    Raises:
        UserError: when the text has another form.
    """
    file, module, rest = None, None, text
    if ".py:" in text:
        path, rest = text.split(".py:", 1)
        file = Path(expanded(f"{path}.py")).resolve()
    elif text.endswith(".py"):
        raise UserError(f"{text}: name a class or function of the file, as {text}:Name")
    elif _is_of_module(text):
        module, rest = text.split(":", 1)
    name, *options = rest.split(":")
    if not name.isidentifier():
        raise UserError(
            f"{text!r} is not of the form name:option=value (or file.py:name:option=value, or "
            "package.module:name:option=value)"
        )
    named = [_option(text, option) for option in options]
    if len(dict(named)) < len(named):
        raise UserError(f"{text!r} gives an option twice: leave one of them out")
    return Component(name, tuple(sorted(named, key=lambda option: option[0])), file, module)


def _is_of_module(text: str) -> bool:
    """Whether a text begins like ``package.module:Name``; options have an equals sign."""
    module, _, name = text.partition(":")
    name = name.partition(":")[0]
    return all(part.isidentifier() for part in module.split(".")) and name.isidentifier()


def _option(text: str, option: str) -> tuple[str, Value]:
    name, equals, value = option.partition("=")
    if not equals or not name.isidentifier():
        raise UserError(f"{text!r}: {option!r} is not of the form option=value")
    parsed = _parsed(value)
    is_list = isinstance(parsed, list)
    values: list[Any] = parsed if isinstance(parsed, list) else [parsed]
    if (value.startswith("[") and not is_list) or not all(map(_is_value, values)):
        raise UserError(
            f"{text!r}: {name} takes a finite number, true, false, a word, or a list of these such as "
            f"[8,16], not {value}"
        )
    return name, tuple(values) if is_list else values[0]


def _is_value(value: object) -> bool:
    return isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _parsed(value: str) -> object:
    try:
        return json.loads(value.lower() if value.lower() in ("true", "false") else value)
    except ValueError:
        try:
            return float(value)  # .2 is not JSON
        except ValueError:
            return value


def resolve(
    text: str, table: Mapping[str, Any], extension: Extension
) -> tuple[Component, Callable[..., Any], str | None]:
    """Find what a component names, check its options, and drop those that equal the default.

    Args:
        text: the component as written.
        table: our own records by name.
        extension: what the table holds.

    Returns:
        The canonical component, the class or function it names, and the version of its code for keys: None
        for ours, which have their ``numerics``.

    Raises:
        UserError: unknown name, unknown option or an option of the wrong type, with the choices; what
            cannot be imported; an option that has no default and is not given.
    """
    component = parse(text)
    target, version = _found(component, table, extension)
    options = _checked_options(component, target, extension)
    return Component(component.name, options, component.file, component.module), target, version


def _found(
    component: Component, table: Mapping[str, Any], extension: Extension
) -> tuple[Callable[..., Any], str | None]:
    """Return the class or function that a component names, and the version of its code; None for ours."""
    if component.file is not None:
        return _load(component.file, component.name), source_hash(component)
    if component.module is not None:
        _refuse_option_without_value(component, table)
        target = imported(component.module, component.name)
        if not callable(target):
            raise UserError(f"{component.title} is not a class or function, but a {type(target).__name__}")
        return target, code_version(target, component.module)
    if plugin := plugin_named(extension.kind, component.name, table):
        target = extension.target(load(plugin, extension.record))
        return target, plugin_version(plugin, target)
    if component.name not in table:
        choices = ", ".join(names(extension.kind, table))
        raise UserError(
            f"unknown {extension.kind} {component.name!r}: use one of {choices}, "
            "or name your own as file.py:Name or package.module:Name"
        )
    return extension.target(table[component.name]), None


def _refuse_option_without_value(component: Component, table: Mapping[str, Any]) -> None:
    """Refuse ``unet:skips``, which looks like a module with a name in it."""
    if component.module in table:
        raise UserError(
            f"{component.title!r}: {component.name!r} is not of the form option=value, as "
            f"{component.module}:{component.name}=VALUE"
        )


def source_version(component: Component) -> str | None:
    """Return the present version of a file's or a module's code, for keys; None for a plain name.

    Raises:
        UserError: it does not exist, or cannot be imported.
    """
    if component.module is None:
        return source_hash(component)
    return code_version(imported(component.module, component.name), component.module)


def _checked_options(
    component: Component, target: Callable[..., Any], extension: Extension
) -> tuple[tuple[str, Value], ...]:
    parameters = _options_of(component, target, extension)
    kept: list[tuple[str, Value]] = []
    for name, value in component.options:
        if name not in parameters:
            choices = ", ".join(parameters) or "none"
            raise UserError(f"{component.title} has no option {name!r}: its options are {choices}")
        default = parameters[name].default
        same_kind = value if _takes_lists(parameters[name], value) else _as_kind_of(default, value)
        if same_kind is None:
            raise UserError(
                f"{component.title}: {name} has another type than {_written(value)} (default {default!r})"
            )
        if same_kind != (tuple(default) if isinstance(default, list) else default):
            kept.append((name, same_kind))
    needed = [name for name, each in parameters.items() if each.default is inspect.Parameter.empty]
    given = {*dict(component.options), *extension.filled}
    if missing := [name for name in needed if name not in given]:
        raise UserError(
            f"{component.title} needs {' and '.join(missing)}, which have no default: give them as "
            f"{component.title}:{':'.join(f'{name}=VALUE' for name in missing)}"
        )
    return tuple(kept)


def _written(value: Value) -> str:
    return _as_json(value) if isinstance(value, tuple) else repr(value)


def _options_of(
    component: Component, target: Callable[..., Any], extension: Extension
) -> dict[str, inspect.Parameter]:
    """Return the parameters that are options; those without a default must be given."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = list(_signature(component, target).parameters.values())
    if not isinstance(target, type):
        called_with = [each for each in parameters if each.kind in positional][: extension.num_called_with]
        parameters = [each for each in parameters if each not in called_with]
    return {each.name: each for each in parameters if each.kind in named and each.name not in extension.given}


def _takes_lists(parameter: inspect.Parameter, value: Value) -> bool:
    """Whether a list is given and the annotation allows one, though the default is not a list."""
    allowed = re.search("sequence|tuple|list", str(parameter.annotation), re.IGNORECASE) is not None
    no_default = parameter.default is inspect.Parameter.empty
    return no_default or (
        isinstance(value, tuple) and allowed and isinstance(parameter.default, int | float | str)
    )


def _as_kind_of(default: object, value: Value) -> Value | None:
    """Return the value in the default's type, for example 3 as 3.0; None if that changes its meaning."""
    match default:
        case bool():
            return value if isinstance(value, bool) else None
        case int() | float():
            if isinstance(value, bool) or not isinstance(value, int | float):
                return None
            return type(default)(value) if type(default)(value) == value else None
        case str():
            return value if isinstance(value, str) else None
    return value


def _signature(component: Component, target: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(target)
    except ValueError:
        raise UserError(
            f"{component.title} does not show its parameters: wrap it in a function of your own"
        ) from None


def _load(file: Path, name: str) -> Callable[..., Any]:
    if not file.is_file():
        raise UserError(f"{file}: no such file{reason_missing(file)}; {name} should come from it")
    if file.stat().st_size > MAX_SOURCE_BYTES:
        raise UserError(
            f"{file}: larger than {MAX_SOURCE_BYTES / MB:g} MB, too large for a source file; give another"
        )
    place = hashlib.sha256(os.fsencode(file)).hexdigest()[:8]  # files of equal names are different modules
    called = f"segstudy_user_{file.stem}_{place}"
    spec = importlib.util.spec_from_file_location(called, file, loader=FromSource(called, str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        with importable_beside(file):
            spec.loader.exec_module(module)
    except Exception as error:  # the user's own code may raise anything
        raise UserError(
            f"{file} cannot be imported: {typed_line(error)}{_encoding_hint(file, error)}"
        ) from error
    target = getattr(module, name, None)
    if not callable(target):
        raise UserError(f"{file} has no class or function {name!r}")
    return target  # type: ignore[no-any-return]


def _encoding_hint(file: Path, error: Exception) -> str:
    """Return what to do about a source file that Python cannot read because it is not UTF-8, else nothing."""
    if not isinstance(error, SyntaxError):
        return ""
    content = file.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError:
        return "; save it as UTF-8"
    return "; save it as UTF-8" if b"\0" in content else ""


def source_hash(component: Component) -> str | None:
    """Return the hash of a user's file and its imports from its folder; it enters the key of its runs."""
    if component.file is None:
        return None
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in source_files(component.file)]
    return (hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest())[:16]
