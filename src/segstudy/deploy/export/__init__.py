"""A run as a file that runs without PyTorch, its card and the check of its masks; the table of formats."""

from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Literal

from segstudy.deploy.file_kinds import FILE_KINDS

if TYPE_CHECKING:  # help lists the formats without
    from segstudy.store.card import Package

__all__ = ["FORMATS", "Format", "FormatName"]

GRAPH_PACKAGES = ("onnx", "onnxscript")  # make the ONNX model that every format begins with


@dataclass(frozen=True, slots=True)
class Format:
    """An entry of the table.

    Attributes:
        name: what ``--to NAME`` chooses.
        description: one line for help and documentation.
        suffix: of the file, a key of ``FILE_KINDS``; one of ``ENGINES`` has to run it, for the check of its
            masks.
        function: where the function that writes the file stands, as ``package.module:name``; imported when it
            is used. It takes an ONNX model as bytes, its ``Package`` and the file.
        beside: suffixes of further files with the same name, besides those of its kind.
        packages: that must be installed to write it, besides those of every ONNX model.
    """

    name: str
    description: str
    suffix: str
    function: str
    beside: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    def write(self, model: bytes, package: "Package", file: Path) -> None:
        """Write an ONNX model with its package in this format.

        Raises:
            DiskError: it cannot be written.
            UserError: a package is not installed.
        """
        resolve_name(self.function)(model, package, file)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The suffixes of all its files; the file itself comes last: if it exists, so do the others."""
        return (*FILE_KINDS[self.suffix].beside, *self.beside, self.suffix)

    @property
    def needs(self) -> tuple[str, ...]:
        """The packages that must be installed to bring a run's network to this format."""
        return (*GRAPH_PACKAGES, *self.packages)


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format(
            name="onnx",
            description="one .onnx file",
            suffix=".onnx",
            function="segstudy.deploy.export.onnx:write_onnx",
        ),
        Format(
            name="openvino",
            description="an .xml file, with its weights in a .bin file next to it",
            suffix=".xml",
            function="segstudy.deploy.export.openvino:write_openvino",
            packages=("openvino",),
        ),
    )
}

if TYPE_CHECKING:
    FormatName = str
else:  # so that help and messages list what the table holds
    FormatName = Literal[tuple(FORMATS)]
