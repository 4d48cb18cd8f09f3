"""The cache: derived data that may be deleted at any time, and may be shared by several users."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import platformdirs

from segstudy.core.atomic_files import beside
from segstudy.core.errors import UserError
from segstudy.core.paths import expanded

ELSEWHERE = "set SEGSTUDY_CACHE to another folder"


def cache_folder() -> Path:
    """Return the folder of derived data, which may be deleted: SEGSTUDY_CACHE, or the system's folder."""
    if given := os.environ.get("SEGSTUDY_CACHE"):
        return Path(expanded(given))
    usual = platformdirs.user_cache_path("segstudy")
    return usual if usual.is_absolute() else temporary_folder()  # a user without a home has "~" for one


@cache
def temporary_folder() -> Path:
    """A folder that is removed when this process ends, in the place of a cache that cannot be written.

    Raises:
        OSError: there is no space or no permission for it either.
    """
    return Path(_temporary().name)


@cache
def _temporary() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="segstudy-", ignore_cleanup_errors=True)


def writable_folder(name: str) -> Path:
    """A folder of the cache, made; where that is not possible a temporary one.

    Raises:
        OSError: neither is possible.
    """
    folder = cache_folder() / name
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    folder = temporary_folder() / name
    folder.mkdir(exist_ok=True)
    return folder


def is_cached(folder: Path) -> bool:
    """Whether a folder of the cache is there.

    Raises:
        UserError: the cache of another user, who does not allow to read it.
    """
    try:
        return folder.is_dir()
    except OSError as error:
        raise _refused(folder, error) from None


@contextmanager
def built(folder: Path) -> Iterator[Path]:
    """Yield a new folder to fill, which is renamed to ``folder`` at the end: others see all of it or nothing.

    Its permissions are those of any new folder there, by umask and the parent's group, so that users can
    share a cache. If another process was first, its folder stays. What dead processes left is removed.

    Raises:
        UserError: the cache cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = beside(folder)
        building.mkdir()
    except OSError as error:
        raise _refused(folder.parent, error) from None
    try:
        yield building
        rename_built(building, folder)
    except OSError as error:
        raise no_space(folder, error) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def no_space(folder: Path, error: OSError) -> UserError:
    """Return the error of a full disk, or of one without permission."""
    return UserError(
        f"{folder.parent}: no space or no permission ({error.strerror}); free some space, or {ELSEWHERE}"
    )


def rename_built(building: Path, folder: Path) -> None:
    """Give a folder its name, unless another process was first."""
    try:
        building.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was first, with the same content
            raise


def _refused(folder: Path, error: OSError) -> UserError:
    return UserError(f"{folder}: the cache cannot be written ({error.strerror}); {ELSEWHERE}")
