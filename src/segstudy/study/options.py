"""The arguments of a call: a study file, a data set or a study's folder, and overriding options."""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import Any

from pydantic import ValidationError

from segstudy.config import study_file
from segstudy.config.protocol import Level, Protocol
from segstudy.config.study import ONE_VALUE, Study, extend, override, preset_study
from segstudy.core.errors import UserError
from segstudy.core.input_files import MB, read_text
from segstudy.core.intensity import COLOURS, MAX_CHANNELS, Scale
from segstudy.core.intensity import parse as parse_scale
from segstudy.core.mask_rules import COLOUR, MaskMeaning
from segstudy.core.paths import expanded, reason_missing
from segstudy.core.schema_messages import explained
from segstudy.core.suggestions import did_you_mean, nearest_beside
from segstudy.core.synthetic import is_synthetic, own_classes
from segstudy.data.leakage import ids_in
from segstudy.store.folder import StudyFolder

MAX_IDS_BYTES = 16 * MB  # a quarter of a million ids of 60 characters

# The options that override a study: the fields of its protocol, and some of its own.
STUDY_FIELDS = (*ONE_VALUE, "exclude")
FIELDS = ("architecture", "loss", *Protocol.model_fields, *STUDY_FIELDS)
# Where and how to train: nothing of it changes a run's key.
MACHINE_OPTIONS = (
    *("device", "threads", "workers", "executor", "checkpoint_every", "same_hardware", "executor_options"),
)

# Fields whose lists are one value, and how it is written.
WHOLE: dict[str, Callable[[Any], Any]] = {
    "classes": lambda value: value,
    "ignore": lambda value: values_in("ignore", value),
}

Given = int | str | Sequence[int] | Sequence[str] | None

_RULE = re.compile(r"auto|official|all|[\d.]+/[\d.]+/[\d.]+")


def described(source: str | Path | None, options: Mapping[str, Any]) -> tuple[Study, StudyFolder]:
    """Return the study of a source and options, and its folder.

    Args:
        source: a study file, a data set's folder or a study's folder; None for the synthetic set.
        options: ``protocol``, ``out``, ``fields`` and any of ``FIELDS``; None stands for "not given".

    Raises:
        UserError: an invalid source or option.
    """
    fields = _fields(options)
    preset, out = options.get("protocol"), options.get("out")
    path = Path(source) if source is not None else None
    if path is not None and StudyFolder(path).exists():
        if preset:
            raise UserError(
                f"{path} is a study already: --protocol is for a new one, in another folder (--out)"
            )
        return extend(StudyFolder(path).study(), fields), StudyFolder(path)
    if path is not None and path.suffix == ".toml":
        study = study_file.load(path)
        if preset:
            raise UserError(f"{path}: a study file sets its protocol itself, as preset = {preset!r}")
    else:
        preset = preset or ("classic" if path is not None and not is_synthetic(str(source)) else "quick")
        data, name = _data_and_name(source)
        study = preset_study(preset, f"{name}-{preset}", data)
    study = _with_own_classes(override(study, fields))
    return study, StudyFolder(Path(out) if out else Path(study.name))


def _with_own_classes(study: Study) -> Study:
    """The study with the classes of a synthetic set, unless something else is said of its masks."""
    classes, protocol = own_classes(study.data), study.protocol
    if classes is None or protocol.classes is not None or protocol.masks != "auto":
        return study
    if any(meaning.foreground is not None for meaning in study.mask_meanings()):
        return study
    return override(study, {"classes": [classes]})


def _data_and_name(source: str | Path | None) -> tuple[str, str]:
    text = "synthetic" if source is None else str(source)
    if is_synthetic(text):
        return text, text.replace(":", "-")
    path = Path(expanded(text)).resolve()
    if not path.exists():
        near = reason_missing(text) or nearest_beside(path, lambda _: True)
        raise UserError(
            f"{text}: no such folder or study file{near}; `segstudy run` alone uses the synthetic set"
        )
    return str(path), path.name


def _fields(options: Mapping[str, Any]) -> dict[str, Sequence[Level]]:
    """Return options as the study's fields that they override, each with its values."""
    named = {name: options[name] for name in FIELDS if options.get(name) is not None}
    for name, value in (options.get("fields") or {}).items():
        if name not in FIELDS:
            raise UserError(f"unknown field {name!r}: {did_you_mean(name, FIELDS)}")
        if name in named:
            raise UserError(f"{name} is given twice: leave one of them out")
        named[name] = value
    fields: dict[str, Sequence[Any]] = {name: _levels(name, value) for name, value in named.items()}
    fields.update(_places(fields))
    if not all(_RULE.fullmatch(str(value)) for value in fields.get("split", [])):
        fields["split_file"] = _split_file(fields.pop("split"), "split_file" in fields)
    if "exclude" in named:
        fields["exclude"] = excluded(named["exclude"])
    if "budget" not in fields and {"epochs", "steps"} <= fields.keys():
        raise UserError("epochs and steps: one of them is the budget; leave the other out, or set budget")
    for budget in ("epochs", "steps"):
        if budget in fields:
            fields.setdefault("budget", [budget])
    return fields


def _levels(name: str, value: Any) -> list[Any]:
    """Return the values that an option gives a field; a list of several makes a factor.

    Raises:
        UserError: a collection that is not a list, or a tuple that may be one size or two.
    """
    _refuse_code(name, value)
    if hasattr(value, "tolist"):  # numpy's
        value = value.tolist()
    if name in WHOLE:
        return [WHOLE[name](value)]
    if isinstance(value, range):
        value = list(value)
    if not isinstance(value, list | tuple):
        if hasattr(value, "__iter__") and not isinstance(value, str | Path):
            raise UserError(f"{name} must be one value or a list of values, got {value!r}")
        return [value]
    whole = [isinstance(each, int) and not isinstance(each, bool) for each in value]
    if name == "foreground" and whole and all(whole):
        return [list(value)]  # as in a study file: classes that count together
    if name == "class_weights" and value and not any(isinstance(each, str) for each in value):
        return [list(value)]  # a weight for each class
    if name == "image_size" and isinstance(value, tuple) and len(value) == 2 and all(whole):
        height, width = value
        raise UserError(
            f'image_size={value!r}: one size is "{height}x{width}" (height x width), two square ones are '
            f"[{height}, {width}]"
        )
    return [list(each) if isinstance(each, tuple) else each for each in value]


def _refuse_code(name: str, value: Any) -> None:
    """Refuse a class, function or network in place of its name.

    Raises:
        UserError: with the name to write.
    """
    for each in value if isinstance(value, list | tuple) else [value]:
        if not callable(each):
            continue
        code = each if isinstance(each, FunctionType | type) else type(each)
        named = code.__name__ if code.__name__.isidentifier() else "Name"
        file = getattr(sys.modules.get(code.__module__), "__file__", None)
        ours = str(file).startswith(str(Path(__file__).parents[1]))
        where = Path(file).name if file and not ours and code.__module__ != "__main__" else "my.py"
        save = "" if where != "my.py" else "save it in a file, my.py, and "
        kind = "a class" if isinstance(each, type) else "an object"
        raise UserError(
            f"{name}: is given by name, not as {kind}, because "
            f'each run has a process of its own; {save}write {name}="{where}:{named}" (with its path)'
        )


def _places(fields: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return the fields with absolute paths: a study may be opened from another folder."""
    places = {}
    for name in ("data", "split_file"):
        if name in fields:
            places[name] = [
                str(path) if is_synthetic(str(path)) else str(Path(expanded(str(path))).resolve())
                for path in fields[name]
            ]
    return places


def _split_file(values: Sequence[Any], is_given: bool) -> list[str]:
    """Return the file of subsets that a split names if it is not a rule.

    Raises:
        UserError: neither a rule nor a file, or a second one.
    """
    if is_given:
        raise UserError("split and split_file both name a file: leave one of them out")
    file = Path(expanded(str(values[0])))
    if len(values) == 1 and (file.suffix == ".json" or file.is_file()):
        return [str(file.resolve())]
    text = ", ".join(map(str, values))
    rules = "auto, official, shares such as 50/25/25, all (in folds)"
    raise UserError(f"split must be {rules}, or one split.json, got {text!r}")


def meaning_of(
    masks: str | None = None,
    foreground: Given = None,
    classes: Any = None,
    ignore: Given = None,
) -> MaskMeaning:
    """Return the meaning of mask values, from the options for it, as a protocol has them.

    Raises:
        UserError: an invalid rule, invalid values, or options that exclude each other.
    """
    fields = {
        "masks": masks or "auto",
        "foreground": None if foreground is None else values_in("foreground", foreground),
        "classes": classes,
        "ignore": None if ignore is None else values_in("ignore", ignore),
    }
    try:
        return Protocol.model_validate(fields).mask_meaning()
    except ValidationError as error:
        raise UserError(explained(error.errors()[0])) from None


def scale_of(intensity: str | None, channels: int | None = None) -> Scale:
    """Return how images are read, from the options for it.

    Raises:
        UserError: an invalid scale, or number of channels.
    """
    if channels is not None and not 1 <= channels <= MAX_CHANNELS:
        raise UserError(f"channels must be 1 to {MAX_CHANNELS}, got {channels}")
    try:
        return replace(parse_scale(intensity or "auto"), channels=channels or COLOURS)
    except ValueError as error:
        raise UserError(str(error)) from None


def values_in(name: str, given: Any) -> tuple[int | str, ...]:
    """Mask values that count together: ``1``, ``"1+2"``, ``"1,2"``, ``[1, 2]``, ``"#ff0000"``.

    For options without factors, where a comma has only this meaning.

    Args:
        name: of the option.
        given: its value.

    Raises:
        UserError: no value, or neither whole numbers of 0 or more nor colours.
    """
    listed = given.tolist() if hasattr(given, "tolist") else given
    words = listed if isinstance(listed, list | tuple) else [listed]
    found = [part.strip() for word in words for part in str(word).replace(",", "+").split("+")]
    if not found or not all(map(_is_class, found)):
        raise UserError(
            f"{name} must be one class value, several as 1+2, or colours as #ff0000, got {given!r}"
        )
    return tuple(dict.fromkeys(part.lower() if part.startswith("#") else int(part) for part in found))


def _is_class(text: str) -> bool:
    return bool(COLOUR.fullmatch(text.lower())) or (text.isascii() and text.isdecimal())


def excluded(given: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Return the ids to leave out, given directly or as a file with one on each line; # begins a comment.

    Raises:
        UserError: a file that cannot be read, or an id that is not text.
    """
    if not isinstance(given, str | Path):
        ids = list(given) if isinstance(given, Iterable) else [given]
        for each in ids:
            if not isinstance(each, str):
                raise UserError(
                    f"exclude: an id must be text, got {each!r}; give a list of ids, or one file of them"
                )
        return tuple(ids)
    try:
        text = read_text(Path(expanded(str(given))), MAX_IDS_BYTES)
    except OSError as error:
        hint = reason_missing(given) if isinstance(error, FileNotFoundError) else ""
        raise UserError(
            f"{given}: cannot be read ({error.strerror}){hint}; it must hold the ids of samples, one per line"
        ) from None
    return tuple(ids_in(text))
