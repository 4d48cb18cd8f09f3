"""Loading of a MODEL: an exported file, a model's folder, or a study's folder with its best run."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from segstudy.core.atomic_files import DiskError
from segstudy.core.checksums import check_weights, is_sound, log
from segstudy.core.errors import UserError, printable
from segstudy.core.version import __version__
from segstudy.deploy.engines import ENGINES, SUFFIXES, EngineName
from segstudy.deploy.engines.base import Network, Precision
from segstudy.deploy.engines.exported import open_exported, open_made_here
from segstudy.deploy.export import FORMATS, Format
from segstudy.store.card import Card, read_card

if TYPE_CHECKING:  # missing in the light distribution, and not needed to predict with a file
    from segstudy.store.records import TrainedRecord
    from segstudy.store.trained_models import Models

GRAPH_NUMERICS = 2  # of converted networks; raised when the graph changes, so that they are made again
CONVERT_WAIT_S = 300.0  # for another process that converts the same network


@dataclass(frozen=True)
class PredictOptions:
    """Options of running a model; see ``open_model``."""

    engine: EngineName = "auto"
    precision: Precision = "auto"
    threads: int = 1
    device: str = "auto"
    network: str | None = None

    @property
    def on_cpu(self) -> bool:
        """Whether it may run on the CPU."""
        return self.device in ("auto", "cpu")


def open_model(  # noqa: PLR0913 (an option each)
    path: Path,
    *,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    threads: int = 1,
    device: str = "auto",
    ensemble: bool = False,
    network: str | None = None,
) -> tuple[Network, ...]:
    """Load a model, or all models of an ensemble.

    Args:
        path: a model's folder, a study's or an exported file.
        engine: ``auto`` runs an exported file as ``engines.open_exported`` says; a run's folder on a CPU by
            OpenVINO where it is installed, else by PyTorch.
        precision: of the arithmetic; ``auto`` is bfloat16 where hardware and engine have it.
        threads: simultaneous callers, each with a thread of its own.
        device: for PyTorch: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        ensemble: of a study, all runs of its best configuration instead of the best of them.
        network: ``my.py:Net``, for a model whose network comes from a file of one's own.

    Raises:
        UserError: no model there, an altered one, one with invalid output, or one that cannot run here.
    """
    how = PredictOptions(engine, precision, threads, device, network)
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        if ensemble:
            raise UserError(f"{path}: one exported model makes no ensemble; give a study's folder")
        if network is not None:
            raise UserError(f"{path}: an exported model needs no code; omit --network")
        if not how.on_cpu:
            raise UserError(f"{path}: exported models run on the CPU; omit --device or give the run")
        return (open_exported(path, engine, threads, precision),)
    models = models_of(path)
    if not ensemble and len(models.keys) > 1:
        models = models.best()
    return tuple(_open_trained(models, record, how) for record in models.records())


def _open_trained(models: "Models", record: "TrainedRecord", how: PredictOptions) -> Network:
    """Open a run's network: ours by the fastest engine here, a user's own as ``_open_own`` does."""
    from segstudy.store.own_networks import is_own, own_network
    from segstudy.store.records import CARD

    folder = models.folder(record)
    card = read_card(folder / CARD)
    if is_own(card, folder / CARD):
        return _open_own(models, record, card, how)
    own_network(card, folder / CARD, how.network)  # refuses any
    if how.engine == "auto" and how.on_cpu and can_convert() and not has_gpu():
        with suppress(OSError, DiskError):  # no room anywhere: PyTorch needs none
            return _open_converted(models, record, card, replace(how, engine="openvino"))
    if how.engine in ("auto", "torch"):
        return _by_pytorch(folder, record, how)
    return _open_converted(models, record, card, how)


def _open_own(models: "Models", record: "TrainedRecord", card: Card, how: PredictOptions) -> Network:
    """Open a network that is not ours: by PyTorch if the user names its code, else from ``model.onnx``.

    Code that only the folder names is never run, except a plug-in's network, if there is no such file.

    Raises:
        UserError: neither is there, or an engine that cannot run it.
    """
    from segstudy.deploy.engines.stored import stored_network
    from segstudy.store.own_networks import own_network
    from segstudy.store.records import CARD, STORED_ONNX

    folder, network, engine = models.folder(record), how.network, how.engine
    if network is None and engine != "torch" and (folder / STORED_ONNX).is_file():
        if not how.on_cpu:
            raise UserError(
                f"{folder / STORED_ONNX}: runs on the CPU; omit --device, or name the network's code "
                "with --network"
            )
        return stored_network(folder, card, engine, how.threads, how.precision)
    own_network(card, folder / CARD, network)
    if engine not in ("auto", "torch"):
        raise UserError(
            f"{network or card.architecture}: is run by PyTorch; omit --engine, or export the model and "
            "run that file"
        )
    return _by_pytorch(folder, record, how)


def _open_converted(models: "Models", record: "TrainedRecord", card: Card, how: PredictOptions) -> Network:
    """Open the network of a run as ``.onnx`` or ``.xml`` in the cache, made if missing or altered.

    Only for predictions on this machine: its masks are not compared with PyTorch's, as ``export`` does.
    Where the cache cannot be written it is made in a temporary folder, and a line says so.

    Raises:
        UserError: as ``checkpoint.load_model``; a package is missing.
        DiskError: no folder can be written.
        OSError: no folder can be looked into.
    """
    from segstudy.core.cache import ELSEWHERE, cache_folder, temporary_folder
    from segstudy.store.records import CARD, WEIGHTS
    from segstudy.store.trained_models import run_name

    folder = models.folder(record)
    weights = check_weights(folder / WEIGHTS, folder / CARD, card.weights_sha256)
    described = [run_name(record), models.home is None]  # stand in the file too
    made_from = [card.model_dump_json(), weights, described, GRAPH_NUMERICS, __version__]
    content = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()
    format_ = FORMATS[ENGINES[how.engine].converted_to]
    name = Path("networks", content[:16], f"model{format_.suffix}")
    try:
        return _converted_in(cache_folder() / name, models, record, how)
    except (OSError, DiskError) as error:
        reason = error.strerror if isinstance(error, OSError) else getattr(error.__cause__, "strerror", "")
        _say_once(
            f"{cache_folder()}: the cache cannot be used ({reason}); the network is converted for this "
            f"command only; {ELSEWHERE}"
        )
    return _converted_in(temporary_folder() / name, models, record, how)


@cache
def _say_once(text: str) -> None:
    """Log a line, though an ensemble of many networks has the reason for it."""
    log.warning("%s", printable(text))


def _converted_in(file: Path, models: "Models", record: "TrainedRecord", how: PredictOptions) -> Network:
    """The network from a file, which is made where it is not there, or is altered.

    Raises:
        UserError: as ``_open_converted``.
        DiskError: it cannot be written.
        OSError: it cannot be looked for.
    """
    format_ = FORMATS[ENGINES[how.engine].converted_to]

    def ready() -> Network:
        return open_made_here(file, how.engine, how.threads, how.precision)

    if file.is_file():
        try:
            return ready()
        except UserError:
            if is_sound(file):  # then something else is wrong
                raise
            log.warning("%s: was altered in the cache; it is made again", file)
    _convert(models, record, file, format_)
    return ready()


def _convert(models: "Models", record: "TrainedRecord", file: Path, format_: Format) -> None:
    from segstudy.core.locks import hold
    from segstudy.deploy.export.onnx import (  # imports PyTorch, which takes seconds
        onnx_of,
        package_of,
    )

    with hold(file.with_name("lock"), "this network", CONVERT_WAIT_S):
        if not (file.is_file() and is_sound(file)):  # perhaps made by the process that held the lock before
            format_.write(
                onnx_of(models.folder(record), checked=True), package_of(models, record, "float32"), file
            )


def can_convert() -> bool:
    """Whether a run's network can be converted for OpenVINO here; imports nothing."""
    return all(find_spec(name) for name in ("openvino", "onnx", "onnxscript"))


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU; asks the system, as importing PyTorch takes longer than predicting."""
    return any(Path(device).exists() for device in ("/dev/nvidia0", "/dev/nvidiactl"))


def _by_pytorch(folder: Path, record: "TrainedRecord", how: PredictOptions) -> Network:
    from segstudy.core.device import choose_device
    from segstudy.deploy.engines.pytorch import open_run
    from segstudy.store.trained_models import run_name

    return open_run(folder, run_name(record), choose_device(how.device), how.precision, how.network)


def models_of(path: Path) -> "Models":
    """Return the runs of a folder: a single run, or those of a study's best configuration.

    Raises:
        UserError: neither a model's folder nor a study's, or a study without a winner.
    """
    if find_spec("segstudy.store.trained_models") is None:
        raise UserError(
            f"{path}: is no exported model, and for studies and runs the whole of segstudy is needed: "
            "pip install segstudy, or export the model where it was trained"
        )
    from segstudy.store.folder import StudyFolder
    from segstudy.store.trained_models import Models, one_run

    folder = StudyFolder(path)
    if not folder.exists():
        return one_run(path)
    from segstudy.analysis.winner import winner  # imports pydantic and polars

    best = winner(folder)
    if best is None:
        raise UserError(f"{path}: no configuration is complete, so none is best; give the folder of a run")
    return Models(folder, tuple(record.key for record in best.records), best.name)
