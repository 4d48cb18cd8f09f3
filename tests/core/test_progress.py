"""What is being done is said at once, and with what is done of it; never a control code in a pipe."""

import io
import re
import subprocess
import sys
import time

import pytest
from rich.console import Console
from small import write_dataset

from segstudy.core import progress
from segstudy.core.progress import Stages


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.setattr(progress, "FIRST_PATIENCE_S", 0.05)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.05)
    return Console(file=io.StringIO(), width=80)


def lines(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


def test_a_stage_that_lasts_is_said_before_it_ends(plain):
    with Stages(plain) as stage:
        stage("reading")
        time.sleep(0.2)
        assert lines(plain) == ["reading"]
        stage("checking", 1, 3)
    time.sleep(0.2)
    assert lines(plain) == ["reading"], "what ended at once is not worth a line"


def test_progress_comes_as_plain_lines(plain, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_S", 0.0)
    with Stages(plain) as stage:
        for done in range(3):
            stage("checking", done, 2)
    assert lines(plain) == ["checking: 1 of 2", "checking: 2 of 2"]


def test_a_long_stage_says_how_long_is_left(plain, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_S", 0.0)
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Stages(plain) as stage:
        for now[0], done in ((0.0, 1000), (60.0, 4000), (120.0, 7000), (180.0, 10_000)):
            stage("checking", done, 10_000)
    assert lines(plain) == [
        "checking: 4000 of 10000, about 2 min to go",
        "checking: 7000 of 10000, about 60 s to go",
        "checking: 10000 of 10000",
    ]


def test_a_terminal_sees_how_long_is_left(monkeypatch):
    monkeypatch.setattr(progress, "TO_GO_AFTER_S", 0.0)
    console = Console(file=io.StringIO(), width=120, force_terminal=True, force_interactive=True)
    with Stages(console) as stage:
        stage("checking", 0, 10)
        time.sleep(0.2)
        stage("checking", 5, 10)
        time.sleep(0.2)
    assert re.search(r"about \d s to go", console.file.getvalue())


def test_a_name_cannot_steer_the_terminal(plain, monkeypatch):
    with Stages(plain) as stage:
        stage("reading \x1b[31m[red]my[/red] images\n")
        time.sleep(0.2)
    assert lines(plain) == ["reading \\x1b[31m[red]my[/red] images\\n"]


def test_a_terminal_sees_it_at_once_and_is_left_clean():
    console = Console(file=io.StringIO(), width=80, force_terminal=True, force_interactive=True)
    with Stages(console) as stage:
        stage("checking the data", 3, 24)
        assert "checking the data" in console.file.getvalue()
        assert "3 of 24" in console.file.getvalue()
    assert console.file.getvalue().endswith("\x1b[2K"), "the line is taken back"


def test_a_terminal_without_control_codes_gets_plain_lines(monkeypatch):
    monkeypatch.setattr(progress, "FIRST_PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "dumb")
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with Stages(console) as stage:
        stage("reading")
        time.sleep(0.2)
    assert console.file.getvalue() == "reading\n"


# The command line until its first word: prints the word and the processor time it took, and ends.
UNTIL_THE_FIRST_WORD = """
import os, sys, time
class FirstWord:
    def write(self, text):
        print(time.process_time(), text, flush=True)
        os._exit(0)
    def __getattr__(self, name):
        return getattr(sys.__stderr__, name)
sys.stderr = FirstWord()
from segstudy.__main__ import main
main()
"""


@pytest.mark.parametrize("command", ["plan", "run"])
def test_the_first_word_comes_long_before_the_libraries_are_loaded(tmp_path, command):
    """Within .7 s of processor time, a bare start included: wall time says nothing on a busy machine."""
    write_dataset(tmp_path / "discs", n=12)
    words = [sys.executable, "-c", UNTIL_THE_FIRST_WORD, command, "discs"]
    run = subprocess.run(words, check=True, capture_output=True, text=True, cwd=tmp_path)
    seconds, *first = run.stdout.split()
    assert first == ["starting"]
    assert float(seconds) < 0.7
