"""What is seen of a running study: epochs of N, time to go, the best so far; whole words wherever."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from segstudy.study import estimate as estimates
from segstudy.study.duration import Expected, Forecast
from segstudy.study.estimate import Estimate, busy_words, others_at_work
from segstudy.study.machine import Machine
from segstudy.study.trackers.live_table import HEADINGS, AtWork, table_of
from segstudy.study.trackers.terminal import Display

ROW = {"epoch": 3, "lr": 1e-3, "train_loss": 0.5, "validation_loss": 0.6, "validation_iou": 0.71}
TWO = Machine("cpu", threads=1, workers=2, executor="processes")


def job(key: str, name: str) -> SimpleNamespace:
    return SimpleNamespace(run=SimpleNamespace(key=key, seed=0, fold=None), name=name)


def forecast(*keys: str) -> Forecast:
    runs = {key: Expected(kind="unet", seconds=240, num_epochs=24) for key in keys}
    return Forecast(workers=1, runs=runs)


@pytest.fixture
def plain():
    display = Display(Console(file=io.StringIO(), width=80, soft_wrap=True))
    display.start(forecast("a", "b"), ["a", "b"])
    return display


def said(display: Display) -> str:
    return display.console.file.getvalue()


def test_a_plain_line_has_the_epochs_and_the_time_to_go_from_the_first_on(plain):
    plain.epoch(job("a", "unet-bce-b8"), {**ROW, "epoch": 1, "session_s": 20.0})
    assert "unet-bce-b8 (seed 0) epoch 1 of 24: training loss 0.5000" in said(plain)
    assert "about 16 min to go" in said(plain)  # 47 epochs of 20 s, twice as slow as forecast
    assert said(plain).count("\n") == 1


def test_the_best_so_far_is_of_all_epochs_and_of_earlier_runs(plain):
    for iou in (0.8, 0.6):
        plain.epoch(job("a", "unet-bce-b8"), {**ROW, "validation_iou": iou, "session_s": 60.0})
    plain.outcome(SimpleNamespace(key="a", status="finished", reason=None, detail=None), 1, 2)
    assert "[1/2] unet-bce-b8 (seed 0) finished" in said(plain)
    assert "best so far: validation IoU 0.800, unet-bce-b8" in said(plain)
    plain.start(forecast("b"), ["b"], best=(0.9, "segnet-bce-b8"))
    plain.epoch(job("b", "unet-dice-b8"), {**ROW, "session_s": 60.0})
    assert plain._best == (0.9, "segnet-bce-b8")


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_live_display_fits_the_terminal(width):
    console = Console(file=io.StringIO(), width=width, height=24, force_terminal=True, color_system=None)
    display = Display(console)
    display.start(forecast("a", "b"), ["a", "b"])
    for key in "ab":
        display.epoch(job(key, "dilated_unet-tversky-b12"), {**ROW, "session_s": 30.0})
    shown = Console(file=io.StringIO(), width=width, height=24)
    shown.print(display._render())
    display.stop()
    text = shown.file.getvalue()
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "to go" in lines[0]
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
        (None, [1.0, 0.4], "machine is busy: a timed step had 40% of its core, so this may take longer"),
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
    assert "ahead: about 30 min on cpu (2 x 1 thread)" in said(display)
    assert "machine is busy: load 9.0 on 2 cores" in said(display)


def test_on_a_terminal_lines_end_between_words():
    console = Console(file=io.StringIO(), width=40, force_terminal=True, soft_wrap=True, color_system=None)
    display = Display(console)
    display.say(job("a", "unet-bce-b8"), "goes on after epoch 3 of 24, and then something else happens")
    assert all(len(line) <= 40 for line in said(display).splitlines())
    assert "".join(said(display).split("\n")).replace(" ", "") == (
        "unet-bce-b8(seed0):goesonafterepoch3of24,andthensomethingelsehappens"
    )
