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
        warnings: numbers and kinds of these, in words.
        check: the command that lists the findings.
        best_iou: what each image size allows, in words; and whether that is little.
        tiles: how many tiles an epoch has, in words; for each of their sizes.
        grids: what is combined with what, in words.
        leave_out: how to leave out configurations that the protocol adds.
        folds: what becomes of official subsets in folds.
        about_classes: a remark on the classes, in words; empty mostly.
        unscored: classes that no mask of a validation or test subset holds, in words.
        num_earlier: runs that an earlier version of segstudy has finished, with another arithmetic.
        num_earlier_begun: runs that it has begun, so that they have a saved state.
    """

    name: str
    num_runs: int
    num_configurations: int
    data: str
    num_samples: int
    parts: tuple[tuple[int, int, int], ...]
    num_warnings: int
    num_notes: int
    warnings: tuple[str, ...] = ()
    check: str = "segstudy check"
    best_iou: tuple[tuple[str, bool], ...] = ()
    tiles: tuple[str, ...] = ()
    grids: str = ""
    leave_out: str = ""
    folds: str = ""
    about_classes: str = ""
    unscored: tuple[str, ...] = ()
    num_earlier: int = 0
    num_earlier_begun: int = 0
