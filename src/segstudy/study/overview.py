"""What a plan comes to, in numbers and words, as the user is told."""

from segstudy.core.schema import Frozen


class Overview(Frozen):
    """What a plan consists of, as the user is told.

    Attributes:
        name: of the study.
        num_runs: planned.
        num_configurations: that they belong to.
        data: the data set's name.
        num_samples: without excluded ones.
        parts: numbers of images in training, validation and test, for every split.
        num_warnings: of the check of the data.
        num_notes: of the check of the data.
        grids: what is combined with what, in words.
        leave_out: how to leave out what was not named, where a protocol adds it.
    """

    name: str
    num_runs: int
    num_configurations: int
    data: str
    num_samples: int
    parts: tuple[tuple[int, int, int], ...]
    num_warnings: int
    num_notes: int
    grids: str = ""
    leave_out: str = ""
