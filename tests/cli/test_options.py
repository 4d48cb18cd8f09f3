"""Options given twice, left empty, or in one of several spellings: never the last one in silence."""

import inspect
import json
from dataclasses import asdict, fields

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter
from small import write_dataset

import segstudy
from segstudy.cli.options import study_arguments
from segstudy.cli.study_flags import StudyFlags
from segstudy.data.check import check
from segstudy.data.datasets import read
from segstudy.study.options import values_in

pytestmark = pytest.mark.usefixtures("no_report")

QUICKLY = [
    *("--image-size", "32", "--width", "2", "--epochs", "1", "--batch-size", "4"),
    *("--architecture", "unet", "--loss", "bce", "--executor", "serial"),
]


def write_classes(folder, n=12):
    """Discs whose upper half is class 2 and whose lower half is class 1."""
    write_dataset(folder, n=n)
    for file in (folder / "masks").iterdir():
        values = (np.asarray(Image.open(file)) // 255).astype(np.uint8)
        values[: len(values) // 2] *= 2
        Image.fromarray(values).save(file)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(call, *words) -> str:
    code, _, err = call(*words)
    (line,) = [line for line in err.splitlines() if line.startswith("error:")]
    assert code == 2
    return line


def test_every_text_option_arrives_in_a_type_that_run_and_plan_take():
    """`--masks` and `--intensity` once became lists, which both refuse."""
    options = [each.name for each in fields(StudyFlags) if "str" in str(each.type) and each.name != "set_"]
    assert {"masks", "intensity", "protocol", "loss"} <= set(options)
    arguments = study_arguments(dict.fromkeys(options, "1"))
    for function in (segstudy.run, segstudy.plan):
        parameters = inspect.signature(function).parameters
        for name in options:
            TypeAdapter(parameters[name].annotation).validate_python(arguments[name])


def test_what_masks_and_intensities_mean_is_chosen_on_the_command_line(here, call):
    write_dataset(here / "discs", n=12)
    chosen = ("--masks", "larger", "--intensity", "0..255")
    code, _, err = call("plan", "discs", *QUICKLY, *chosen)
    assert code == 0, err
    assert "masks must be one of the rules, got 'foo'" in refused(
        call, "plan", "discs", *QUICKLY, "--masks", "foo"
    )
    code, _, err = call("run", "discs", *QUICKLY, *chosen, "--out", "s")
    assert code == 0, err
    assert 'intensity = "0..255"' in (here / "s" / "study.toml").read_text()


def test_a_foreground_given_twice_names_both_meanings(here, call):
    write_classes(here / "discs")
    line = refused(call, "plan", "discs", *QUICKLY, "--set", "foreground=1", "--set", "foreground=2")
    assert "foreground=1+2" in line
    assert "foreground=1,2" in line


def test_a_foreground_given_twice_of_several_classes():
    with pytest.raises(segstudy.UserError, match=r"foreground=1\+2\+3 .*foreground=1\+2,3 "):
        study_arguments({}, ["foreground=1+2", "foreground=3"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["lr=1e-2", "lr=1e-3"], r"lr is given twice: --set lr=1e-2,1e-3 "),
        (["lr=1e-2", "lr=1e-2"], r"lr is given twice"),
        (["seeds=2", "seeds=3"], r"seeds is given twice, as 2 and as 3: leave one of them out"),
        (["reader=ph2", "reader=isic"], r"reader is given twice"),
        (["lr="], r"--set lr=: has no value"),
        (["lr=1e-2,"], r"empty value"),
        (["lr=,1e-2"], r"empty value"),
        (["lr"], r"field=value"),
        (["learning_rate=1"], r"unknown field 'learning_rate': did you mean lr\?"),
        (["optimiser=sgd"], r"did you mean optimizer\?"),
        (["Lr=1"], r"did you mean lr\?"),
        (["threads=2"], r"--threads is the option"),
        (["preset=quick"], r"--protocol is the option"),
        (["checkpoint_every=2"], r"--checkpoint-every is the option"),
    ],
)
def test_a_setting_given_twice_empty_or_unknown_is_refused(settings, message):
    with pytest.raises(segstudy.UserError, match=message):
        study_arguments({}, settings)


def test_a_setting_may_be_written_with_hyphens():
    assert study_arguments({}, ["batch-size=4"])["fields"] == {"batch_size": ["4"]}


def test_an_option_and_a_setting_of_one_field_are_refused():
    with pytest.raises(segstudy.UserError, match="--loss and --set loss=dice name the same field"):
        study_arguments({"loss": "bce"}, ["loss=dice"])
    with pytest.raises(segstudy.UserError, match="--batch-size and --set"):
        study_arguments({"batch_size": "4"}, ["batch_size=8"])


@pytest.mark.parametrize(
    ("loss", "message"), [("", "has no value"), ("bce,", "empty value"), (",", "no value")]
)
def test_an_option_without_a_value_is_refused(loss, message):
    with pytest.raises(segstudy.UserError, match=f"--loss {loss}: .*{message}"):
        study_arguments({"loss": loss})


@pytest.mark.parametrize(
    ("option", "first", "second"),
    [("--loss", "bce", "dice"), ("--seeds", "2", "3"), ("--out", "a", "b"), ("--device", "cpu", "cuda")],
)
def test_an_option_given_twice_is_refused(here, call, option, first, second):
    write_dataset(here / "discs", n=12)
    line = refused(call, "plan", "discs", option, first, option, second)
    assert option in line
    assert not (here / "a").exists()


@pytest.mark.parametrize(
    "given",
    [["--foreground", "1,2"], ["--foreground", "1+2"], ["--foreground", "1", "--foreground", "2"]],
)
def test_check_takes_several_classes_in_every_spelling(here, call, given):
    write_classes(here / "discs")
    code, out, err = call("check", "discs", *given)
    assert code == 0, out + err
    code, out, _ = call("check", "discs", "--foreground", "1")
    assert code == 0
    refusal = refused(call, "check", "discs", "--foreground", "one")
    assert "1+2" in refusal


@pytest.mark.parametrize(
    "given", [1, "1", [1], ("1",), np.array([1])], ids=["int", "word", "list", "tuple", "array"]
)
def test_one_class_in_every_spelling(given):
    assert values_in("foreground", given) == (1,)


@pytest.mark.parametrize(
    "given", ["1+2", "1,2", "1, 2", [1, 2], (1, 2), ["1", "2"], ["1+2"], [1, "2"], [1, 2, 2]]
)
def test_several_classes_in_every_spelling(given):
    assert values_in("foreground", given) == (1, 2)


@pytest.mark.parametrize("given", ["", "1+", "-1", "x", [], [-1], 1.5, True, [True], "²"])
def test_what_is_no_class_is_refused(given):
    with pytest.raises(segstudy.UserError, match=r"1\+2"):
        values_in("foreground", given)


def test_two_foregrounds_are_two_configurations_and_one_of_both_is_one(here, call):
    data = write_classes(here / "discs")
    options = {"architecture": "unet", "loss": "bce", "protocol": "quick", "image_size": 32, "width": 2}
    code, _, err = call("plan", "discs", *QUICKLY, "--set", "foreground=1,2")
    assert code == 0, err
    assert len(segstudy.plan(data, **options, foreground=["1", "2"])[1]) == 2
    assert len(segstudy.plan(data, **options, foreground="1+2")[1]) == 1
    assert len(segstudy.plan(data, **options, foreground=[1, 2])[1]) == 1
    (here / "study.toml").write_text(
        'data = "discs"\n[protocol]\nimage_size = 32\nwidth = 2\n[[grid]]\n'
        'architecture = ["unet"]\nloss = ["bce"]\nforeground = ["1", "1+2", [2], [2]]\n'
    )
    assert len(segstudy.plan("study.toml")[1]) == 3


def test_the_masks_are_checked_for_each_foreground(here, call):
    """Class 7 is in no mask: as one of two foregrounds it is refused as much as alone."""
    write_classes(here / "discs")
    code, _, err = call("run", "discs", *QUICKLY, "--set", "foreground=1,7", "--out", "s")
    assert code == 2
    assert "no mask holds the foreground 7; the masks hold 0, 1, 2" in err
    code, _, err = call("run", "discs", *QUICKLY, "--set", "foreground=1,2", "--out", "s")
    assert code == 0, err
    stored = json.loads((here / "s" / "data.json").read_text())
    assert stored["foreground"] == [[1], [2]]
    found = segstudy.status("s")
    assert found.num_finished == 2
    with pytest.raises(segstudy.UserError, match="has several foregrounds"):
        segstudy.score(here / "discs", here / "discs" / "masks", "s")


def test_findings_that_rest_on_groups_are_made_again_when_these_change(here, call):
    """Metadata of the same images: what was found of the groups before is not said again."""
    write_dataset(here / "discs")
    write_dataset(here / "alike", n=1, seed=0)
    for kind in ("images", "masks"):
        (here / "discs" / kind / "disc01.png").write_bytes(
            (here / "alike" / kind / "disc00.png").read_bytes()
        )
    same = ["--accept-duplicates", "--out", "s"]

    def findings() -> list[dict[str, str]]:
        code, _, err = call("run", "discs", *QUICKLY, *same)
        assert code == 0, err
        return json.loads((here / "s" / "data.json").read_text())["findings"]

    before = findings()
    patients = "".join(f"disc{i:02},p{max(i, 1)}\n" for i in range(16))
    (here / "discs" / "metadata.csv").write_text("id,group\n" + patients)
    after = findings()
    assert before != after
    assert after == [asdict(problem) | {"samples": list(problem.samples)} for problem in check(read("discs"))]
