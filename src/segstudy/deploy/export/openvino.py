"""The format ``openvino``: an .xml file and its weights beside it."""

import tempfile
from pathlib import Path

from segstudy.core import libraries
from segstudy.core.atomic_files import write_bytes
from segstudy.deploy.engines.base import METADATA
from segstudy.deploy.export.onnx import need
from segstudy.deploy.file_kinds import kind_of
from segstudy.deploy.file_kinds.checksums import with_checksum
from segstudy.store.card import Package


def write_openvino(model: bytes, package: Package, file: Path) -> None:
    """Write an ONNX model with its package for OpenVINO."""
    need("openvino")
    openvino = libraries.openvino()
    with tempfile.TemporaryDirectory() as place:
        graph = openvino.Core().read_model(model)
        if package.precision == "int8":  # computed wrongly with free ones, see ``engines.openvino``
            graph.reshape([1, *package.card.image_size, package.card.num_channels])
        graph.set_rt_info(package.model_dump_json(), METADATA)
        openvino.save_model(graph, Path(place) / "model.xml", compress_to_fp16=False)
        # The weights first: if the graph exists, so do they.
        weights = (Path(place) / "model.bin").read_bytes()
        write_bytes(file.with_suffix(".bin"), weights)
        write_bytes(file, with_checksum(kind_of(file), (Path(place) / "model.xml").read_bytes(), weights))
