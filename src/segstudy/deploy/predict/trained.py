"""The network of a trained run: converted for the preferred engine here, or as PyTorch has it."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from segstudy.core.atomic_files import DiskError
from segstudy.core.cache import ELSEWHERE, cache_folder, temporary_folder
from segstudy.core.checksums import check_weights, log
from segstudy.core.errors import UserError, printable
from segstudy.core.libraries import not_installed
from segstudy.core.locks import hold
from segstudy.core.progress import stages
from segstudy.core.version import __version__
from segstudy.deploy.engines import ENGINES, FEW_IMAGES, Engine
from segstudy.deploy.engines.base import Network
from segstudy.deploy.engines.exported import open_made_here
from segstudy.deploy.engines.stored import stored_network
from segstudy.deploy.export import FORMATS, Format
from segstudy.deploy.file_kinds.checksums import is_sound
from segstudy.deploy.predict.options import PredictOptions
from segstudy.store.card import Card, read_card
from segstudy.store.own_networks import is_own, own_network
from segstudy.store.records import CARD, STORED_ONNX, WEIGHTS, TrainedRecord
from segstudy.store.trained_models import Models, run_name

GRAPH_NUMERICS = 2  # of converted networks; raised when the graph changes, so that they are made again
CONVERT_WAIT_S = 300.0  # for another process that converts the same network

Trained = tuple[TrainedRecord, Card]  # a run, and the card of its model


def open_trained(models: Models, how: PredictOptions) -> tuple[Network, ...]:
    """Open the networks of runs: ours by the named or preferred engine, a user's own as ``_open_own`` does.

    Raises:
        UserError: an altered model, or one that cannot run here.
    """
    runs = [(record, read_card(models.folder(record) / CARD)) for record in models.records()]
    own = [is_own(card, models.folder(record) / CARD) for record, card in runs]
    if any(own):  # all, as they are of one configuration
        return tuple(_open_own(models, record, card, how) for record, card in runs)
    for record, card in runs:
        own_network(card, models.folder(record) / CARD, how.network)  # refuses any
    *preferred, last = _engines_to_try(models, runs, how)
    for engine in preferred:
        with suppress(OSError, DiskError):  # no room anywhere to convert: the next one may need none
            return tuple(_open_with(engine, models, record, card, how) for record, card in runs)
    return tuple(_open_with(last, models, record, card, how) for record, card in runs)


def _engines_to_try(models: Models, runs: Sequence[Trained], how: PredictOptions) -> list[Engine]:
    """Return the engines to try in this order, the same for all runs.

    Results that are there are continued by their engine. A few images are predicted without a conversion,
    which would take longer than they do.
    """
    if how.engine != "auto":
        return [ENGINES[how.engine]]
    found = engines_for_runs(converting=how.on_cpu and not has_gpu())
    if continued := [engine for engine in found if engine.title == how.continued]:
        return [*continued, *(engine for engine in found if engine not in continued)]
    if how.num_images is None or how.num_images > FEW_IMAGES:
        return found
    ready = [engine for engine in found if all(is_ready(engine, models, *run) for run in runs)]
    return ready or found


def is_ready(engine: Engine, models: Models, record: TrainedRecord, card: Card) -> bool:
    """Whether an engine needs no conversion of a run now; of models without a checksum, if it never does."""
    if not engine.converted_to:
        return True
    with suppress(OSError):
        weights = card.weights_sha256
        return weights is not None and _converted_file(engine, models, record, card, weights).is_file()
    return False


def engines_for_runs(converting: bool = True) -> list[Engine]:
    """Return the engines that ``--engine auto`` tries for the folder of a run, in this order.

    Args:
        converting: also those that run it in an export format, on the CPU; if their packages are installed.
    """
    found = [
        each
        for each in ENGINES.values()
        if each.preference and (not each.converted_to or (converting and can_convert(each)))
    ]
    return sorted(found, key=lambda engine: -engine.preference)


def can_convert(engine: Engine) -> bool:
    """Whether the packages are installed with which an engine runs a run's network in an export format."""
    return not not_installed(engine.package, *FORMATS[engine.converted_to].needs)


def _open_with(
    engine: Engine, models: Models, record: TrainedRecord, card: Card, how: PredictOptions
) -> Network:
    if engine.converted_to:
        return _open_converted(models, record, card, replace(how, engine=engine.name))
    return _by_pytorch(models.folder(record), record, how)


def _open_own(models: Models, record: TrainedRecord, card: Card, how: PredictOptions) -> Network:
    """Open a network that is not ours: by PyTorch if the user names its code, else from ``model.onnx``.

    Code that only the folder names is never run, except a plug-in's network, if there is no such file.

    Raises:
        UserError: neither is there, or an engine that cannot run it.
    """
    folder, network, engine = models.folder(record), how.network, how.engine
    by_files = engine == "auto" or bool(ENGINES[engine].suffixes)
    if network is None and by_files and (folder / STORED_ONNX).is_file():
        if not how.on_cpu:
            raise UserError(
                f"{folder / STORED_ONNX}: runs on the CPU; omit --device, or name the network's code "
                "with --network"
            )
        return stored_network(folder, card, engine, how.threads, how.precision)
    own_network(card, folder / CARD, network)
    if engine != "auto" and by_files:
        raise UserError(
            f"{network or card.architecture}: is run by PyTorch; omit --engine, or export the model and "
            "run that file"
        )
    return _by_pytorch(folder, record, how)


def _open_converted(models: Models, record: TrainedRecord, card: Card, how: PredictOptions) -> Network:
    """Open the network of a run as an exported file in the cache, made if missing or altered.

    Only for predictions on this machine: its masks are not compared with PyTorch's, as ``export`` does.
    Where the cache cannot be written it is made in a temporary folder, and a line says so.

    Raises:
        UserError: as ``checkpoint.load_model``; a package is missing.
        DiskError: no folder can be written.
        OSError: no folder can be looked into.
    """
    folder = models.folder(record)
    weights = check_weights(folder / WEIGHTS, folder / CARD, card.weights_sha256)
    file = _converted_file(ENGINES[how.engine], models, record, card, weights)
    try:
        return _converted_in(file, models, record, how)
    except (OSError, DiskError) as error:
        reason = error.strerror if isinstance(error, OSError) else getattr(error.__cause__, "strerror", "")
        _say_once(
            f"{cache_folder()}: the cache cannot be used ({reason}); the network is converted for this "
            f"command only; {ELSEWHERE}"
        )
    return _converted_in(temporary_folder() / file.relative_to(cache_folder()), models, record, how)


def _converted_file(engine: Engine, models: Models, record: TrainedRecord, card: Card, weights: str) -> Path:
    """Return the path in the cache of a run's network, with these weights, in the format of an engine."""
    described = [run_name(record), models.home is None]  # stand in the file too
    made_from = [card.model_dump_json(), weights, described, GRAPH_NUMERICS, __version__]
    content = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()
    return cache_folder() / "networks" / content[:16] / f"model{FORMATS[engine.converted_to].suffix}"


@cache
def _say_once(text: str) -> None:
    """Log a line, though an ensemble of many networks has the reason for it."""
    log.warning("%s", printable(text))


def _converted_in(file: Path, models: Models, record: TrainedRecord, how: PredictOptions) -> Network:
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
            log.warning("%s: was altered in the cache; it is converted again", file)
    stages.info(
        "converting the network of %s for %s; this takes some seconds, and once only",
        printable(run_name(record)),
        ENGINES[how.engine].title,
    )
    _convert(models, record, file, format_)
    return ready()


def converted(engine: Engine, models: Models, record: TrainedRecord, card: Card, weights: str) -> Path:
    """Convert a run with these weights for an engine, and return the file in the cache.

    Raises:
        UserError: a package is missing, or weights that do not fit.
        DiskError: the cache cannot be written.
    """
    file = _converted_file(engine, models, record, card, weights)
    _convert(models, record, file, FORMATS[engine.converted_to])
    return file


def _convert(models: Models, record: TrainedRecord, file: Path, format_: Format) -> None:
    from segstudy.deploy.export import onnx  # imports PyTorch, which takes seconds

    with hold(file.with_name("lock"), "this network", CONVERT_WAIT_S):
        if not (file.is_file() and is_sound(file)):  # perhaps made by the process that held the lock before
            graph = onnx.onnx_of(models.folder(record), checked=True)
            format_.write(graph, onnx.package_of(models, record, "float32"), file)


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU; asks the system, as importing PyTorch takes longer than predicting."""
    return any(Path(device).exists() for device in ("/dev/nvidia0", "/dev/nvidiactl"))


def _by_pytorch(folder: Path, record: TrainedRecord, how: PredictOptions) -> Network:
    from segstudy.core.device import choose_device  # imports PyTorch
    from segstudy.deploy.engines.pytorch import open_run  # imports PyTorch

    return open_run(folder, run_name(record), choose_device(how.device), how.precision, how.network)
