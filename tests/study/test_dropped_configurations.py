"""What a study names no more is counted, and the best of it named where it is the best of all."""

import pytest
from fake_study import finish, make_study, run_of, sample_ids

from segstudy.study.dropped_configurations import describe_dropped


def runs(folder):
    """The runs that a study plans."""
    return [run_of(each, 0, None, sample_ids()) for each in folder.study().configurations()]


NAMES = ("segnet-bce-b8", "segnet-dice-b8", "unet-bce-b8", "unet-dice-b8")


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (
            "segnet",
            "2 that finished before are no longer named, including the best on validation, unet-dice-b8",
        ),
        ("unet", "2 that finished before are no longer named"),
        (
            "dilated_unet",
            "4 that finished before are no longer named, including the best on validation, unet-dice-b8",
        ),
    ],
)
def test_what_is_named_no_more_is_counted_and_its_best_named(tmp_path, kept, said):
    folder = make_study(tmp_path / "study", ("segnet", "unet"))
    for place, name in enumerate(NAMES):
        finish(folder, name, 0.6 + place / 100, 0.9 - place / 100, seed=0)
    smaller = runs(make_study(tmp_path / "smaller", (kept,)))
    assert describe_dropped(folder, smaller) == f"study.toml now names 2 configurations; {said}"
    assert describe_dropped(folder, runs(folder)) == ""
    assert describe_dropped(type(folder)(tmp_path / "none"), smaller) == ""


def test_of_two_files_of_one_name_only_the_one_that_is_gone_is_counted(tmp_path):
    """Their titles are equal: it is by their files and keys that they are told apart."""
    files = [f"{tmp_path / place}/my.py:Net" for place in ("a", "b")]
    folder = make_study(tmp_path / "study", tuple(files), ("bce",))
    finish(folder, "a/my.py:Net-bce-b8", 0.6, 0.6)
    finish(folder, "b/my.py:Net-bce-b8", 0.7, 0.7)
    smaller = runs(make_study(tmp_path / "smaller", (files[0],), ("bce",)))
    said = describe_dropped(folder, smaller)
    assert said.startswith("study.toml now names 1 configuration; 1 that finished before is no longer named")
    assert said.endswith("b/my.py:Net-bce-b8")
