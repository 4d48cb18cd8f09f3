"""Folders of the cache that take long to fill: what an interrupted process did is not lost."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from segstudy.core.atomic_files import PARTIAL, remove_dead
from segstudy.core.cache import built, no_space, rename_built
from segstudy.core.errors import UserError
from segstudy.core.locks import hold


@contextmanager
def built_on(folder: Path) -> Iterator[Path]:
    """As ``built``, but the next process goes on with what an interrupted one had filled.

    It is kept when the process is stopped or killed, not after an error. Of two processes at the same time
    the second one builds by itself.

    Raises:
        UserError: the cache cannot be written.
    """
    building = folder.with_name(folder.name + PARTIAL)
    remove_dead(folder.parent)
    with ExitStack() as stack:
        try:
            stack.enter_context(_held(building))
            building.mkdir(exist_ok=True)
        except (UserError, OSError):
            yield stack.enter_context(built(folder))
            return
        try:
            yield building
            rename_built(building, folder)
        except OSError as error:
            shutil.rmtree(building, ignore_errors=True)
            raise no_space(folder, error) from None
        except Exception:
            shutil.rmtree(building, ignore_errors=True)
            raise


def remove_unfinished(folder: Path) -> None:
    """Remove what an interrupted process left of a folder that is whole now: nobody goes on with it."""
    building = folder.with_name(folder.name + PARTIAL)
    remove_dead(folder.parent)
    if building.is_dir():
        with suppress(UserError), _held(building):  # another process is at it
            shutil.rmtree(building, ignore_errors=True)


def _held(building: Path) -> AbstractContextManager[None]:
    return hold(building.with_suffix(".lock"), "this part of the cache", 0)
