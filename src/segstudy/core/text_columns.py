"""Which columns of a table fit into a line: whole columns are left out, never words or parts of cells."""

from collections.abc import Sequence

GAP = 2  # blanks between two columns


def fitting(widths: Sequence[int], leave_out: Sequence[int], available: int) -> list[int]:
    """The columns that are shown, by their place.

    Args:
        widths: of every column, its heading included.
        leave_out: places of the columns that may be left out, the least important first.
        available: characters in a line.

    Returns:
        All places, or what is left once the line is short enough; those that may not be left out stay.

    >>> fitting([10, 8, 8], leave_out=[2, 1], available=20)
    [0, 1]
    """
    kept = list(range(len(widths)))
    for place in leave_out:
        if sum(widths[i] for i in kept) + GAP * (len(kept) - 1) <= available:
            break
        kept.remove(place)
    return kept
