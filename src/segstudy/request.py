"""What a call asks for: a study file, a data set or a study's folder, and the options that override it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from segstudy import studyfile
from segstudy.config import Level, Study, extend, is_synthetic, override, preset_study
from segstudy.errors import UserError
from segstudy.store import StudyFolder

Values = Level | Sequence[Level]


class StudyOptions(TypedDict, total=False):
    """What overrides a study; every field is also an option of ``segstudy run``.

    A sequence of values makes a factor: ``loss=["bce", "dice"]``, ``lr=[1e-3, 1e-4]``.
    """

    protocol: str
    architecture: Values
    loss: Values
    batch_size: Values
    epochs: Values
    image_size: Values
    width: Values
    seeds: int
    folds: int
    fields: Mapping[str, Values]
    data: str | Path
    split: str | Path
    exclude: str | Path | Sequence[str]


class MachineOptions(TypedDict, total=False):
    """Where and how to train: nothing of it changes a run's key."""

    device: str
    threads: int
    workers: int
    executor: str | None
    checkpoint_every: int


class Options(StudyOptions, MachineOptions, total=False):
    """All options that ``run`` and ``plan`` share."""

    out: str | Path | None


def described(source: str | Path | None, options: Mapping[str, Any]) -> tuple[Study, StudyFolder]:
    """The study that a source and options stand for, and the folder it belongs in.

    Args:
        source: a study file, a data set's folder or a study's folder; None for the embedded set.
        options: see ``Options``.

    Raises:
        UserError: neither of them, or options that do not fit.
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
        study = studyfile.load(path)
        if preset:
            raise UserError(f"{path}: the protocol of a study file stands in it, as preset = {preset!r}")
    else:
        preset = preset or ("classic" if path is not None and not is_synthetic(str(source)) else "quick")
        data, name = _data_and_name(source)
        study = preset_study(preset, f"{name}-{preset}", data)
    study = override(study, fields)
    return study, StudyFolder(Path(out) if out else Path(study.name))


def _data_and_name(source: str | Path | None) -> tuple[str, str]:
    text = "synthetic" if source is None else str(source)
    if is_synthetic(text):
        return text, text.replace(":", "-")
    path = Path(text).resolve()
    if not path.exists():
        raise UserError(f"{text}: no such folder or study file; `segstudy run` alone tries the embedded set")
    return str(path), path.name


def _fields(options: Mapping[str, Any]) -> dict[str, Sequence[Level]]:
    """Options as the fields of a study they override, each with its values."""
    named: dict[str, Any] = dict(options.get("fields") or {})
    for name in ("architecture", "loss", "batch_size", "epochs", "image_size", "width", "seeds", "folds"):
        if options.get(name) is not None:
            named[name] = options[name]
    if options.get("data") is not None:
        data = str(options["data"])
        named["data"] = data if is_synthetic(data) else str(Path(data).resolve())
    if options.get("split") is not None:
        named["split_file"] = str(Path(options["split"]).resolve())
    if options.get("exclude") is not None:
        named["exclude"] = excluded(options["exclude"])
    if named.get("epochs") is not None:
        named.setdefault("budget", "epochs")
    return {name: values if isinstance(values, list | tuple) else [values] for name, values in named.items()}


def excluded(given: str | Path | Sequence[str]) -> tuple[str, ...]:
    """The ids to leave out, given as such or as a file with one a line.

    Raises:
        UserError: a file that cannot be read.
    """
    if not isinstance(given, str | Path):
        return tuple(given)
    try:
        lines = Path(given).read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise UserError(
            f"{given}: cannot be read ({error.strerror}); it is to hold one sample id a line"
        ) from None
    return tuple(line.strip() for line in lines if line.strip())
