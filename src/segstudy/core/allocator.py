"""Memory that a training keeps between two operations, and that a server returns to the system.

Every operation on a batch allocates megabytes and frees them soon after. The C library returns pieces of
that size to the system at once, which then hands out fresh pages, each filled with zeros first: on a CPU some
15 % of a training's time (``benchmarks/training_step.py``). Nothing here changes a number.
"""

import ctypes
import sys
from contextlib import suppress
from functools import cache

# Of mallopt(3), from malloc.h of the GNU C library.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_KEPT_BYTES = 32 * 2**20  # the highest threshold that the library takes
KEPT_BYTES = 2**30  # free memory at the end of the heap, above which the library gives some back
STEP_BYTES = 64 * 2**20  # by which the heap grows


@cache
def keep_memory() -> bool:
    """Make this process reuse the memory that it frees, permanently; False if its C library is not GNU's."""
    if sys.platform != "linux":
        return False
    with suppress(OSError, AttributeError):  # musl has no mallopt
        library = ctypes.CDLL(None)
        settings = {
            M_MMAP_THRESHOLD: LARGEST_KEPT_BYTES,
            M_TRIM_THRESHOLD: KEPT_BYTES,
            M_TOP_PAD: STEP_BYTES,
        }
        return all(library.mallopt(name, value) for name, value in settings.items())
    return False


def give_back() -> None:
    """Return freed memory to the system, where the C library can; for idle times, not between operations."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # musl has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)
