"""What `check --write` writes is the same data set when it is read again: samples, split and classes."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from small import CLASSES, write_classes

from segstudy.core.mask_rules import AUTO
from segstudy.data.datasets import read
from segstudy.data.masks import read_mask
from segstudy.data.samples import Sample
from segstudy.data.split import make_split
from segstudy.data.survey import Survey, summary, survey
from segstudy.data.written_out import options_of
from segstudy.study.options import meaning_of

CASES = {
    "classes": ({}, {"classes": CLASSES}),
    "umlauts": ({}, {"classes": "background=0,Übergang, weit=1,-rim=2".replace(", ", " ")}),
    "merged": ({}, {"classes": "background=0,eye=1+2"}),
    "without background": ({}, {"classes": "skin=0,disc=1,cup=2"}),
    "classes and ignored": ({"void": True}, {"classes": CLASSES, "ignore": 255}),
    "overlapping": ({"overlapping": True}, {"classes": "disc,cup"}),
    "foreground and ignored": ({"void": True}, {"foreground": "1+2", "ignore": 255}),
    "foreground": ({}, {"foreground": "1+2"}),
}
TABLE = "id,patient,category,part\n" + "".join(
    f"eye{i:02},p{i // 2},{'ab'[i % 3 > 0]},{('train', 'train', 'validation', 'test')[i // 2 % 4]}\n"
    for i in range(12)
)


def options(words: Sequence[str]) -> dict[str, str]:
    """Options of the command line as those of Python."""
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}


def said_of(sample: Sample) -> tuple[object, ...]:
    return sample.id, sample.group, sample.category, sample.part


def written(tmp_path: Path, layout: dict[str, bool], asked: dict[str, object], table: str = "") -> Survey:
    write_classes(tmp_path / "eyes", **layout)
    if table:
        (tmp_path / "eyes/metadata.csv").write_text(table, encoding="utf-8")
    return survey(tmp_path / "eyes", meaning=meaning_of(**asked), write=tmp_path / "out")


@pytest.mark.parametrize(
    ("case", "table"),
    [*((case, TABLE) for case in CASES), ("classes", TABLE.replace("part", "none")), ("classes", "")],
)
def test_samples_split_and_classes_come_back(tmp_path: Path, case: str, table: str) -> None:
    before = written(tmp_path, *CASES[case], table)
    after = survey(tmp_path / "out", meaning=meaning_of(**options(before.options)))
    assert before.num_written == 12
    assert not after.has_errors()
    kinds = [{each.kind for each in of.problems if each.severity == "warning"} for of in (before, after)]
    assert kinds[1] <= kinds[0]
    mine, theirs = before.dataset.samples, after.dataset.samples
    assert list(map(said_of, mine)) == list(map(said_of, theirs))
    assert bool(before.dataset.groups_from) == bool(after.dataset.groups_from)
    assert make_split(mine, "auto", 3) == make_split(theirs, "auto", 3)
    assert before.masks.meaning.outputs == after.masks.meaning.outputs
    assert before.class_shares == after.class_shares
    for one, other in zip(mine, theirs, strict=True):
        masks = read_mask(one.mask, before.masks.meaning), read_mask(other.mask, after.masks.meaning)
        assert np.array_equal(*masks)


@pytest.mark.parametrize("case", [name for name in CASES if name not in ("merged", "foreground")])
def test_what_was_written_proposes_its_own_classes(tmp_path: Path, case: str) -> None:
    """The names are in _classes.csv, or those of folders, so that they need not be typed again."""
    words = written(tmp_path, *CASES[case]).options
    (error,) = [each for each in survey(tmp_path / "out").problems if each.severity == "error"]
    line = shlex.join(words).replace("disc,cup", "cup,disc") if case == "overlapping" else shlex.join(words)
    assert line in error.detail
    assert error.detail.index(line) < error.detail.find("--foreground") or case == "overlapping"


def test_no_option_is_needed_for_black_and_white(tmp_path: Path) -> None:
    assert written(tmp_path, *CASES["foreground"]).options == []
    assert not (tmp_path / "out/_classes.csv").exists()
    assert survey(tmp_path / "out", meaning=AUTO).foreground_fracs


def test_names_of_an_earlier_writing_are_removed(tmp_path: Path) -> None:
    written(tmp_path, *CASES["classes"])
    assert (tmp_path / "out/_classes.csv").exists()
    survey(tmp_path / "eyes", meaning=meaning_of(foreground="1"), write=tmp_path / "out")
    assert not (tmp_path / "out/_classes.csv").exists()
    assert read(tmp_path / "out").class_names == ()


def test_grey_images_are_read_again_as_one_channel(tmp_path: Path) -> None:
    write_classes(tmp_path / "eyes", n=2)
    found = survey(tmp_path / "eyes", meaning=meaning_of(classes=CLASSES))
    one = found.intensities.scale.__class__(channels=1)
    assert options_of(found.masks.meaning, one)[-2:] == ["--channels", "1"]
    assert any("classes: background" in line for line in summary(found))
