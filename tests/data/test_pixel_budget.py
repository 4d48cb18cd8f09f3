"""Room for pixels: never more than there is, first come first served, and an end to waiting."""

import threading
import time

import pytest

from segstudy.data.pixel_budget import BusyError, PixelBudget


def test_never_more_than_there_is_and_all_of_it_comes_back() -> None:
    budget, most, now, lock = PixelBudget(100), [0], [0], threading.Lock()

    def work(pixels: int) -> None:
        with budget.take(pixels):
            with lock:
                now[0] += pixels
                most[0] = max(most[0], now[0])
            time.sleep(0.002)
            with lock:
                now[0] -= pixels

    threads = [threading.Thread(target=work, args=(10 + i % 50,)) for i in range(60)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert 50 < most[0] <= 100
    assert budget.free == 100


def test_a_large_image_gets_its_turn_among_many_small_ones() -> None:
    budget, over = PixelBudget(100), threading.Event()

    def small() -> None:
        while not over.is_set():
            with budget.take(40):
                time.sleep(0.001)

    threads = [threading.Thread(target=small) for _ in range(4)]
    for each in threads:
        each.start()
    try:
        with budget.take(100, time.monotonic() + 5):
            assert budget.free == 0
    finally:
        over.set()
        for each in threads:
            each.join()


def test_an_image_beyond_all_room_goes_alone() -> None:
    budget = PixelBudget(100)
    with budget.take(1000):
        assert budget.free == 0
    assert budget.free == 100


def test_waiting_ends_and_leaves_no_trace() -> None:
    budget = PixelBudget(100)
    with budget.take(60):
        with pytest.raises(BusyError), budget.take(60, time.monotonic() + 0.05):
            pass
        with budget.take(40, time.monotonic()):
            pass
    with budget.take(100, time.monotonic()):
        pass
