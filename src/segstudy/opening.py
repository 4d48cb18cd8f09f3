"""What a MODEL stands for: an exported file, a run's folder, or a study's folder and its best run."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from segstudy.engines import SUFFIXES, EngineName, Network, Precision, open_exported
from segstudy.errors import UserError

if TYPE_CHECKING:  # what the light distribution lacks, and what predicting with a file does without
    from segstudy.trained import Models


class Opened(TypedDict, total=False):
    """How a model is to run.

    Attributes:
        engine: ``auto`` runs an exported file as ``engines.open_exported`` says; a run's folder on a CPU by
            OpenVINO where it is installed, else by PyTorch.
        precision: of the arithmetic; ``auto`` is bfloat16 where hardware and engine have it.
        threads: callers at once, each with a thread of its own.
        device: for PyTorch: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        ensemble: of a study, all trainings of its best configuration instead of the best of them.
    """

    engine: EngineName
    precision: Precision
    threads: int
    device: str
    ensemble: bool


def open_model(path: Path, **opened: Unpack[Opened]) -> tuple[Network, ...]:
    """Load a model, or the several of an ensemble.

    Raises:
        UserError: no model there, or one that cannot be run here.
    """
    engine, precision = opened.get("engine", "auto"), opened.get("precision", "auto")
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        if opened.get("ensemble"):
            raise UserError(f"{path}: one exported model makes no ensemble; give a study's folder")
        return (open_exported(path, engine, opened.get("threads", 1), precision),)
    if find_spec("torch") is None:
        raise UserError(
            f"{path}: is no exported model, and for studies and runs the whole of segstudy is needed: "
            "pip install segstudy, or export the model where it was trained"
        )
    models = models_of(path)
    if not opened.get("ensemble") and len(models.keys) > 1:
        models = models.best()
    device = opened.get("device", "auto")
    if engine == "auto" and device in ("auto", "cpu") and can_convert() and not has_gpu():
        engine = "openvino"
    if engine in ("auto", "torch"):
        return _by_pytorch(models, device, precision)
    from segstudy.exporting import converted

    suffix = ".xml" if engine == "openvino" else ".onnx"
    files = [converted(models, record, suffix) for record in models.records()]
    return tuple(open_exported(file, engine, opened.get("threads", 1), precision) for file in files)


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
    from segstudy.reporting.leaderboard import leaderboard, rows_of, winner
    from segstudy.store import StudyFolder
    from segstudy.trained import Models, one_run

    folder = StudyFolder(path)
    if not folder.exists():
        return one_run(path)
    best = winner(leaderboard(folder))
    if best is None:
        raise UserError(f"{path}: no configuration is complete, so none is best; give the folder of a run")
    records = next(row.records for row in rows_of(folder) if row.name == best)
    return Models(folder, tuple(record["key"] for record in records), best)
