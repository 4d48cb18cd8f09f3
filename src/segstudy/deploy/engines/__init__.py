"""The table of engines, which run networks.

Every engine takes RGB images at network size, ``(N, H, W, 3)`` uint8 (or of as many channels as the model
has), and gives float32 probabilities: of the
foreground ``(N, H, W)``, of several classes ``(N, K, H, W)``. It may be called from several threads at once.
``exported`` opens files with them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

__all__ = ["ENGINES", "FEW_IMAGES", "SUFFIXES", "Engine", "EngineName"]

FEW_IMAGES = 50  # so many take less time with an engine that needs no conversion than the conversion does


@dataclass(frozen=True, slots=True)
class Engine:
    """An entry of the table.

    Attributes:
        name: what ``--engine NAME`` chooses.
        title: its name in messages.
        description: what it runs, in one line for help and documentation.
        package: that must be installed for it.
        function: where the function that opens a network stands, as ``package.module:name``; imported when
            it is used. It maps a file, the number of threads and a ``Precision`` to a ``Network``.
        suffixes: of the kinds of exported files that it runs, keys of ``FILE_KINDS``. With ``--engine auto``
            the first engine of the table that has a file's suffix runs it. One without suffixes runs the
            folders of runs.
        converted_to: the export format in which it runs the network of a run's folder.
        preference: for a run's folder on a machine without a GPU ``--engine auto`` takes the engine with the
            highest one of those whose packages are installed; 0: only if it is named.
    """

    name: str
    title: str
    description: str
    package: str
    function: str
    suffixes: tuple[str, ...] = ()
    converted_to: str = ""
    preference: int = 0


ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine(
            name="torch",
            title="PyTorch",
            description="folders of runs, on CPU and GPU",
            package="torch",
            function="segstudy.deploy.engines.pytorch:open_run",
            preference=1,
        ),
        Engine(
            name="onnxruntime",
            title="ONNX Runtime",
            description=".onnx files, and runs converted to that format, on the CPU",
            package="onnxruntime",
            function="segstudy.deploy.engines.onnxruntime:open_file",
            suffixes=(".onnx",),
            converted_to="onnx",
        ),
        Engine(
            name="openvino",
            title="OpenVINO",
            description=".xml and .onnx files, and runs converted to its own format, on the CPU",
            package="openvino",
            function="segstudy.deploy.engines.openvino:open_file",
            suffixes=(".xml", ".onnx"),
            converted_to="openvino",
            preference=2,
        ),
    )
}

# Of exported files.
SUFFIXES = tuple(dict.fromkeys(suffix for engine in ENGINES.values() for suffix in engine.suffixes))

if TYPE_CHECKING:
    EngineName = str
else:  # so that help and messages list what the table holds
    EngineName = Literal[("auto", *ENGINES)]
