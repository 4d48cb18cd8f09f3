"""Loading of a MODEL: an exported file, a model's folder, or a study's folder with its best run."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from segstudy.core.errors import UserError
from segstudy.deploy.engines import SUFFIXES, EngineName
from segstudy.deploy.engines.base import Network, Precision
from segstudy.deploy.engines.exported import open_exported
from segstudy.deploy.predict.options import PredictOptions

if TYPE_CHECKING:  # missing in the light distribution, and not needed to predict with a file
    from segstudy.store.trained_models import Models


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
        engine: ``auto`` runs an exported file as ``engines.open_exported`` says, and a run's folder by the
            engine that the records of ``ENGINES`` prefer of those that can run it here.
        precision: of the arithmetic; ``auto`` is bfloat16 where hardware and engine have it.
        threads: simultaneous callers, each with a thread of its own.
        device: for PyTorch: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        ensemble: of a study, all runs of its best configuration instead of the best of them.
        network: ``my.py:Net``, for a model whose network comes from a file of one's own.

    Raises:
        UserError: no model there, an altered one, one with invalid output, or one that cannot run here.
    """
    return open_networks(path, PredictOptions(engine, precision, threads, device, network), ensemble)


def open_networks(path: Path, how: PredictOptions, ensemble: bool = False) -> tuple[Network, ...]:
    """Load a model, or all models of an ensemble, as ``open_model``.

    Raises:
        UserError: as there.
    """
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        if ensemble:
            raise UserError(f"{path}: one exported model is not an ensemble; give a study's folder")
        if how.network is not None:
            raise UserError(f"{path}: an exported model needs no code; omit --network")
        if not how.on_cpu:
            raise UserError(f"{path}: exported models run on the CPU; omit --device or give the run")
        return (open_exported(path, how.engine, how.threads, how.precision),)
    models = models_of(path)
    if not ensemble and len(models.keys) > 1:
        models = models.best()
    from segstudy.deploy.predict.trained import open_trained  # not in the light distribution

    return open_trained(models, how)


def models_of(path: Path) -> "Models":
    """Return the runs of a folder: a single run, or those of a study's best configuration.

    Raises:
        UserError: neither a model's folder nor a study's, or a study without a winner.
    """
    if find_spec("segstudy.store.trained_models") is None:
        raise UserError(
            f"{path}: is not an exported model, and studies and runs need the complete segstudy: "
            "pip install segstudy, or export the model where it was trained"
        )
    from segstudy.store.folder import StudyFolder  # not in the light distribution
    from segstudy.store.trained_models import Models, one_run  # not in the light distribution

    folder = StudyFolder(path)
    if not folder.exists():
        return one_run(path)
    from segstudy.analysis.winner import winner  # imports polars, and only a study needs it

    best = winner(folder)
    if best is None:
        raise UserError(f"{path}: no configuration is complete, so none is best; give the folder of a run")
    return Models(folder, tuple(record.key for record in best.records), best.name)
