"""What is combined with what, in words: nothing that a protocol adds comes unsaid."""

import pytest

from segstudy.config.grid_text import how_to_leave_out, in_words
from segstudy.config.study import extend, override, preset_study

TWO = {"architecture": ["unet", "segnet"], "loss": ["bce", "dice"]}
CASES = {
    "classic": (
        {},
        "4 architectures x 5 losses at batch 8, and segnet and unet again at batch 12 (protocol classic)",
        "--batch-size 8 leaves that out",
    ),
    "two of each": (
        TWO,
        "2 architectures x 2 losses at batch 8, and again at batch 12 (protocol classic)",
        "--batch-size 8 leaves that out",
    ),
    "one of each": (
        {"architecture": ["unet"], "loss": ["bce"]},
        "unet x bce at batch 8, and again at batch 12 (protocol classic)",
        "--batch-size 8 leaves that out",
    ),
    "class weights": (
        {
            "architecture": ["unet"],
            "loss": ["bce"],
            "batch_size": [4],
            "classes": ["background=0,a=1"],
            "class_weights": ["none", [1, 2]],
        },
        "unet x bce at batch 4, with class_weights none and 1+2 (protocol classic)",
        "",
    ),
    "one batch size": (
        {**TWO, "batch_size": [4]},
        "2 architectures x 2 losses at batch 4 (protocol classic)",
        "",
    ),
    "two batch sizes": (
        {**TWO, "batch_size": [4, 8]},
        "2 architectures x 2 losses at batch 4 and 8 (protocol classic)",
        "",
    ),
    "a factor and seeds": (
        {**TWO, "batch_size": [8], "lr": [1e-2, 1e-3], "seeds": [3]},
        "2 architectures x 2 losses at batch 8, with lr 0.01 and 0.001, 3 seeds each (protocol classic)",
        "",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_grid_in_words(case):
    fields, words, remedy = CASES[case]
    study = override(preset_study("classic", "t", "synthetic"), fields)
    assert in_words(study) == words
    assert how_to_leave_out(study) == remedy


def test_quick_has_one_grid_and_what_is_added_to_a_study_is_named():
    quick = preset_study("quick", "t", "synthetic")
    assert in_words(quick) == "4 architectures x 5 losses at batch 8 (protocol quick)"
    more = extend(quick, {"architecture": ["unet"], "loss": ["bce"], "lr": [0.1]})
    assert in_words(more).endswith("8, and unet x bce at batch 8, with lr 0.1 (protocol quick)")


def test_what_is_said_to_leave_it_out_does():
    study = override(preset_study("classic", "t", "synthetic"), {**TWO, "batch_size": [8]})
    assert len(study.configurations()) == 4
