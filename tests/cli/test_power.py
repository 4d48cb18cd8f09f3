"""`plan --power` as a user meets it: from a data set, from a pilot, and refused in one line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_study import finish, make_study
from small import write_dataset

import segstudy
from segstudy.analysis.seed_plan import SeedPlan
from segstudy.cli.studies import main
from segstudy.study import power
from segstudy.study.machine import choose_machine

QUICKLY = [
    *("--image-size", "32", "--width", "2", "--epochs", "1", "--batch-size", "4"),
    *("--architecture", "unet", "--loss", "bce,dice", "--executor", "serial"),
]


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run a command line in a folder with a small data set: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "discs", n=12)

    def called(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    return called


@pytest.fixture
def pilot(tmp_path) -> Path:
    """A finished study of two configurations with three seeds."""
    folder = make_study(tmp_path / "pilot", ("unet",), ("bce", "dice"), seeds=3)
    for name, mean in (("unet-bce-b8", 0.8), ("unet-dice-b8", 0.82)):
        for seed in range(3):
            finish(folder, name, mean, mean + 0.01 * seed, seed=seed, noise=0.05)
    return folder.path


def test_without_a_pilot_the_variances_are_those_of_ph2_and_that_is_said(call):
    code, out, err = call("plan", "discs", *QUICKLY, "--seeds", "3", "--power", "--difference", "0.05")
    assert code == 0, err
    said = " ".join(out.split())
    assert "estimate: about" in said
    assert "From PH2 at 64 px (docs/results/ph2-64px-repeated-folds): no pilot was given" in said
    assert "for one pair of configurations, chosen beforehand" in said
    assert "This study shows" in said
    assert "To show a difference of 0.05" in said
    assert "Hours of the whole study on this machine (2 configurations, one run after the other)." in said


def test_a_pilot_gives_variances_and_their_uncertainty(call, pilot):
    code, out, err = call("plan", "discs", *QUICKLY, "--seeds", "3", "--power", "--json", "--pilot", pilot)
    assert code == 0, err
    found = json.loads(out)
    assert found["source"].startswith(f"{pilot}: 2 configurations, 3 seeds; training_set from PH2")
    assert found["present"]["seeds"] == 3
    assert found["present"]["low"] < found["present"]["high"]
    assert found["standard_deviations"]["residual"] == pytest.approx(0.05, rel=0.5)
    assert all(size["hours"] > 0 for size in found["sizes"])
    assert found["cheapest"] is None


def test_given_standard_deviations_replace_some_of_the_pilots(call, pilot):
    words = ["plan", "discs", *QUICKLY, "--power", "--json", "--pilot", pilot, "--sd", "seed=.02,image=.03"]
    code, out, err = call(*words)
    assert code == 0, err
    found = json.loads(out)
    assert found["standard_deviations"]["seed"] == pytest.approx(0.02)
    assert found["standard_deviations"]["image"] == pytest.approx(0.03)
    assert found["source"].startswith(f"given: seed, image; residual, training_set from {pilot}")
    assert found["present"] is None  # one seed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--difference", "0.01"], "--difference needs --power"),
        (["--json"], "--json needs --power"),
        (["--power", "--sd", "seed"], "--sd seed: must have the form name=value"),
        (["--power", "--sd", "sed=.1"], "did you mean seed"),
        (["--power", "--difference", "1.5"], "--difference must be between 0 and 1, got 1.5"),
        (["--power", "--html", "power.pdf"], "--html must be a file that ends with .html, got power.pdf"),
        (["--power", "--pilot", "discs"], "discs"),
        (["--power", "--pilot", "nowhere"], "nowhere: is not a study"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_is_timed(call, words, said, monkeypatch):
    monkeypatch.setattr(segstudy, "plan", lambda *_, **__: pytest.fail("steps were timed"))
    code, _, err = call("plan", "discs", *QUICKLY, *words)
    assert code == 2
    assert said in " ".join(err.split())
    assert "Traceback" not in err


def test_a_pilot_with_one_seed_is_refused(call, tmp_path, monkeypatch):
    folder = make_study(tmp_path / "one", ("unet",), ("bce", "dice"))
    for name in ("unet-bce-b8", "unet-dice-b8"):
        finish(folder, name, 0.8, 0.8, noise=0.05)
    monkeypatch.setattr(segstudy, "plan", lambda *_, **__: pytest.fail("steps were timed"))
    code, _, err = call("plan", "discs", *QUICKLY, "--power", "--pilot", "one")
    assert code == 2
    assert "a pilot needs two or more configurations with two or more finished seeds each" in " ".join(
        err.split()
    )


def test_a_pilot_whose_runs_all_score_equally_is_refused(call, tmp_path, monkeypatch):
    """Two configurations that learned nothing: no variance, so any difference would seem to be shown."""
    folder = make_study(tmp_path / "equal", ("unet",), ("bce", "dice"), seeds=2)
    for name in ("unet-bce-b8", "unet-dice-b8"):
        for seed in range(2):
            finish(folder, name, 0.3, 0.3, seed=seed, noise=0.0)
    monkeypatch.setattr(segstudy, "plan", lambda *_, **__: pytest.fail("steps were timed"))
    code, _, err = call("plan", "discs", *QUICKLY, "--power", "--pilot", "equal")
    assert code == 2
    assert "all runs of the pilot have equal scores on each image" in " ".join(err.split())
    assert not power.is_pilot(folder.path)


def test_a_sequential_pilot_is_said_because_its_looks_are_not_in_the_power(call, pilot, monkeypatch):
    before = power.gather
    monkeypatch.setattr(power, "gather", lambda *given: replace(before(*given), seed_plan=SeedPlan(object())))
    code, out, err = call("plan", "discs", *QUICKLY, "--seeds", "3", "--power", "--pilot", pilot)
    assert code == 0, err
    assert "(a sequential study: the power here is that of fixed seeds, without looks)" in " ".join(
        out.split()
    )


def test_from_python(call, pilot, tmp_path):
    planned = segstudy.plan(
        "discs", image_size=32, width=2, epochs=1, architecture="unet", loss="bce", executor="serial", folds=3
    )
    found = segstudy.power(planned, pilot=pilot, difference=0.03, html=tmp_path / "power.html")
    assert found.num_configurations == 2
    assert found.layouts[0].folds == 3
    assert found.layouts[0].num_units == 12
    assert found.cheapest is not None
    assert (tmp_path / "power.html").is_file()


def test_hours_count_all_workers_of_the_machine_also_where_few_runs_are_left(call):
    asked = {
        "image_size": 32,
        "width": 2,
        "epochs": 1,
        "architecture": "unet",
        "loss": "bce",
        "batch_size": 8,
    }
    planned = segstudy.plan("discs", **asked, workers=2)
    made, missing, ahead, machine = planned
    assert ahead.num_runs == ahead.workers == 1
    two = replace(machine, executor="processes")
    found = segstudy.power((made, missing, ahead, two))
    assert found.workers == choose_machine(threads=two.threads, executor="processes").workers
    alone = segstudy.power((made, missing, ahead, replace(machine, executor="serial")))
    assert alone.workers == 1
    assert alone.sizes[-1].hours >= found.sizes[-1].hours
