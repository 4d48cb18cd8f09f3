"""second_rater.json: how well a second rater's masks agree with those of the data set."""

from segstudy.store.folder import StudyFolder
from segstudy.store.records import Described, read_record

FILE = "second_rater.json"
REMEDY = "delete it: the next training writes it again"


class SecondRaterRecord(Described):
    """The content of the file.

    Attributes:
        folder: the name of the folder with the second rater's masks.
        data: fingerprint of the samples.
        ious: of both raters' masks at native size, by id of those that both have.
        problem: the reason that they could not be compared; empty if they were.
    """

    folder: str
    data: str
    ious: dict[str, float]
    problem: str = ""


def second_rater_of(folder: StudyFolder) -> SecondRaterRecord | None:
    """Read the file; None if there is none."""
    file = folder.path / FILE
    return read_record(file, SecondRaterRecord, REMEDY) if file.is_file() else None
