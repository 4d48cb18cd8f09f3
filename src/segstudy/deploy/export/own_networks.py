"""``model.onnx`` of a run whose network is not ours: the model without its code.

It is made and compared with PyTorch in a process of its own. So exporting does not change the next training,
names in the file do not depend on earlier exports, and a network with which the exporter crashes or never
ends only lacks this file.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core import libraries
from segstudy.core.errors import typed_line
from segstudy.core.quantities import percent
from segstudy.core.registry import parse
from segstudy.deploy.engines import ENGINES
from segstudy.deploy.engines.base import Network
from segstudy.deploy.engines.exported import open_made_here
from segstudy.deploy.engines.pytorch import open_run
from segstudy.deploy.export import FORMATS
from segstudy.store.extra_files import Extra, Trained
from segstudy.store.records import STORED_ONNX
from segstudy.store.trained_models import one_run

LIMIT_S = 600.0
MAX_IMAGES = 100  # of validation that masks are compared on
BATCH = 8
NEEDED = (*FORMATS["onnx"].needs, ENGINES["onnxruntime"].package)
RESULT, IMAGES = "result.json", "images.npy"


def own_onnx(trained: Trained) -> Extra:
    """Return ``model.onnx`` for a network that is not ours, if it can be exported with the same masks.

    Never raises: a run is finished with or without this file.

    Returns:
        The file, and for ``run.json`` under ``onnx`` whether it is stored, and why not; nothing for our own
        networks, which need no code.
    """
    architecture = trained.run.configuration.architecture
    if not isinstance(trained.run.numerics.get("architecture"), str):  # ours
        return {}, {}, ""
    began = time.perf_counter()
    content: bytes | None = None
    try:
        if missing := libraries.not_installed(*NEEDED):
            said: dict[str, Any] = {
                "stored": False,
                "reason": f"{' and '.join(missing)} not installed; pip install 'segstudy[export]'",
            }
        else:
            content, said = _made_aside(trained, architecture)
    except Exception as error:  # a full disk, no more processes: anything
        said = {"stored": False, "reason": typed_line(error)}
    said["seconds"] = round(time.perf_counter() - began, 1)
    if content is not None:
        return {STORED_ONNX: content}, {"onnx": said}, ""
    title = parse(architecture).title
    return (
        {},
        {"onnx": said},
        f"keeps no {STORED_ONNX} ({said['reason']}); the model is used with --network {title}",
    )


def _made_aside(trained: Trained, architecture: str) -> tuple[bytes | None, dict[str, Any]]:
    """Return the file's content and its record, made by another process in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for file, content in trained.files.items():
            (place / file).write_bytes(content)
        np.save(place / IMAGES, trained.images(MAX_IMAGES))
        ended = _run(place, architecture, trained.threads)
        try:
            said = json.loads((place / RESULT).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # it died
            return None, {"stored": False, "reason": ended}
        return (place / STORED_ONNX).read_bytes() if said["stored"] else None, said


def _run(place: Path, architecture: str, threads: int) -> str:
    """Run ``main`` in a process that ends with this one; returns how it ended, in words."""
    process = subprocess.Popen(  # noqa: S603 (it starts itself)
        [sys.executable, "-P", "-m", "segstudy.deploy.export.own_networks", str(place), architecture],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""},
    )
    try:
        code = process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        return f"exporting took longer than {LIMIT_S:g} s"
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
    return f"the exporter ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}"


def main() -> None:
    """Make ``model.onnx`` in a folder with model, images and nothing else; for a process of its own."""
    place, network = Path(sys.argv[1]), sys.argv[2]
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):  # the caller's to handle: it saves, and ends this process
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with_caller, daemon=True).start()
    _make_or_say_why(place, network)


def _end_with_caller() -> None:
    sys.stdin.read()
    os._exit(1)


def _make_or_say_why(place: Path, network: str) -> None:
    try:
        said = _make(place, network)
    except Exception as error:  # exporters and networks raise whatever they like
        said = {"stored": False, "reason": typed_line(error)}
    (place / RESULT).write_text(json.dumps(said), encoding="utf-8")


def _make(place: Path, network: str) -> dict[str, Any]:
    from segstudy.deploy.export import onnx  # its many imports would delay every worker that trains

    models = one_run(place)
    (record,) = models.records()
    package = onnx.package_of(models, record, "float32")
    onnx.write_onnx(onnx.onnx_of(place, network, checked=True), package, place / STORED_ONNX)
    stored = open_made_here(place / STORED_ONNX)
    pytorch = open_run(place, models.name, "cpu", "float32", network)
    images: NDArray[np.uint8] = np.load(place / IMAGES, allow_pickle=False)
    flipped = [
        (_decided(stored, batch) != _decided(pytorch, batch)).mean(axis=(1, 2))
        for batch in np.split(images, range(BATCH, len(images), BATCH))
    ]
    frac = float(np.mean(np.concatenate(flipped)))
    said: dict[str, Any] = {
        "stored": frac <= onnx.MAX_FLIPPED,
        "flipped_frac": frac,
        "num_images": len(images),
    }
    if not said["stored"]:
        limit = f"at most {percent(onnx.MAX_FLIPPED, 2)} of the pixels may"
        said["reason"] = (
            f"{percent(frac, 4)} of the pixels differ from PyTorch's on validation images, and {limit}"
        )
    return said


def _decided(network: Network, images: NDArray[np.uint8]) -> NDArray[Any]:
    return np.asarray(network.outputs.decide(network.probabilities(images)))


if __name__ == "__main__":
    main()
