"""Work on many items by several threads, with few of them at a time in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

AHEAD = 16  # items for each thread that are begun before their results are taken

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int = AHEAD
) -> Iterator[Result]:
    """Yield a function's results in the order of the items.

    As ``Executor.map``, which begins all items at once and so holds a hundred thousand of them.

    Args:
        function: called in several threads.
        items: taken as results are.
        threads: how many.
        ahead: items for each thread that are begun before their results are taken.
    """
    rest, waiting = iter(items), deque[Future[Result]]()
    pool = ThreadPoolExecutor(threads)
    try:
        waiting.extend(pool.submit(function, item) for item in islice(rest, ahead * threads))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(rest, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
