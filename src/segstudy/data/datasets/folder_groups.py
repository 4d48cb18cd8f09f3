"""Groups from the names of subfolders: ``images/patient07/a.png`` is of patient07."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from segstudy.core.quantities import and_more
from segstudy.data.datasets.subsets import is_subset_word
from segstudy.data.samples import Problem, Sample

_NOUNS = {
    **dict.fromkeys(("patient", "pat", "pt"), "patient"),
    **dict.fromkeys(("subject", "subj", "sub", "participant"), "subject"),
    "case": "case",
    "person": "person",
    "lesion": "lesion",
    "slide": "slide",
    **dict.fromkeys(("donor", "animal", "mouse", "rat"), "donor"),
}
_GROUP = re.compile(rf"({'|'.join(_NOUNS)})(?:id)?[ _-]*[a-z]{{0,2}}[_-]?\d+[a-z]?", re.IGNORECASE)
NAMED = 3
NO_GROUPS = "subfolders are no groups"  # kind of a problem


@dataclass(frozen=True)
class FolderGroups:
    """Samples with the groups that the names of their subfolders say.

    Attributes:
        samples: in the same order.
        noun: what a group is; nothing if the names say no groups.
        ungrouped: ids of samples that lie in no such folder.
        problems: subfolders that may be groups, but whose names do not say so.
    """

    samples: list[Sample]
    noun: str = ""
    ungrouped: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()


def grouped_by_folder(samples: Sequence[Sample]) -> FolderGroups:
    """Let samples in a folder that is called after a patient, subject, lesion, ... be its group."""
    folders = [_group_folder(sample) for sample in samples]
    if any(folders):
        described = [
            replace(sample, group=folder) if folder else sample
            for sample, folder in zip(samples, folders, strict=True)
        ]
        first = next(filter(None, folders))
        match = _GROUP.fullmatch(first)
        assert match is not None
        without = (sample.id for sample, folder in zip(samples, folders, strict=True) if not folder)
        return FolderGroups(described, _NOUNS[match[1].lower()], frozenset(without))
    return FolderGroups(list(samples), problems=_may_be_groups(samples))


def _group_folder(sample: Sample) -> str:
    return next((each for each in sample.id.split("/")[:-1] if _GROUP.fullmatch(each)), "")


def _may_be_groups(samples: Sequence[Sample]) -> tuple[Problem, ...]:
    """A warning where several samples lie in each of some subfolders: are they patients?"""
    depth = 1 if any(sample.part for sample in samples) else 0  # of the subset's folder
    inner = [
        [name for name in PurePosixPath(sample.id).parts[depth:-1] if not is_subset_word(name)]
        for sample in samples
    ]
    number = Counter("/".join(folders) for folders in inner if folders)
    if not any(several > 1 for several in number.values()):
        return ()
    names = list(number)
    shown = f"{', '.join(names[:NAMED])}{and_more(len(names) - NAMED)}"
    detail = (
        f"{len(names)} subfolders ({shown}) hold {sum(number.values())} images, but each image counts as a "
        "group of its own; if a subfolder is a patient or a lesion, name it in column group of metadata.csv"
    )
    return (Problem("warning", NO_GROUPS, names[0], detail),)
