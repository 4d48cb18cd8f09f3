"""When a training's state is saved: seldom enough to cost little, often enough to lose little."""

import threading

import pytest

from segstudy.training import resume
from segstudy.training.resume import LONGEST_S, Saving, is_due


@pytest.mark.parametrize(
    ("trained_s", "cost_s", "due"),
    [
        (0.2, 0.0, True),  # the first epoch: nothing is known of the cost
        (10.0, 0.5, True),  # 5 %
        (9.9, 0.5, False),
        (59.9, 4.0, False),
        (LONGEST_S, 1000.0, True),  # however slow the disk is
        (300.0, 20.0, True),  # an epoch of five minutes
    ],
)
def test_a_state_costs_a_twentieth_of_the_time_or_comes_once_a_minute(trained_s, cost_s, due):
    assert is_due(trained_s, cost_s) == due


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


class Disk:
    """Checkpoints whose writing takes a time of the test's choice."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.written = clock, seconds, []
        self.free = threading.Event()
        self.free.set()

    def write(self, epoch, _content):
        assert self.free.wait(10)
        self.clock.now += self.seconds
        self.written.append(epoch)

    def note(self, _progress):
        pass


class Stub:
    """A training that only counts its epochs."""

    num_epochs = 100
    run = type("Run", (), {"key": "k"})

    def __init__(self):
        self.rows, self.seconds = [], {}


def saved_epochs(monkeypatch, *, epoch_s, write_s, every=0, num_epochs=100):
    clock = Clock()
    monkeypatch.setattr(resume, "time", clock)
    monkeypatch.setattr(resume, "snapshot", lambda _: {})
    disk, training = Disk(clock, write_s), Stub()
    with Saving(disk, {}, [], print) as saving:
        for epoch in range(1, num_epochs + 1):
            clock.now += epoch_s
            training.rows.append({})
            if saving.is_due(epoch, every):
                saving.save(training)
                saving.wait()
    return disk.written


def test_where_saving_is_quick_every_epoch_is_saved(monkeypatch):
    assert saved_epochs(monkeypatch, epoch_s=1.0, write_s=0.01) == list(range(1, 101))


def test_where_an_epoch_is_quicker_than_saving_states_take_a_twentieth(monkeypatch):
    written = saved_epochs(monkeypatch, epoch_s=0.25, write_s=1.0, num_epochs=400)
    assert written == [1, 77, 153, 229, 305, 381]  # 20 s after the copy, of which 1 s is the writing


def test_a_slow_disk_is_used_once_a_minute(monkeypatch):
    assert saved_epochs(monkeypatch, epoch_s=10.0, write_s=30.0, num_epochs=20) == [1, 4, 7, 10, 13, 16, 19]


def test_who_names_a_number_of_epochs_gets_it(monkeypatch):
    assert saved_epochs(monkeypatch, epoch_s=0.01, write_s=9.0, every=25) == [25, 50, 75, 100]


def test_a_training_does_not_wait_for_the_state_before(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(resume, "time", clock)
    monkeypatch.setattr(resume, "snapshot", lambda _: {})
    disk, training = Disk(clock, 0.0), Stub()
    with Saving(disk, {}, [], print) as saving:
        disk.free.clear()
        training.rows.append({})
        saving.save(training)
        clock.now += 100
        assert not saving.is_due(2, 0)  # still being written
        disk.free.set()
        saving.wait()
        assert saving.is_due(2, 0)
