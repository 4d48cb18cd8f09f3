"""The summary of a plan, in numbers and words, for the user."""

from segstudy.core.schema import Frozen


class Overview(Frozen):
    """The summary of a plan, for the user.

    Attributes:
        name: of the study.
        num_runs: planned.
        num_configurations: that they belong to.
        data: the data set's name.
        num_samples: without excluded ones.
        parts: numbers of training, validation and test images, for every split.
        num_warnings: of the check of the data.
        num_notes: of the check of the data.
        grids: what is combined with what, in words.
        leave_out: how to leave out configurations that the protocol adds.
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
