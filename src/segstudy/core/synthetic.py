"""The name of the built-in data set, which has no folder, and its options."""

NAMES = ("background", "disc", "rod", "core")  # of the classes of the set that has several


def is_synthetic(data: str) -> bool:
    """Return whether a data set's name is that of the synthetic images: ``synthetic``, ``synthetic:n=60``."""
    return data == "synthetic" or data.startswith("synthetic:")


def own_classes(data: str) -> str | None:
    """Return the classes of a synthetic set of several, which need not be named; None of all other data.

    >>> own_classes("synthetic:classes=3"), own_classes("synthetic:n=60")
    ('background=0,disc=1,rod=2', None)
    """
    if not is_synthetic(data):
        return None
    options = dict(part.partition("=")[::2] for part in data.split(":")[1:])
    number = options.get("classes", "")
    if not number.isdecimal() or not 2 < int(number) <= len(NAMES):
        return None
    return ",".join(f"{name}={value}" for value, name in enumerate(NAMES[: int(number)]))
