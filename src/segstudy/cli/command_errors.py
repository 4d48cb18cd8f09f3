"""Errors of a command line: the option, the values it takes, and what was probably meant."""

import inspect
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cyclopts import CycloptsError
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from segstudy.core.suggestions import is_a_letter_off, nearest

# What other programs call the commands.
COMMANDS = {
    "convert": "export",
    "delete": "remove",
    "eval": "evaluate",
    "fit": "run",
    "generate": "synth",
    "infer": "predict",
    "inference": "predict",
    "leaderboard": "table",
    "results": "table",
    "rm": "remove",
    "segment": "predict",
    "show": "table",
    "test": "evaluate",
    "train": "run",
    "validate": "check",
}


def in_words(error: CycloptsError) -> str:
    """The error as a sentence with the remedy."""
    for kind, words in WORDS.items():
        if isinstance(error, kind):
            return words(error)
    return str(error)


def _command(error: CycloptsError) -> str:
    return " ".join(error.command_chain or ("segstudy",))


def _unknown_command(error: UnknownCommandError) -> str:
    word = (error.unused_tokens or [""])[0]
    known = [name for name in error.app or () if not name.startswith("-")]
    if Path(word).exists():
        return f"{word!r} is not a command; did you mean segstudy run {shlex.quote(word)}?"
    others = [name for name in (*known, *COMMANDS) if is_a_letter_off(word, name) or not _deletes(name)]
    meant = nearest(word, others)
    meant = COMMANDS.get(meant or "", meant)
    suggestion = f"did you mean {meant}? " if meant in known else ""
    return f"{word!r} is not a command; {suggestion}use one of {', '.join(known)}"


def _deletes(name: str) -> bool:
    return COMMANDS.get(name, name) == "remove"


def _unknown_option(error: UnknownOptionError) -> str:
    written = (error.token.keyword or error.token.value).partition("=")[0]
    options = [name for each in error.argument_collection for name in each.names if name.startswith("--")]
    command = _command(error)
    if written == "--yes":
        return f"{command} asks nothing and takes no --yes: leave it out"
    for each in error.argument_collection:
        if written.startswith("--") and written[1:] in each.names:
            return f"{command} has no option {written}; did you mean {'/'.join(sorted(each.names))}?"
    names = {option.removeprefix("--"): option for option in options}
    if "set" in names:
        from segstudy.config.protocol import FACTORS  # seconds that a right command line does without

        names |= {field: f"--set {field}=VALUE" for field in FACTORS if field.replace("_", "-") not in names}
    meant = nearest(written, names)
    ending = f"did you mean {names[meant]}?" if meant in names else f"segstudy {command} --help lists them"
    return f"{command} has no option {written}; {ending}"


def _missing(error: MissingArgumentError) -> str:
    argument = error.argument
    assert argument is not None
    name, command = argument.name, _command(error)
    given = [word for word in error.root_input_tokens or () if word in argument.names]
    choices = get_args(argument.hint) if get_origin(argument.hint) is Literal else ()
    value = "|".join(map(str, choices)) or "VALUE"
    if given:
        return f"{given[-1]} has no value{_about(error, name)}; write {given[-1]} {value}, or leave it out"
    what = f"{name} {value}" if name.startswith("-") else name
    return f"{command} needs {what}{_about(error, name)}; segstudy {command} --help shows an example"


def _about(error: MissingArgumentError, name: str) -> str:
    """Return the first sentence of an argument's help."""
    app = error.app
    arguments = app.assemble_argument_collection(parse_docstring=True) if app else ()
    texts = [each.parameter.help or "" for each in arguments if each.name == name]
    sentence = texts[0].replace("`", "").split(". ")[0].strip(" .") if texts else ""
    return f": {sentence[0].lower()}{sentence[1:]}" if sentence else ""


def _other_kind(error: CoercionError) -> str:
    token = error.token
    if token is None:
        return str(error)
    name = token.keyword or (error.argument.name if error.argument else "the value")
    kinds = [kind for kind in (get_args(error.target_type) or (error.target_type,)) if kind is not type(None)]
    if get_origin(error.target_type) is Literal:
        return f"{name} must be one of {', '.join(map(str, get_args(error.target_type)))}, got {token.value}"
    words: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false"}
    return f"{name} must be {' or '.join(words.get(kind, str(kind)) for kind in kinds)}, got {token.value}"


def _repeated(error: RepeatArgumentError) -> str:
    name = error.token.keyword
    lists = ("--architecture", "--loss", "--batch-size", "--epochs", "--image-size", "--width")
    if name in lists:
        return f"{name} is given twice: give one list, as {name} A,B, to train with each, or leave one out"
    return f"{name} is given twice: leave one of them out"


def _left_over(error: UnusedCliTokensError) -> str:
    words = error.unused_tokens or []
    parameters = inspect.signature(error.target).parameters.values() if error.target else ()
    takes = [each.name.upper() for each in parameters if each.kind is each.POSITIONAL_ONLY]
    command = _command(error)
    return (
        f"{command} takes {' '.join(takes) or 'options only'}, and {shlex.join(words)} is left over; "
        f"segstudy {command} --help shows an example"
    )


WORDS: dict[type[CycloptsError], Callable[[Any], str]] = {
    UnknownCommandError: _unknown_command,
    UnknownOptionError: _unknown_option,
    MissingArgumentError: _missing,
    CoercionError: _other_kind,
    RepeatArgumentError: _repeated,
    UnusedCliTokensError: _left_over,
}
