"""Files and folders that systems and programs leave beside a user's own, without being asked."""

_FILES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
_FOLDERS = frozenset({"__macosx", "@eadir", ".ipynb_checkpoints", ".git", ".dvc", ".thumbnails"})


def is_clutter_file(name: str) -> bool:
    """Whether a file is a system's own.

    >>> is_clutter_file("Thumbs.db"), is_clutter_file("._a.png"), is_clutter_file("a.png")
    (True, True, False)
    """
    return name.casefold() in _FILES or name.startswith("._")


def is_clutter_folder(name: str) -> bool:
    """Whether a folder is a system's own.

    >>> is_clutter_folder("__MACOSX"), is_clutter_folder("images")
    (True, False)
    """
    return name.casefold() in _FOLDERS
