"""A run that has not reported for long is named, once."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from segstudy.study.duration import Expected, Forecast
from segstudy.study.trackers import StudyStart, Trackers, silent_runs
from segstudy.study.trackers.silent_runs import LEAST_S, SilentRuns


def job(key):
    return SimpleNamespace(run=SimpleNamespace(key=key), name=key)


def start(seconds=240.0):
    runs = {key: Expected(kind="unet", seconds=seconds, num_epochs=24) for key in "ab"}
    return StudyStart(Path("study"), None, ("a", "b"), Forecast(workers=1, runs=runs))


@pytest.fixture
def said():
    return []


@pytest.fixture
def silent(said):
    tracker = SilentRuns(lambda job, text: said.append((job.name, text)))
    yield tracker
    tracker.study_ends()


def test_a_run_without_a_report_is_named_once(silent, said):
    silent.study_begins(start())
    now = time.monotonic()
    for key in "ab":
        silent.run_begins(job(key))
    silent.look(now + LEAST_S / 2)
    assert not said
    silent.run_ends(job("b"), SimpleNamespace(key="b"))
    for _ in range(2):
        silent.look(now + LEAST_S + 60)
    ((name, text),) = said
    assert name == "a"
    assert text.startswith("no report for 11 min, where an epoch should take 10 s: it may hang")


def test_long_epochs_are_no_silence(silent, said):
    silent.study_begins(start(seconds=24 * 3600.0))
    silent.run_begins(job("a"))
    silent.look(time.monotonic() + 5 * 3600)
    assert not said


def test_a_run_that_waits_for_another_process_is_not_awaited_until_it_begins_again(silent, said):
    trackers = Trackers(
        {"silent": silent, "plain": SimpleNamespace(run_begins=lambda job: begun.append(job.name))}
    )
    begun: list[str] = []
    silent.study_begins(start())
    trackers.run_begins(job("a"))
    trackers.run_waits(job("a"))  # its machine was lost, and no other is free
    silent.look(time.monotonic() + 10 * LEAST_S)
    assert not said
    trackers.run_begins(job("a"))
    silent.look(time.monotonic() + LEAST_S + 60)
    assert len(said) == 1
    assert begun == ["a"]  # other trackers are called once


def test_the_thread_looks_and_ends_with_the_study(monkeypatch, said):
    monkeypatch.setattr(silent_runs, "CHECK_S", 0.01)
    monkeypatch.setattr(silent_runs, "LEAST_S", 0.0)
    monkeypatch.setattr(silent_runs, "TIMES", 0.0)
    named = threading.Event()
    notes = SimpleNamespace(run_notes=lambda _job, _text: named.set())
    trackers = Trackers({"silent": SilentRuns(Trackers({"notes": notes}).run_notes)})
    before = set(threading.enumerate())
    trackers.study_begins(start())
    (looks,) = set(threading.enumerate()) - before
    trackers.run_begins(job("a"))
    assert named.wait(30)
    trackers.study_ends()
    looks.join(30)
    assert not looks.is_alive()
