"""The columns of a table that fit into a line: whole columns are left out, never parts of cells."""

from collections.abc import Sequence

GAP = 2  # blanks between two columns


def fitting(widths: Sequence[int], leave_out: Sequence[int], available: int) -> list[int]:
    """Return the indices of the columns that are shown.

    Args:
        widths: of every column, its heading included.
        leave_out: indices of the columns that may be left out, the least important first.
        available: characters in a line.

    Returns:
        All indices, or fewer until the line is short enough; columns that may not be left out stay.

    >>> fitting([10, 8, 8], leave_out=[2, 1], available=20)
    [0, 1]
    """
    kept = list(range(len(widths)))
    for place in leave_out:
        if sum(widths[i] for i in kept) + GAP * (len(kept) - 1) <= available:
            break
        kept.remove(place)
    return kept
