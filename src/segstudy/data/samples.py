"""What every reader delivers: samples, and the problems it met on the way."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segstudy.core.quantities import counted
from segstudy.data.sources import ImageSource, MaskSource

Part = Literal["train", "validation", "test"]
Severity = Literal["error", "warning", "note"]

PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with its mask.

    Attributes:
        id: unique within the data set; printed, stored and split by.
        image: where the picture comes from: mostly a file.
        mask: where the true mask comes from: mostly a file, of the same height and width.
        group: the patient or lesion; samples of one group are never divided between parts.
        category: the diagnosis or other class, if known; splits are stratified by it.
        part: the official part, where the publisher of the data fixed one.
    """

    id: str
    image: ImageSource
    mask: MaskSource
    group: str
    category: str | None = None
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about a data set.

    Attributes:
        severity: ``error`` when training on the data would be wrong, ``warning`` when it may be,
            ``note`` for what is merely good to know.
        kind: a short name shared by findings of one sort, such as ``"unpaired image"``.
        where: the file, relative to the data set's folder, or the sample ids concerned.
        detail: what is wrong with it and, for errors, what to do.
        samples: the ids concerned, of findings across samples.
    """

    severity: Severity
    kind: str
    where: str
    detail: str
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileAccount:
    """What became of the files in the folders of a data set.

    Attributes:
        folders: which folders.
        num_files: that lie there.
        num_used: that belong to a sample.
        left_out: the number of the others by reason, such as a suffix.
        unused_tables: tables that are not used, with the reason.
    """

    folders: str
    num_files: int
    num_used: int
    left_out: tuple[tuple[str, int], ...] = ()
    unused_tables: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return "; ".join(
            (self._of_files(), *(f"{name} not used ({why})" for name, why in self.unused_tables))
        )

    def _of_files(self) -> str:
        files = counted(self.num_files, "file")
        if not self.left_out:
            return f"{files} in {self.folders}, all used"
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in self.left_out)
        num_left = self.num_files - self.num_used
        return f"{files} in {self.folders}: {self.num_used:,} used, {num_left:,} left out ({reasons})"


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a reader found in a folder: samples sorted by id, and problems with the pairing.

    Attributes:
        name: the folder's name, used to name studies.
        reader: the name of the reader, a key of ``READERS``.
        root: the folder that was read.
        samples: sorted by id, ids unique.
        problems: what pairing the files brought up; ``check`` adds what the pixels bring up.
        terms: licence or terms of use, where the reader knows them.
        citation: what to cite, where the reader knows it.
        groups_from: what says which samples are of one group, as "column `patient`"; nothing if nobody does.
        categories_from: what says which category a sample is of; nothing if nobody does.
        group_noun: what a group is: ``patient``, ``subject``, ``lesion``, or ``group`` where nobody says.
        ungrouped: ids of samples whose group ``groups_from`` does not say; each counts as a group of its own.
        without_mask: images that are no sample's: ``predict`` segments them too.
        account: what became of all files; None where the reader does not say.
        class_names: the names of the masks' numbers, or of their colours as #rrggbb, where a file says them.
        tables: tables that the reader used itself.
    """

    name: str
    reader: str
    root: Path
    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...] = ()
    terms: str | None = None
    citation: str | None = None
    groups_from: str = ""
    categories_from: str = ""
    group_noun: str = "group"
    ungrouped: frozenset[str] = frozenset()
    without_mask: tuple[Path, ...] = ()
    account: FileAccount | None = None
    class_names: tuple[tuple[int | str, str], ...] = ()
    tables: tuple[Path, ...] = ()
