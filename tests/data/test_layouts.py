"""Layouts as tools export them: each is detected, and its masks come back pixel by pixel, or are refused."""

import csv
import re
import shutil
import tempfile
from pathlib import Path

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from fake_data import disc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layout_writers import WRITERS, Pairs
from PIL import Image

from segstudy.core.errors import UserError
from segstudy.data.datasets import READERS, read
from segstudy.data.survey import survey

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def pairs() -> Pairs:
    return {name: disc(i, (24, 32 - i)) for i, name in enumerate(NAMES)}


def written(root: Path, pairs: Pairs, layout: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    WRITERS[layout][1](root, pairs)
    return root


def masks_back(root: Path, out: Path) -> dict[str, np.ndarray]:
    """What `check --write` wrote, by the name that a writer gave."""
    survey(root, write=out)
    found = {}
    for row in csv.DictReader((out / "samples.csv").read_text(encoding="utf-8").splitlines()):
        name = re.search(r"(?<![a-z])[abcd](?![a-z])", row["image"])[0]
        assert name not in found
        file = out / "masks" / f"{row['id']}.png"
        found[name] = np.asarray(Image.open(file)) > 0
    return found


@pytest.mark.parametrize("layout", WRITERS)
def test_each_layout_is_detected_by_one_reader_and_its_masks_come_back(
    tmp_path: Path, layout: str, pairs: Pairs
):
    root = written(tmp_path / "data", pairs, layout)
    dataset = read(root)
    assert dataset.reader == WRITERS[layout][0]
    assert [problem for problem in dataset.problems if problem.severity != "note"] == []
    back = masks_back(root, tmp_path / "out")
    assert back.keys() == pairs.keys()
    for name, (_, mask) in pairs.items():
        assert (back[name] == mask).all()


@pytest.mark.parametrize("layout", WRITERS)
def test_the_order_of_the_folder_does_not_matter(tmp_path, monkeypatch, layout, pairs):
    root = written(tmp_path / "data", pairs, layout)
    before = read(root)
    forwards = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: sorted(forwards(self), reverse=True))
    assert read(root) == before


def masks() -> st.SearchStrategy[np.ndarray]:
    shape = st.tuples(st.integers(8, 14), st.integers(8, 14))
    return shape.flatmap(lambda side: arrays.arrays(np.bool_, side))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=st.sampled_from(sorted(WRITERS)), drawn=st.lists(masks(), min_size=3, max_size=3))
def test_any_masks_come_back_as_they_were_or_are_refused(layout, drawn):
    """Noise, empty and full masks included: what is written by any writer is read back the same."""
    folder = Path(tempfile.mkdtemp())
    try:
        pairs = {
            name: (disc(i, mask.shape)[0], mask)
            for i, (name, mask) in enumerate(zip("abc", drawn, strict=True))
        }
        root = written(folder / "data", pairs, layout)
        try:
            back = masks_back(root, folder / "out")
        except (UserError, FileNotFoundError):
            return  # refused, as a whole or one of its masks
        for name, (_, mask) in pairs.items():
            assert (back[name] == mask).all(), name
    finally:
        shutil.rmtree(folder)


def test_readers_that_come_before_others_name_readers():
    for reader in READERS.values():
        assert set(reader.before) <= READERS.keys() - {reader.name}
