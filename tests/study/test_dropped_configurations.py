"""What a study names no more is counted, and the best of it named where it is the best of all."""

import pytest
from fake_study import finish, make_study

from segstudy.study.dropped_configurations import describe_dropped

NAMES = ("segnet-bce-b8", "segnet-dice-b8", "unet-bce-b8", "unet-dice-b8")


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("segnet", "2 finished before are set aside, among them the best on validation, unet-dice-b8"),
        ("unet", "2 finished before are set aside"),
        ("dilated_unet", "4 finished before are set aside, among them the best on validation, unet-dice-b8"),
    ],
)
def test_what_is_named_no_more_is_counted_and_its_best_named(tmp_path, kept, said):
    folder = make_study(tmp_path / "study", ("segnet", "unet"))
    for place, name in enumerate(NAMES):
        finish(folder, name, 0.6 + place / 100, 0.9 - place / 100, seed=0)
    smaller = make_study(tmp_path / "smaller", (kept,)).study().configurations()
    assert describe_dropped(folder, smaller) == f"study.toml names 2 configurations now; {said}"
    assert describe_dropped(folder, folder.study().configurations()) == ""
    assert describe_dropped(type(folder)(tmp_path / "none"), smaller) == ""
