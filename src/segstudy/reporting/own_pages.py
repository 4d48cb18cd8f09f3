"""Pages that a command writes where the user says: only a page that the same command wrote is replaced."""

from pathlib import Path

from segstudy.core.errors import UserError


def refuse_place(file: Path, generator: str, option: str = "--html") -> None:
    """Stop before anything is read where the page could not be written.

    Args:
        file: to write.
        generator: the command, as the page's ``<meta name="generator">`` says: ``segstudy check``.
        option: which names the file.

    Raises:
        UserError: no name of a page, a folder that is not there, or a file that is no page of this kind.
    """
    if file.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{option} must be a file that ends with .html, got {file}")
    if not file.parent.is_dir():
        raise UserError(f"{file}: there is no folder {file.parent}; make it, or give another name")
    if not file.exists():
        return
    try:
        with file.open(encoding="utf-8") as stream:
            is_ours = f'name="generator" content="{generator}"' in stream.read(1000)
    except (OSError, UnicodeDecodeError):
        is_ours = False
    if not is_ours:
        command = generator.removeprefix("segstudy ")
        raise UserError(f"{file}: is there already, and not written by {command}; give another name")
