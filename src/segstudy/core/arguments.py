"""The arguments of public functions: a misspelled one, or one of another kind, is refused, never ignored."""

import functools
import inspect
import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from segstudy.core.errors import UserError
from segstudy.core.paths import expanded
from segstudy.core.suggestions import did_you_mean

P = ParamSpec("P")
R = TypeVar("R")


class ArgumentError(UserError, TypeError):
    """An argument that a function does not have, or of a kind that it does not take."""


def checked_call(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that refuses misspelled arguments and arguments of another plain kind.

    Signature and docstring stay as they are: editors, ``help`` and type checkers see every argument.

    >>> @checked_call
    ... def greet(name: str, times: int = 1) -> str:
    ...     return name * times
    >>> greet("a", time=2)
    Traceback (most recent call last):
        ...
    segstudy.core.arguments.ArgumentError: greet() has no argument 'time'; did you mean times?
    """
    parameters = inspect.signature(function).parameters
    kinds = {name: _plain_kinds(parameter.annotation) for name, parameter in parameters.items()}
    by_place = [
        name for name, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    rest = [name for name, parameter in parameters.items() if parameter.kind is parameter.VAR_POSITIONAL]
    title = function.__qualname__.removesuffix(".__init__").removesuffix(".__call__")

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in parameters:
                choices = [each for each in parameters if each != "self"]
                raise ArgumentError(f"{title}() has no argument {name!r}; {did_you_mean(name, choices)}")
        places = list(itertools.islice(itertools.chain(by_place, itertools.cycle(rest)), len(args)))
        for name, value in (*zip(places, args, strict=False), *kwargs.items()):
            if (plain := kinds[name]) and not any(_is_a(value, kind) for kind in plain):
                raise ArgumentError(f"{title}(): {name} must be {_words(plain)}, got {value!r}")
        by_name: Any = {name: _with_home(value, kinds[name]) for name, value in kwargs.items()}
        known: Any = [_with_home(value, kinds[name]) for name, value in zip(places, args, strict=False)]
        in_order: Any = [*known, *args[len(known) :]]  # too many are for the function to refuse
        return function(*in_order, **by_name)

    return call


def _with_home(value: Any, kinds: Sequence[Any]) -> Any:
    """Where a path may be given, the home folder in the place of ``~``; also in a list of paths."""
    if Path not in kinds:
        return value
    if isinstance(value, str):
        return expanded(value)
    if isinstance(value, Path):
        return Path(expanded(str(value)))
    if isinstance(value, list | tuple) and all(isinstance(each, str | Path) for each in value):
        return [_with_home(each, kinds) for each in value]
    return value


def checked_methods(cls: type[R]) -> type[R]:
    """Return the class with its constructor and public methods as checked calls."""
    for name, member in list(vars(cls).items()):
        if inspect.isfunction(member) and (not name.startswith("_") or name in ("__init__", "__call__")):
            setattr(cls, name, checked_call(member))
    return cls


def _plain_kinds(annotation: Any) -> tuple[Any, ...]:
    """Return the kinds that an annotation allows, if all are plain types; else none.

    Lists of levels are left to the study, which checks more: a class instead of its name, for example.
    """
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    plain = (bool, int, float, str, Path, None, NoneType)
    origins = (Literal, Mapping, *([Sequence] if Path in members else []))
    return members if all(each in plain or get_origin(each) in origins for each in members) else ()


def _is_a(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if get_origin(kind) in (Sequence, Mapping):  # its items are checked by the function
        return isinstance(value, Iterable)
    if kind in (None, NoneType):
        return value is None
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, {int: Integral, float: Real, str: str, Path: str | os.PathLike}[kind])


def _words(kinds: Sequence[Any]) -> str:
    words = {bool: "True or False", int: "a whole number", float: "a number", str: "text", Path: "a path"}
    kinds = [kind for kind in kinds if kind is not str] if Path in kinds else kinds
    origins = {Sequence: "a list", Mapping: "a dictionary"}
    named = [
        f"one of {', '.join(get_args(kind))}"
        if get_origin(kind) is Literal
        else origins.get(get_origin(kind), words.get(kind, "None"))
        for kind in kinds
    ]
    return " or ".join(named)
