"""The loader of exported files, with the engine of their format or another one. Needs no PyTorch."""

from pathlib import Path
from pkgutil import resolve_name

from segstudy.core.checksums import say_unchecked
from segstudy.core.errors import UserError
from segstudy.deploy.engines import ENGINES, SUFFIXES, EngineName
from segstudy.deploy.engines.base import Network, Precision
from segstudy.deploy.engines.sandbox import ensure_tried, refuse_too_large
from segstudy.deploy.file_kinds.checksums import altered, has_right_checksum


def open_exported(
    file: Path, engine: EngineName = "auto", threads: int = 1, precision: Precision = "auto"
) -> Network:
    """Open a file from anywhere, as ``open_untried`` does, after it has passed its trial.

    Raises:
        UserError: as there, or it did not pass.
    """
    engine = _engine_for(file, engine)
    refuse_too_large(file)
    is_checked = has_right_checksum(file)
    ensure_tried(file, engine, precision)
    return _looked_at(open_untried(file, engine, threads, precision), file, is_checked)


def open_made_here(
    file: Path, engine: EngineName = "auto", threads: int = 1, precision: Precision = "auto"
) -> Network:
    """Open a file that this machine made, as ``open_untried`` does, without a trial if its checksum is right.

    Raises:
        UserError: as there; it was altered, or gives values that are not probabilities.
    """
    is_checked = has_right_checksum(file) if file.is_file() else False
    return _looked_at(open_untried(file, engine, threads, precision), file, is_checked)


def _looked_at(network: Network, file: Path, is_checked: bool) -> Network:
    """Return the network if its output is valid; warn if its file has no checksum."""
    if not is_checked:
        assert network.package is not None
        if network.package.has_checksum:
            raise altered(file)
        say_unchecked(file)
    # Before threads call, too: two that make their first tensors of OpenVINO at the same time wait for each
    # other for ever (2026.4.1: one holds a lock of the library's and waits for Python's, the other the
    # reverse).
    network.refuse_if_wrong()
    return network


def open_untried(
    file: Path, engine: EngineName = "auto", threads: int = 1, precision: Precision = "auto"
) -> Network:
    """Load an exported file without a trial.

    Args:
        file: of a kind of ``FILE_KINDS``, with those beside it.
        engine: ``auto`` takes the first of the table that runs such files.
        threads: simultaneous callers, each with one thread of its own.
        precision: of the arithmetic; ``auto`` leaves it to the engine: float32 for ONNX Runtime, bfloat16 for
            OpenVINO where the processor has it.

    Raises:
        UserError: not there, damaged, not made by segstudy, or the engine is not installed.
    """
    engine = _engine_for(file, engine)
    network: Network = resolve_name(ENGINES[engine].function)(file, threads, precision)
    return network


def _engine_for(file: Path, engine: EngineName) -> EngineName:
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES or not file.is_file():
        raise UserError(
            f"{file}: is not an exported model; `segstudy export` makes {' and '.join(SUFFIXES)} files"
        )
    able = [each.name for each in ENGINES.values() if suffix in each.suffixes]
    if engine == "auto":
        return able[0]
    if engine not in able:
        raise UserError(f"{file}: cannot be run by {engine}; omit --engine")
    return engine
