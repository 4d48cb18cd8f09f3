"""The name of the built-in data set, which has no folder."""


def is_synthetic(data: str) -> bool:
    """Return whether a data set's name is that of the synthetic images: ``synthetic``, ``synthetic:n=60``."""
    return data == "synthetic" or data.startswith("synthetic:")
