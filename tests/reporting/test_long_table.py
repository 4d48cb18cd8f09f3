"""A long leaderboard in a terminal: the first rows, and how many are left out."""

import fake_study
import pytest

import segstudy
from segstudy.cli import results as commands


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = fake_study.make_study(tmp_path_factory.mktemp("long") / "s", batch_size=[4, 8])
    for name in ("unet-dice-b8", "unet-bce-b8"):
        fake_study.finish(folder, name, 0.8, 0.8)
    return folder.path


def test_rows_that_are_left_out_are_counted(study):
    text = segstudy.table(study, number=3)
    assert "Not shown: 5 of 8 rows; --number 8 shows all." in text
    assert "Not shown" not in segstudy.table(study, number=8)
    assert segstudy.table(study, number=8) == segstudy.table(study)
    assert len(segstudy.table(study).splitlines()) - len(text.splitlines()) == 5 - 1


def test_other_formats_have_all_rows(study):
    for format_ in ("csv", "json", "markdown", "latex"):
        assert segstudy.table(study, format_, number=1) == segstudy.table(study, format_)


def test_less_than_one_row_is_refused(study):
    with pytest.raises(segstudy.UserError, match="number must be at least 1 or None, got 0"):
        segstudy.table(study, number=0)


@pytest.mark.parametrize(("width", "number", "left_out"), [(100, None, 6), (None, None, 0), (100, 7, 1)])
def test_a_terminal_shows_some_rows_and_a_pipe_all(study, width, number, left_out, monkeypatch, capsys):
    monkeypatch.setattr(commands, "ROWS", 2)
    monkeypatch.setattr(commands, "width", lambda: width)
    assert commands.table(study, number=number) == 0
    said = capsys.readouterr().out
    assert (f"Not shown: {left_out} of 8 rows" in said) == (left_out > 0)
