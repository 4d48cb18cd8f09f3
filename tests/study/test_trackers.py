"""What is seen of a running study: epochs of N, time to go, the best so far; whole words wherever."""

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

import segstudy
from segstudy.core.errors import UserError
from segstudy.study import estimate as estimates
from segstudy.study.duration import Expected, Forecast
from segstudy.study.estimate import Estimate, busy_words, others_at_work
from segstudy.study.machine import Machine
from segstudy.study.overview import Overview
from segstudy.study.trackers import TRACKERS, StudyStart, Trackers, chosen_trackers
from segstudy.study.trackers.live_table import HEADINGS, AtWork, table_of
from segstudy.study.trackers.terminal import Display

ROW = {"epoch": 3, "lr": 1e-3, "train_loss": 0.5, "validation_loss": 0.6, "validation_iou": 0.71}
TWO = Machine("cpu", threads=1, workers=2, executor="processes")


def job(key: str, name: str) -> SimpleNamespace:
    return SimpleNamespace(run=SimpleNamespace(key=key, seed=0, repeat=0, fold=None), name=name)


def forecast(*keys: str) -> Forecast:
    runs = {key: Expected(kind="unet", seconds=240, num_epochs=24) for key in keys}
    return Forecast(workers=1, runs=runs)


def start(*keys: str, best: tuple[float, str] | None = None) -> StudyStart:
    overview = Overview(
        name="s",
        num_runs=2,
        num_configurations=1,
        data="d",
        num_samples=3,
        parts=(),
        num_warnings=0,
        num_notes=0,
    )
    return StudyStart(Path("study"), overview, keys, forecast(*keys), best)


@pytest.fixture
def plain():
    display = Display(Console(file=io.StringIO(), width=80, soft_wrap=True))
    display.study_begins(start("a", "b"))
    return display


def said(display: Display) -> str:
    return display.console.file.getvalue()


def test_a_plain_line_has_the_epochs_and_the_time_to_go_from_the_first_on(plain):
    plain.run_progresses(job("a", "unet-bce-b8"), {**ROW, "epoch": 1, "session_s": 20.0})
    assert "unet-bce-b8 (seed 0) epoch 1 of 24: training loss 0.5000" in said(plain)
    assert "about 16 min left" in said(plain)  # 47 epochs of 20 s, twice as slow as forecast
    assert said(plain).count("\n") == 1


def test_the_time_to_a_look_is_not_the_time_of_the_study(plain):
    plain.study_begins(replace(start("a", "b"), until="until the next look"))
    plain.run_progresses(job("a", "unet-bce-b8"), {**ROW, "epoch": 1, "session_s": 20.0})
    assert "about 16 min until the next look" in said(plain)


def test_the_best_so_far_is_of_all_epochs_and_of_earlier_runs(plain):
    for iou in (0.8, 0.6):
        plain.run_progresses(job("a", "unet-bce-b8"), {**ROW, "validation_iou": iou, "session_s": 60.0})
    ended = SimpleNamespace(key="a", status="finished", reason=None, detail=None)
    plain.run_ends(job("a", "unet-bce-b8"), ended)
    assert "[1/2] unet-bce-b8 (seed 0) finished" in said(plain)
    assert "best so far: validation IoU 0.800, unet-bce-b8" in said(plain)
    plain.study_begins(start("b", best=(0.9, "segnet-bce-b8")))
    plain.run_progresses(job("b", "unet-dice-b8"), {**ROW, "session_s": 60.0})
    assert plain._best == (0.9, "segnet-bce-b8")


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_live_display_fits_the_terminal(width):
    console = Console(
        file=io.StringIO(),
        width=width,
        height=24,
        force_terminal=True,
        force_interactive=True,
        color_system=None,
    )
    display = Display(console)
    display.study_begins(start("a", "b"))
    for key in "ab":
        display.run_progresses(job(key, "dilated_unet-tversky-b12"), {**ROW, "session_s": 30.0})
    shown = Console(file=io.StringIO(), width=width, height=24)
    shown.print(display._render())
    display.study_ends()
    text = shown.file.getvalue()
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert " left" in lines[0]
    assert "0/2" in lines[0]
    assert "best so far: validation IoU 0.710" in text
    assert text.count("dilated_unet-tversky-b12 (seed 0)  3 of 24") == 2
    assert len(lines) == 5, text


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_table_leaves_columns_out_and_cuts_no_cell(width):
    runs = [AtWork("dilated_unet-tversky-b12 (seed 3, fold 2)", ROW, 24)] * 3
    console = Console(file=io.StringIO(), width=width)
    console.print(table_of(runs, width, 24))
    text = console.file.getvalue()
    headings = [name for name in HEADINGS if name in text.splitlines()[0]]
    assert headings == list(HEADINGS[: len(headings)])
    assert len(headings) >= 3
    assert (width < 120) or len(headings) == len(HEADINGS)
    assert text.count("dilated_unet-tversky-b12 (seed 3, fold 2)  3 of 24") == 3
    assert "…" not in text


def test_more_runs_than_lines_are_counted():
    runs = [AtWork(f"unet-bce-b8 (seed {seed})", ROW, 24) for seed in range(64)]
    console = Console(file=io.StringIO(), width=80)
    console.print(table_of(runs, 80, 24))
    lines = console.file.getvalue().splitlines()
    assert len(lines) <= 20
    assert lines[-1].strip() == "and 46 more at work"


@pytest.mark.parametrize(
    ("load", "shares", "words"),
    [
        ((6.5, 2), [1.0], "machine is busy: load 6.5 on 2 cores, so this may take longer"),
        ((1.5, 1), [], "machine is busy: load 1.5 on 1 core, so this may take longer"),
        (None, [1.0, 0.4], "machine is busy: a timed step had 40 % of its core, so this may take longer"),
        (None, [1.0, None], ""),
        (None, [], ""),
    ],
)
def test_a_busy_machine_is_called_busy(load, shares, words):
    assert busy_words(load, shares) == words


@pytest.mark.parametrize(("load", "busy"), [(7.0, True), (0.0, False), (None, False)])
def test_only_others_count(monkeypatch, load, busy):
    """A process that has just read and checked its data for minutes has a load of its own."""
    monkeypatch.setattr(estimates, "machine_load", lambda: None if load is None else (load, 2))
    monkeypatch.setattr(estimates.time, "process_time", lambda: 0.0)
    assert bool(others_at_work()) is busy
    monkeypatch.setattr(estimates.time, "process_time", lambda: 1e9)
    assert others_at_work() is None


def test_the_estimate_says_that_it_may_be_too_low():
    display = Display(Console(file=io.StringIO(), width=80, soft_wrap=True))
    ahead = Estimate(2, 2, 0.5, 10**9, 10**6, forecast("a"), busy_words((9.0, 2)))
    display.estimate(ahead, TWO)
    assert "estimate: about 30 min on cpu (2 x 1 thread)" in said(display)
    assert "machine is busy: load 9.0 on 2 cores" in said(display)


def test_on_a_terminal_lines_end_between_words():
    console = Console(
        file=io.StringIO(),
        width=40,
        force_terminal=True,
        force_interactive=True,
        soft_wrap=True,
        color_system=None,
    )
    display = Display(console)
    display.run_notes(job("a", "unet-bce-b8"), "goes on after epoch 3 of 24, and then something else happens")
    assert all(len(line) <= 40 for line in said(display).splitlines())
    assert "".join(said(display).split("\n")).replace(" ", "") == (
        "unet-bce-b8(seed0):goesonafterepoch3of24,andthensomethingelsehappens"
    )


class Told:
    """A tracker that notes what it was told, and fails at one event."""

    def __init__(self, fails_at: str = ""):
        self.events: list[str] = []
        self.fails_at = fails_at

    def __getattr__(self, event: str):
        def told(*_about):
            self.events.append(event)
            if event == self.fails_at:
                raise RuntimeError("the server\nis away")

        return told


def tell_all(trackers: Trackers) -> None:
    a, ended = job("a", "unet-bce-b8"), SimpleNamespace(key="a", status="finished", reason=None, detail=None)
    trackers.study_begins(start("a"))
    trackers.run_begins(a)
    trackers.run_progresses(a, ROW)
    trackers.run_notes(a, "goes on after epoch 3")
    trackers.run_ends(a, ended)
    trackers.study_ends()


EVENTS = ["study_begins", "run_begins", "run_progresses", "run_notes", "run_ends", "study_ends"]


@pytest.mark.parametrize("event", EVENTS)
def test_a_tracker_that_fails_is_left_out_and_the_others_are_told_all(event, caplog):
    bad, good = Told(event), Told()
    tell_all(Trackers({"bad": bad, "good": good}))
    assert good.events == EVENTS
    assert bad.events == EVENTS[: EVENTS.index(event) + 1]
    assert caplog.messages == [
        "tracker bad failed and is left out from now on: RuntimeError: the server is away"
    ]


def test_a_run_that_an_executor_did_not_announce_begins_with_its_first_epoch_and_once():
    told = Told()
    trackers = Trackers({"told": told})
    for _ in range(2):
        trackers.run_progresses(job("a", "unet-bce-b8"), ROW)
    trackers.run_begins(job("a", "unet-bce-b8"))
    assert told.events == ["run_begins", "run_progresses", "run_progresses"]


def test_the_terminal_shows_all_that_a_tracker_is_told():
    display = Display(Console(file=io.StringIO(), width=80, soft_wrap=True))
    tell_all(Trackers({"terminal": display}))
    assert "unet-bce-b8 (seed 0): goes on after epoch 3" in said(display)
    assert "[1/1] unet-bce-b8 (seed 0) finished; all done" in said(display)


def test_an_unknown_tracker_is_refused_with_the_choices_before_anything_is_read(tmp_path):
    with pytest.raises(UserError, match="unknown tracker 'telepathy': use one of terminal"):
        segstudy.run(tmp_path / "nothing", tracker="terminal,telepathy")


def test_names_are_a_comma_list_or_a_list_and_count_once():
    assert chosen_trackers("terminal, terminal") == chosen_trackers(["terminal"]) == [TRACKERS["terminal"]]


@pytest.mark.parametrize("tracker", TRACKERS.values(), ids=lambda tracker: tracker.name)
def test_each_tracker_of_the_table_does_all_that_a_tracker_does(tracker):
    made = tracker.made()
    assert all(callable(getattr(made, event)) for event in EVENTS)
