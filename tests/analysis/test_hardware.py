"""Runs of one study on different hardware: which, in what, and what it means for comparisons."""

from pathlib import Path

import pytest
from fake_study import finish, make_study

from segstudy.analysis.configurations import rows_of
from segstudy.analysis.hardware import MOST_SHOWN, Hardware, hardware, parts_text

A: dict = {}
B = {"device": "NVIDIA H100", "cuda": "13.0"}
NAMES = ("segnet-bce-b8", "segnet-dice-b8", "unet-bce-b8", "unet-dice-b8")


def trained(path: Path, **kinds: tuple[dict, ...]) -> Hardware:
    """The hardware of a study with a run of each seed on each of these kinds; on A what is not named."""
    folder = make_study(path / "s", seeds=2)
    for name in NAMES:
        for seed, kind in enumerate(kinds.get(name.replace("-", "_"), (A, A))):
            finish(folder, name, 0.5, 0.5, seed=seed, hardware=kind)
    return hardware(rows_of(folder))


def test_of_one_kind_there_is_nothing_to_say(tmp_path):
    one = trained(tmp_path, unet_bce_b8=({"cores": 8}, {"cores": 2, "python": "3.14.1"}))
    assert one == Hardware()
    assert one.sentences == ()


def test_kinds_have_their_runs_and_only_what_differs(tmp_path):
    three = trained(tmp_path, unet_bce_b8=(A, B), unet_dice_b8=(B, {**B, "cores": 8, "threads": 2}))
    assert [kind.text for kind in three.kinds] == [
        "A (5 runs): device cpu, threads 1",
        "B (2 runs): device NVIDIA H100, threads 1",
        "C (1 run): device NVIDIA H100, threads 2",
    ]
    assert three.differing == {"device": ["NVIDIA H100", "cpu"], "threads": ["1", "2"]}
    assert three.sentences[0].startswith(
        "Hardware: A (5 runs): device cpu, threads 1; B (2 runs): device NVIDIA"
    )


def test_what_changes_times_only_is_named_apart(tmp_path):
    two = trained(tmp_path, unet_bce_b8=({"cores": 2}, {**B, "cores": 8}))
    assert two.times == {"cores": ["2", "8"]}
    assert "These differ too, but cannot change a score: cores (2, 8)." in two.sentences


def test_a_factor_whose_levels_share_no_hardware_is_confounded_with_it(tmp_path):
    two = trained(tmp_path, unet_bce_b8=(B, B), unet_dice_b8=(B, B))
    assert two.confounded == (
        "Architecture is confounded with hardware (segnet on A and unet on B): a difference between these "
        "may be one of hardware.",
    )
    assert (two.num_apart, two.num_pairs) == (4, 6)
    assert (two.num_unequal, two.num_replicates) == (2, 2)
    assert two.sentences[-1] == (
        "Of 2 sets of runs with the same seed and fold, 2 were trained on different hardware, so differences "
        "between configurations include those of hardware. 4 of 6 pairs of configurations share no hardware."
    )


def test_a_configuration_alone_on_other_hardware_is_counted_where_no_factor_is_confounded(tmp_path):
    two = trained(tmp_path, unet_dice_b8=(B, B))
    assert two.confounded == ()
    assert (two.num_apart, two.num_pairs) == (3, 6)


def test_the_same_hardware_for_all_runs_of_a_seed_does_not_matter_to_comparisons(tmp_path):
    two = trained(tmp_path, **{name.replace("-", "_"): (A, B) for name in NAMES})
    assert (two.num_apart, two.num_unequal, two.confounded) == (0, 0, ())
    assert "no comparison of configurations is between kinds of hardware" in two.sentences[-1]


def test_a_run_in_parts_says_which_epochs_were_trained_where(tmp_path):
    folder = make_study(tmp_path / "s")
    finish(folder, "unet-bce-b8", 0.5, 0.5, hardware=B, resumed=[(10, A), (30, A)])
    finish(folder, "unet-dice-b8", 0.5, 0.5, hardware=A, resumed=[(1, A), (4, B)])
    finish(folder, "segnet-bce-b8", 0.5, 0.5, resumed=[(7, A)])  # in two sessions, but not in parts
    found = hardware(rows_of(folder))
    assert found.parts == {
        "unet-bce-b8 (seed 0)": "trained in 2 parts: epochs 1-30 on A, from 31 on B",
        "unet-dice-b8 (seed 0)": "trained in 3 parts: epochs 1 on A, 2-4 on B, from 5 on A",
    }
    assert [kind.num_runs for kind in found.kinds] == [1, 0]


def test_an_older_record_with_fewer_fields_is_of_the_kind_that_it_does_not_contradict(tmp_path):
    known = {"libc": "glibc 2.36", "processor": "P"}
    assert trained(tmp_path, unet_bce_b8=(known, A)) == Hardware()


def test_many_kinds_and_parts_are_counted(tmp_path):
    folder = make_study(tmp_path / "s", seeds=30)
    for seed in range(30):
        finish(folder, "unet-bce-b8", 0.5, 0.5, seed=seed, hardware={"processor": f"P{seed}"})
    found = hardware(rows_of(folder))
    assert len(found.kinds) == 30
    assert found.kinds[29].letter == "no. 30"
    assert found.sentences[0].endswith(f"(and {30 - MOST_SHOWN} more).")
    assert found.sentences[-1] == "There is one configuration, so no comparison is between kinds of hardware."


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([(1, "A"), (2, "B")], "trained in 2 parts: epochs 1 on A, from 2 on B"),
        ([(1, "A"), (31, "B")], "trained in 2 parts: epochs 1-30 on A, from 31 on B"),
    ],
)
def test_parts_as_text(parts, text):
    assert parts_text(parts) == text
