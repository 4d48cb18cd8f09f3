"""What a MODEL stands for: an exported file, a run's folder, or a study's folder and its best run."""

import hashlib
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import segstudy
from segstudy.engines import SUFFIXES, EngineName, Network, Precision, open_exported
from segstudy.errors import UserError

if TYPE_CHECKING:  # what the light distribution lacks, and what predicting with a file does without
    from segstudy.trained import Models

GRAPH_NUMERICS = 1  # of converted networks; raised when the graph changes, so that they are made anew


def open_model(
    path: Path,
    *,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    threads: int = 1,
    device: str = "auto",
    ensemble: bool = False,
) -> tuple[Network, ...]:
    """Load a model, or the several of an ensemble.

    Args:
        path: a run's folder, a study's or an exported file.
        engine: ``auto`` runs an exported file as ``engines.open_exported`` says; a run's folder on a CPU by
            OpenVINO where it is installed, else by PyTorch.
        precision: of the arithmetic; ``auto`` is bfloat16 where hardware and engine have it.
        threads: callers at once, each with a thread of its own.
        device: for PyTorch: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        ensemble: of a study, all trainings of its best configuration instead of the best of them.

    Raises:
        UserError: no model there, or one that cannot be run here.
    """
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        if ensemble:
            raise UserError(f"{path}: one exported model makes no ensemble; give a study's folder")
        if device not in ("auto", "cpu"):
            raise UserError(f"{path}: exported models run on the CPU; leave --device out or give the run")
        return (open_exported(path, engine, threads, precision),)
    models = models_of(path)
    if not ensemble and len(models.keys) > 1:
        models = models.best()
    if engine == "auto" and device in ("auto", "cpu") and can_convert() and not has_gpu():
        engine = "openvino"
    if engine in ("auto", "torch"):
        return _by_pytorch(models, device, precision)
    suffix = ".xml" if engine == "openvino" else ".onnx"
    files = [_converted(models, record, suffix) for record in models.records()]
    return tuple(open_exported(file, engine, threads, precision) for file in files)


def _converted(models: "Models", record: Mapping[str, Any], suffix: str) -> Path:
    """The network of a run as ``.onnx`` or ``.xml`` in the cache, made where it is not there yet.

    For predicting on this machine; nobody has compared its masks with PyTorch's, as ``export`` does.

    Raises:
        UserError: as ``checkpoint.load_model``; a package is missing, or the cache cannot be written.
    """
    from segstudy.cache import cache_folder
    from segstudy.files import make_folder
    from segstudy.records import CARD, WEIGHTS

    folder = models.folder(record)
    try:
        content = hashlib.sha256((folder / CARD).read_bytes() + (folder / WEIGHTS).read_bytes())
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}); give another run") from None
    content.update(json.dumps([GRAPH_NUMERICS, segstudy.__version__]).encode())
    file = cache_folder() / "networks" / content.hexdigest()[:16] / f"model{suffix}"
    if not file.is_file():
        from segstudy.exporting import (
            onnx_of,
            package_of,
            write_model,
        )  # PyTorch: seconds that are spared else

        make_folder(file.parent)
        write_model(onnx_of(folder), package_of(models, record, "float32"), file)
    return file


def can_convert() -> bool:
    """Whether a run's network can be brought to OpenVINO here; looks, but imports nothing."""
    return all(find_spec(name) for name in ("openvino", "onnx", "onnxscript"))


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU; asks the system, as importing PyTorch takes longer than predicting."""
    return any(Path(device).exists() for device in ("/dev/nvidia0", "/dev/nvidiactl"))


def _by_pytorch(models: "Models", device: str, precision: Precision) -> tuple[Network, ...]:
    from segstudy.pytorch_engine import open_run
    from segstudy.study import choose_machine
    from segstudy.trained import run_name

    chosen = choose_machine(device).device
    return tuple(
        open_run(models.folder(record), run_name(record), chosen, precision) for record in models.records()
    )


def models_of(path: Path) -> "Models":
    """The trainings that a folder stands for: a run, or those of a study's best configuration.

    Raises:
        UserError: neither a run's folder within its study nor a study's, or a study without a winner.
    """
    if find_spec("segstudy.trained") is None:
        raise UserError(
            f"{path}: is no exported model, and for studies and runs the whole of segstudy is needed: "
            "pip install segstudy, or export the model where it was trained"
        )
    from segstudy.store import StudyFolder
    from segstudy.trained import Models, one_run

    folder = StudyFolder(path)
    if not folder.exists():
        return one_run(path)
    from segstudy.reporting.leaderboard import leaderboard, rows_of, winner  # statistics: half a second

    best = winner(leaderboard(folder))
    if best is None:
        raise UserError(f"{path}: no configuration is complete, so none is best; give the folder of a run")
    records = next(row.records for row in rows_of(folder) if row.name == best)
    return Models(folder, tuple(record["key"] for record in records), best)
