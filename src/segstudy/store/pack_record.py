"""pack.json: what was left out of a study that was packed into one file. Other studies have none."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import Field

from segstudy.core.version import __version__
from segstudy.store.folder import StudyFolder
from segstudy.store.records import STORED_ONNX, WEIGHTS, Described
from segstudy.store.sealed_records import read_sealed, sealed_text

FILE, MANIFEST, README = "pack.json", "manifest-sha256.txt", "README.md"
FORMAT = 1
PREDICTIONS, THUMBNAILS = "predictions.parquet", "thumbnails.parquet"
PICTURES = frozenset({PREDICTIONS, THUMBNAILS})  # files with pictures of the data, or of masks
WEIGHT_FILES = frozenset({WEIGHTS, STORED_ONNX})
REMEDY = "unzip the pack again"


class PackRecord(Described):
    """The content of the file.

    Attributes:
        format: of the pack.
        segstudy: the version that wrote it.
        name: of the study's folder.
        weights: whether weights of the networks are in it.
        images: whether pictures of the data and predicted masks are in it.
        runs: keys of the runs in it.
        left_out: numbers of files that were left out, by name or kind.
        states_left_out: of them, numbers of saved states, by the key of the unfinished run.
        seal: checksum of all of this.
    """

    format: int
    segstudy: str
    name: str
    weights: bool
    images: bool
    runs: list[str]
    left_out: dict[str, int] = Field({})
    states_left_out: dict[str, int] = Field({})
    seal: str

    @property
    def is_whole(self) -> bool:
        """Whether its runs have all their files."""
        return self.weights and self.images

    def absent(self, key: str) -> frozenset[str]:
        """Return the names of files that a run lacks because they were not packed."""
        if key not in self._keys:
            return frozenset()
        return (frozenset() if self.images else PICTURES) | (frozenset() if self.weights else WEIGHT_FILES)

    @cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(self.runs)


def pack_json(about: Mapping[str, Any]) -> str:
    """Return the content of the file, of its fields without format, version and seal."""
    return sealed_text({"format": FORMAT, "segstudy": __version__, **about})


def pack_record(folder: StudyFolder) -> PackRecord | None:
    """Read the file; None if the study was never packed.

    Raises:
        UserError: it is damaged, altered, or of a later version.
    """
    return read_sealed(folder.path / FILE, PackRecord, FORMAT, REMEDY)
