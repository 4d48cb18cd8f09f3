"""Durations, sizes and counts as text."""


def duration(seconds: float) -> str:
    """Return a duration as ``45 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(num_bytes: float) -> str:
    """Return a size as ``12 MB`` or ``3.4 GB``."""
    return f"{num_bytes / 1e6:.0f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:.1f} GB"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 run``, ``3 runs``, ``2 categories``, ``1,040 losses``."""
    ending = "es" if noun.endswith("s") else "s"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else noun + ending
    return f"{number:,} {noun if number == 1 else plural}"


def and_more(count: int) -> str:
    return f" (and {count} more)" if count > 0 else ""
