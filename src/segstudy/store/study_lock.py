"""The lock of a study, for who reads all of it: meanwhile nobody trains, repairs or removes anything."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from segstudy.core.atomic_files import DiskError
from segstudy.core.errors import UserError
from segstudy.core.locks import hold, holder, is_held
from segstudy.store.folder import StudyFolder

WHAT = "this study"


@contextmanager
def held_while_read(folder: StudyFolder) -> Iterator[None]:
    """Hold a study's lock while inside, so that all files that are read belong together.

    A folder that this user cannot write is read without: there, only who trains at the start is noticed.

    Raises:
        HeldError: naming the process that trains it.
        UserError: there is no study.
    """
    folder.study()  # before the lock, which makes a folder
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(folder.lock, WHAT))
        except DiskError:
            if is_held(folder.lock):
                raise UserError(
                    f"{folder.path}: {holder(folder.lock)} is working on {WHAT}; wait until it is done"
                ) from None
        yield
