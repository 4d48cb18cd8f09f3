"""The leaderboard in terminals of any width: columns are left out and named, no word and no cell is cut."""

import os
import subprocess
import sys

import pytest
from fake_study import fail, finish, make_study

import segstudy
from segstudy.reporting.tables import HEADINGS

WIDTHS = (80, 100, 120, 200)
LONG = "unet:skips=false"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = make_study(
        tmp_path_factory.mktemp("wide") / "a study-of mine",
        ("segnet", "unet", LONG),
        ("bce", "combo"),
        seeds=2,
    )
    for name, iou in (("segnet-bce-b8", 0.5), ("unet-combo-b8", 0.8), (f"{LONG}-combo-b8", 0.7)):
        for seed in (0, 1):
            finish(folder, name, iou, iou, seed=seed, noise=0.05)
    finish(folder, "unet-bce-b8", 0.6, 0.6)
    fail(folder, "unet-bce-b8", seed=1)
    return folder.path


@pytest.mark.parametrize("width", WIDTHS)
def test_every_line_fits_and_every_cell_is_whole(study, width):
    whole = segstudy.table(study).splitlines()
    text = segstudy.table(study, width=width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    heading, *rows = lines[: 1 + 6]
    shown = [name for name in HEADINGS if name and name in heading]
    left_out = [name for name in HEADINGS if name and name not in heading]
    for name in left_out:
        assert name in text.split("Left out")[1]
    assert {"configuration", "IoU validation", "IoU test", "runs"} <= set(shown), "not all runs are finished"
    cells = [row.split("  ") for row in whole[1:7]]
    every = {cell.strip() for row in cells for cell in row}
    for row in rows:
        assert {cell.strip() for cell in row.split("  ")} <= every, row
    if left_out:
        assert f"    segstudy table '{study}' --format csv" in lines or max(map(len, lines)) <= width


def test_wider_is_more_and_at_last_all(study):
    headings = [segstudy.table(study, width=width).splitlines()[0] for width in (*WIDTHS, None)]
    counts = [sum(name in heading for name in HEADINGS if name) for heading in headings]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == len(HEADINGS) - 1
    assert "Left out" not in segstudy.table(study)


def test_names_longer_than_the_line_take_several(study):
    text = segstudy.table(study, width=64)
    assert max(len(line) for line in text.splitlines() if "segstudy table" not in line) <= 64
    names = "".join(line[3:18].rstrip() for line in text.splitlines()[1:8])
    assert f"{LONG}-combo-b8"[:13] in names
    assert "2 of 2" in text
    assert "…" not in text
    assert "configuration" in text


@pytest.mark.slow
@pytest.mark.parametrize("how", ["terminal", "COLUMNS", "pipe"])
def test_the_command_knows_how_wide_its_output_is(study, how):
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "segstudy", "table", str(study)]
    if how == "terminal":
        pytest.importorskip("termios")
        code = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))"
        words = ["sh", "-c", 'stty cols 100; exec "$@"', "sh", *command]
        command = [sys.executable, "-c", code, *words]
    if how == "COLUMNS":
        environment["COLUMNS"] = "100"
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    expected = segstudy.table(study, width=None if how == "pipe" else 100)
    assert found.stdout.replace("\r\n", "\n").split() == expected.split()
