"""The use of a trained model: one function per command, with the same names.

Here are the functions of the light distribution without PyTorch, the others are in ``api``.
"""

import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from segstudy.core.arguments import checked_call
from segstudy.core.errors import UserError
from segstudy.core.libraries import not_installed
from segstudy.core.resources import allowed_cores
from segstudy.deploy.engines import ENGINES, SUFFIXES, EngineName
from segstudy.deploy.engines.base import Precision
from segstudy.deploy.engines.exported import open_exported
from segstudy.deploy.predict.folder import predict_files
from segstudy.deploy.predict.inputs import find_images
from segstudy.deploy.predict.load import models_of, open_networks
from segstudy.deploy.predict.options import PredictOptions
from segstudy.deploy.predict.predictor import Predictor, Settings
from segstudy.deploy.predict.result_files import KINDS
from segstudy.deploy.predict.table import engine_in, refuse_other_engine, refuse_place
from segstudy.deploy.predict.volumes import Item
from segstudy.deploy.serving.limits import DEFAULT, Limits
from segstudy.store.card import read_card

SERVER_PACKAGES = ("fastapi", "python-multipart", "uvicorn")


@checked_call
def predict(  # noqa: PLR0913 (an option each)
    model: str | Path,
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    kinds: Sequence[str] = (),
    threshold: float | None = None,
    tta: bool = False,
    largest_component: bool = False,
    fill_holes: bool = False,
    match: str | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
    part: Callable[[str, float], None] = lambda *_: None,
    notice: Callable[[str], None] = lambda _: None,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    device: str = "auto",
    threads: int = 0,
    ensemble: bool = False,
    network: str | None = None,
) -> list[dict[str, str]]:
    """Segment files and folders of images; see ``prediction.predict_files`` for what is written.

    Args:
        model: a model's folder, a study's (its best run) or an exported file.
        images: files and folders. Of each folder that is a data set all images are taken, also those without
            a mask, but not the masks.
        out: the folder of results; the same call again continues where it was stopped.
        kinds: of results beside the masks: ``probability``, ``overlay``, ``outline``, ``objects``.
        threshold: of the probability; the card's, .5, if left out. Exclusive classes have none.
        tta: average over the eight flips and rotations of each image.
        largest_component: keep only the largest part of each mask, of each class if there are several.
        fill_holes: fill holes of each mask, of each class if there are several.
        match: a pattern for the paths of files in folders.
        progress: called with the number of images done and of all images.
        part: called with a name and the share that is done of an image that is too large for memory.
        notice: called with a line on what was left out: files of folders that are not images, measurements of
            images that are too large for memory.
        engine: ``torch``, ``onnxruntime`` or ``openvino``; see ``load.open_model``. With ``auto``, results
            that are there are continued by their engine, and a few images are predicted without a conversion.
        precision: of the arithmetic: ``float32`` or ``bfloat16``.
        device: for PyTorch: ``cpu``, ``cuda`` or ``mps``.
        threads: images at a time; 0: as many as the machine has cores.
        ensemble: of a study, all runs of its best configuration instead of the best of them.
        network: ``my.py:Net``, for a model whose network comes from a file of one's own.

    Returns:
        The rows of ``predictions.csv``, one for each image, of several classes one for each image and class;
        those of images that could not be used have an ``error``.

    Raises:
        UserError: no model or images there, or a folder with other results.
    """
    if isinstance(kinds, str) or (odd := sorted(set(kinds) - set(KINDS))):
        wrong = kinds if isinstance(kinds, str) else odd[0]
        raise UserError(f"kinds: {wrong!r} is no list of {', '.join(KINDS)}; write kinds=['overlay']")
    settings = Settings(threshold, tta, largest_component, fill_holes)
    given = [Path(each) for each in ([images] if isinstance(images, str | Path) else images)]
    threads = cores(threads)
    items = images_of(given, match, notice)
    refuse_place(Path(out), [*given, *(item.file.parent for item in items)])
    continued = engine_in(Path(out)).partition(",")[0]
    if engine != "auto":
        refuse_other_engine(Path(out), ENGINES[engine].title)
    how = PredictOptions(engine, precision, threads, device, network, len(items), continued)
    networks = open_networks(Path(model), how, ensemble)
    return predict_files(
        *(Predictor(networks, settings), items, Path(out), kinds, threads),
        progress=progress,
        part=part,
        notice=notice,
    )


def images_of(
    inputs: Sequence[Path], match: str | None = None, notice: Callable[[str], None] = lambda _: None
) -> list[Item]:
    """Return the images of files and folders; of a folder that is a data set, all images without the masks.

    Raises:
        UserError: as there.
    """
    return find_images(inputs, match, lambda folder: _of_data_set(folder, notice), notice)


def _of_data_set(folder: Path, notice: Callable[[str], None]) -> list[Path] | None:
    if not find_spec("segstudy.data.datasets"):  # the light distribution
        return None
    from segstudy.data.datasets import every_image, is_data_set

    if not is_data_set(folder):
        return None
    images, lines = every_image(folder)
    for line in lines:
        notice(f"{folder}: {line}")
    return images


def cores(threads: int) -> int:
    """Return the given number; for 0 the number of physical cores that this process may use.

    Raises:
        UserError: a negative number.
    """
    if threads < 0:
        raise UserError(f"--threads must be 0 or more (0: choose automatically), got {threads}")
    return threads or allowed_cores()


@checked_call
def serve(  # noqa: PLR0913 (an option each)
    model: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    threshold: float | None = None,
    limits: Limits = DEFAULT,
    cors_origins: Sequence[str] = (),
    path_prefix: str = "",
    ready: Callable[[str], None] = lambda _: None,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    device: str = "auto",
    threads: int = 0,
    ensemble: bool = False,
    network: str | None = None,
) -> None:
    """Serve a model over HTTP, with a page, until a signal asks to stop.

    Args:
        model: a model's folder, a study's (its best run) or an exported file.
        host: address to listen on; one that other machines reach needs a token.
        port: port of the server; 0 chooses a free port.
        token: that callers have to show.
        threshold: of the probability, where a request names none.
        limits: on each request.
        cors_origins: of pages elsewhere that browsers let call the server, such as ``https://lab.example``.
        path_prefix: that a proxy puts before each path, such as ``/skin``.
        ready: called with the page's address once the server listens.
        engine: ``torch``, ``onnxruntime`` or ``openvino``; see ``load.open_model``.
        precision: of the arithmetic: ``float32`` or ``bfloat16``.
        device: for PyTorch: ``cpu``, ``cuda`` or ``mps``.
        threads: images at a time; 0: as many as the machine has cores.
        ensemble: of a study, all runs of its best configuration instead of the best of them.
        network: ``my.py:Net``, for a model whose network comes from a file of one's own.

    Raises:
        UserError: no model there, a missing token or package, or an address that cannot be used.
    """
    if missing := [name for name in SERVER_PACKAGES if not_installed(name.replace("-", "_"))]:
        raise UserError(f"{' and '.join(missing)} must be installed to serve; pip install 'segstudy[serve]'")
    from segstudy.deploy.serving.server import serve as run_server
    from segstudy.deploy.serving.site import site_of

    site = site_of(path_prefix, cors_origins, token is not None)
    threads = cores(threads)
    predictor = Predictor(
        model,
        threshold=threshold,
        engine=engine,
        precision=precision,
        threads=threads,
        device=device,
        ensemble=ensemble,
        network=network,
    )
    run_server(predictor, threads, host=host, port=port, token=token, ready=ready, limits=limits, site=site)


@checked_call
def card(
    model: str | Path,
    format: Literal["markdown", "json"] = "markdown",  # noqa: A002
    *,
    network: str | None = None,
) -> str:
    """Return the card of a trained model, as Markdown or JSON.

    Args:
        model: a model's folder, a study's (its best run) or an exported file.
        format: ``markdown`` or ``json``.
        network: ``my.py:Net``, for a network from a file of one's own: compared, and not run.

    Raises:
        UserError: no model there, or an altered one.
    """
    path = Path(model)
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        if network is not None:
            raise UserError(f"{path}: an exported model needs no code; omit --network")
        package = open_exported(path).package
        assert package is not None
        return package.text if format == "markdown" else package.model_dump_json(indent=1)
    models = models_of(path).best()
    from segstudy.core.checksums import check_weights
    from segstudy.deploy.export.card_markdown import as_markdown
    from segstudy.deploy.export.model_card import model_card
    from segstudy.store.own_networks import own_network
    from segstudy.store.records import CARD, WEIGHTS

    (record,) = models.records()
    file = models.folder(record) / CARD
    trained = read_card(file)
    check_weights(file.with_name(WEIGHTS), file, trained.weights_sha256)
    if network is not None:  # a card needs none, but says whether it is the model's
        own_network(trained, file, network)
    about = model_card(models, record)
    return as_markdown(about) if format == "markdown" else json.dumps(about, indent=1, ensure_ascii=False)
