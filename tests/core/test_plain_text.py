"""Tables come out as text in notebooks, with colours forced, and with names that look like markup."""

import ast
import builtins
import sys
import types
from pathlib import Path

import pytest
from fake_study import finish, make_study
from rich.table import Table

import segstudy
from segstudy.cli.formatting import evaluation_text, scores_text
from segstudy.cli.terminal import say
from segstudy.core.plain_text import as_text

SCORE = {"mean": 0.5, "low": 0.4, "high": 0.6}
RECORD = {
    "name": "tool",
    "seeds": [0],
    "scores": {"validation": {"iou": SCORE}, "test": {"iou": SCORE}},
    "parts": {},
    "ignored": {"count": 0, "first": []},
    "strangers": {"count": 0, "first": []},
    "num_images": 4,
    "data": {"name": "elsewhere"},
    "in_domain": {"data": {"name": "here"}, "num_images": 3, "scores": {"iou": SCORE}},
}


class ZMQInteractiveShell:
    """What a Jupyter kernel's shell is called; rich looks at the name."""


@pytest.fixture(params=["notebook", "colours", "plain", "narrow"])
def place(request, monkeypatch):
    shown = []
    if request.param == "notebook":
        monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
        display = types.ModuleType("IPython.display")
        display.display = shown.append
        monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
        monkeypatch.setitem(sys.modules, "IPython.display", display)
    elif request.param == "colours":
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TTY_COMPATIBLE", "1")
    elif request.param == "narrow":
        monkeypatch.setenv("COLUMNS", "20")
    yield request.param
    assert not shown


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = make_study(tmp_path_factory.mktemp("table") / "study", ("unet",), ("bce",))
    finish(folder, "unet-bce-b8", 0.7, 0.6, seed=0)
    return folder.path


def test_the_leaderboard_is_text_everywhere(place, study):
    text = segstudy.table(study)
    assert "unet-bce-b8" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) >= 80, place


def test_scores_and_evaluations_are_text_everywhere(place):
    for text in (scores_text([RECORD]), evaluation_text(RECORD)):
        assert "0.500 [0.400, 0.600]" in text
        assert "\x1b" not in text, place


def test_names_are_no_markup():
    table = Table("name")
    for name in ("nnunet[fold]", "a:smile:b", "[red]", "[/]"):
        table.add_row(name)
    text = as_text(table)
    assert all(name in text for name in ("nnunet[fold]", "a:smile:b", "[red]", "[/]"))


def test_every_console_that_keeps_text_is_made_in_one_place():
    """Another `Console(file=...)` would be empty in a notebook again."""
    root = Path(segstudy.__file__).parent
    makers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Console", "rich.console.Console")
    }
    assert makers == {"core/plain_text.py", "cli/terminal.py", "study/trackers/terminal.py"}


def test_what_is_said_on_the_terminal_is_no_markup(capsys):
    say("nnunet[fold] :smile:")
    assert "nnunet[fold] :smile:" in capsys.readouterr().out
