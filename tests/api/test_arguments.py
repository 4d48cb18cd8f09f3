"""Public functions: every argument is explicit, and one that is misspelt or of another kind is refused."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import write_dataset

import segstudy
from segstudy.config.protocol import Protocol
from segstudy.config.study import Study
from segstudy.core.arguments import checked_call
from segstudy.core.suggestions import SYNONYMS, nearest
from segstudy.deploy.predict.predictor import Settings
from segstudy.study.options import FIELDS, MACHINE_OPTIONS, described

FUNCTIONS = [name for name in segstudy.__all__ if inspect.isfunction(getattr(segstudy, name))]
CLASSES = (segstudy.Predictor, segstudy.Study)
METHODS = [
    getattr(cls, name)
    for cls in CLASSES
    for name, member in vars(cls).items()
    if inspect.isfunction(member) and (not name.startswith("_") or name in ("__init__", "__call__"))
]
PUBLIC: list[Callable[..., Any]] = [*(getattr(segstudy, name) for name in FUNCTIONS), *METHODS]


def named(function: Callable[..., Any]) -> str:
    return function.__qualname__


@pytest.mark.parametrize("function", PUBLIC, ids=named)
def test_every_argument_of_a_public_function_is_explicit_and_typed(function):
    for parameter in list(inspect.signature(function).parameters.values()):
        assert parameter.kind is not parameter.VAR_KEYWORD
        assert parameter.annotation is not parameter.empty or parameter.name == "self"


@pytest.mark.parametrize("function", PUBLIC, ids=named)
def test_a_misspelt_argument_is_refused_and_the_nearest_named(function):
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    with pytest.raises(segstudy.UserError, match="has no argument 'no_such_thing'"):
        function(no_such_thing=1)
    for name in names:
        misspelt = name.upper() if len(name) < 4 else name[:-2] + name[-1]
        with pytest.raises(TypeError, match=f"has no argument '{misspelt}'; did you mean ") as raised:
            function(**{misspelt: 1})
        if len(name) > 4:
            assert f"did you mean {name}?" in str(raised.value)


@pytest.mark.parametrize(
    ("function", "wrong", "meant"),
    [
        ("plan", {"optimiser": "sgd"}, "optimizer"),
        ("plan", {"Seeds": 5}, "seeds"),
        ("run", {"losses": ["bce"]}, "loss"),
        ("run", {"archs": "unet"}, "architecture"),
        ("run", {"learning_rate": 1e-3}, "lr"),
        ("run", {"batch": 4}, "batch_size"),
        ("run", {"bs": 4}, "batch_size"),
        ("run", {"lr_scheduler": "none"}, "scheduler"),
        ("run", {"img_size": 64}, "image_size"),
        ("run", {"output": "x"}, "out"),
        ("init", {"epoch": 3}, "epochs"),
        ("Predictor", {"treshold": 0.3}, "threshold"),
        ("predict", {"overlay": True}, r"kinds=\['overlay'\]"),
        ("serve", {"treshold": 0.3}, "threshold"),
        ("table", {"all": True}, "show_all"),
        ("card", {"json": True}, "format='json'"),
        ("export", {"format": "onnx"}, "to"),
    ],
)
def test_what_people_call_it_leads_to_what_it_is_called(function, wrong, meant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(segstudy.UserError, match=f"did you mean {meant}\\?"):
        getattr(segstudy, function)(**wrong)
    assert not list(tmp_path.iterdir())


def test_every_synonym_leads_to_an_argument_that_is_there():
    arguments = {name for function in PUBLIC for name in inspect.signature(function).parameters}
    targets = {meant.partition("=")[0] for meanings in SYNONYMS.values() for meant in meanings}
    assert targets <= arguments
    assert nearest("xyzzy", arguments) is None


@pytest.mark.parametrize("name", ["run", "plan", "init"])
def test_every_field_of_a_study_is_an_argument(name):
    arguments = inspect.signature(getattr(segstudy, name)).parameters
    assert set(FIELDS) <= set(arguments)
    assert set(FIELDS) >= {*Protocol.model_fields, *Study.model_fields} - {"protocol", "grid", "preset"}
    assert name == "init" or set(MACHINE_OPTIONS) <= set(arguments)


def test_run_plan_and_init_spell_their_shared_arguments_alike():
    run, plan, init = (
        inspect.signature(getattr(segstudy, name)).parameters for name in ("run", "plan", "init")
    )
    assert all(run[name] == plan[name] for name in plan if name != "stage")
    assert all(plan[name] == init[name] for name in init)


@pytest.mark.parametrize(
    ("function", "wrong", "message"),
    [
        ("run", {"retry": "no"}, "retry must be True or False, got 'no'"),
        ("run", {"seeds": "three"}, "seeds must be a whole number"),
        ("run", {"seeds": True}, "seeds must be a whole number"),
        ("report", {"folder": "x", "images": "none"}, "images must be True or False"),
        ("verify", {"folder": "x", "repair": 1}, "repair must be True or False"),
        ("table", {"folder": "x", "width": -5}, "width must be at least 1 or None, got -5"),
        ("table", {"folder": None}, "folder must be a path, got None"),
        ("status", {"folder": 3}, "folder must be a path, got 3"),
        ("plan", {"study": 3}, "study must be a path or None, got 3"),
        ("plan", {"exclude": [1]}, "exclude: an id must be text, got 1"),
        ("plan", {"exclude": [Path("x")]}, "exclude: an id must be text, got PosixPath"),
        ("plan", {"exclude": 1}, "exclude must be a path or a list or None, got 1"),
        ("plan", {"fields": 3}, "fields must be a dictionary or None, got 3"),
        ("Predictor", {"model": 3}, "model must be a path or a list, got 3"),
        ("predict", {"model": "x", "images": 3, "out": "z"}, "images must be a path or a list, got 3"),
        ("synth", {"folder": "x", "number": 3}, "did you mean n."),
        ("table", {"folder": "x", "format": "xml"}, "one of text, markdown, csv, json, latex"),
        ("card", {"model": "x", "format": "yaml"}, "one of markdown, json"),
        ("export", {"model": "x", "to": "tflite"}, "one of onnx, openvino"),
        ("predict", {"model": "x", "images": "y", "out": "z", "engine": "tensorrt"}, "one of auto, torch"),
        ("predict", {"model": "x", "images": "y", "out": "z", "kinds": "overlay"}, "kinds=.'overlay'."),
        ("serve", {"model": "x", "port": "80"}, "port must be a whole number"),
        ("Predictor", {"model": "x", "threshold": "high"}, "threshold must be a number or None"),
    ],
)
def test_a_value_of_another_kind_is_refused(function, wrong, message):
    with pytest.raises(segstudy.UserError, match=message):
        getattr(segstudy, function)(**wrong)


def test_what_is_given_by_place_is_looked_at_too():
    with pytest.raises(segstudy.UserError, match="format must be one of"):
        segstudy.table("x", "xml")
    for wrong in ((3,), ("study", None, "unet")):
        with pytest.raises(segstudy.UserError, match="arguments must be text, got"):
            segstudy.compare(*wrong)


def test_a_checked_call_takes_numbers_of_numpy():
    @checked_call
    def times(n: int, by: float = 2.0) -> float:
        return n * by

    assert times(np.int64(3), by=np.float32(0.5)) == 1.5


def configurations(source: str, **options: Any) -> list[dict[str, Any]]:
    study, _ = described(source, options)
    return [each.protocol.model_dump(mode="json") for each in study.configurations()]


ONE = {"architecture": "unet", "loss": "bce"}


@pytest.mark.parametrize(
    ("field", "value", "levels"),
    [
        ("lr", [1e-2, 1e-3], [1e-2, 1e-3]),
        ("lr", (1e-2, 1e-3), [1e-2, 1e-3]),
        ("lr", np.array([1e-2, 1e-3]), [1e-2, 1e-3]),
        ("width", range(8, 17, 8), [8, 16]),
        ("optimizer", ["adam", "sgd"], ["adam", "sgd"]),
        ("optimizer", "sgd", ["sgd"]),
        ("record_test", [True, False], [True, False]),
        ("image_size", 64, [[64, 64]]),
        ("image_size", [64, 96], [[64, 64], [96, 96]]),
        ("image_size", "64x96", [[64, 96]]),
        ("image_size", [(64, 96)], [[64, 96]]),
        ("foreground", 1, [[1]]),
        ("foreground", [1, 2], [[1, 2]]),
        ("foreground", (1, 2), [[1, 2]]),
        ("foreground", "1+2", [[1, 2]]),
        ("foreground", ["1", "2"], [[1], [2]]),
        ("foreground", [[1, 2], [2]], [[1, 2], [2]]),
        ("split", "60/20/20", ["60/20/20"]),
        ("split", ["60/20/20", "auto"], ["60/20/20", "auto"]),
        ("micro_batch", 4, [4]),
    ],
)
def test_a_protocol_field_is_an_argument_and_a_list_of_values_a_factor(field, value, levels):
    found = configurations("synthetic", **ONE, **{field: value})
    assert [each[field] for each in found] == levels
    again = configurations("synthetic", **ONE, fields={field: value})
    assert again == found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": {1e-2, 1e-3}}, "lr must be one value or a list"),
        ({"lr": {"a": 1e-2}}, "lr must be one value or a list"),
        ({"lr": []}, "lr has no value"),
        ({"image_size": (64, 96)}, '"64x96"'),
        ({"lr": 1e-2, "fields": {"lr": 1e-3}}, "lr is given twice"),
        ({"fields": {"learning_rate": 1e-3}}, "did you mean lr"),
        ({"split": "half"}, "50/25/25"),
        ({"split": ["auto", "a.json"]}, "one split.json"),
        ({"split": "a.json", "split_file": "b.json"}, "both name a file"),
        ({"seeds": [1, 2]}, "seeds takes one value"),
    ],
)
def test_what_could_mean_two_things_or_nothing_is_refused(options, message):
    with pytest.raises(segstudy.UserError, match=message):
        described("synthetic", {**ONE, **options})


@pytest.mark.parametrize("budget", ["epochs", "steps"])
def test_a_number_of_epochs_or_steps_is_the_budget(budget):
    (found,) = configurations("synthetic", **ONE, **{budget: 7})
    assert (found["budget"], found[budget]) == (budget, 7)
    (found,) = configurations("synthetic", **ONE, epochs=7, steps=9, budget="steps")
    assert (found["budget"], found["epochs"], found["steps"]) == ("steps", 7, 9)
    with pytest.raises(segstudy.UserError, match="one of them is the budget"):
        configurations("synthetic", **ONE, epochs=7, steps=9)


def test_a_split_may_be_a_file(tmp_path):
    file = tmp_path / "split.json"
    file.write_text("{}")
    assert described("synthetic", {"split": file})[0].split_file == str(file)
    assert described("synthetic", {"split": str(file)})[0].split_file == str(file)
    assert described("synthetic", {"split_file": str(file)})[0].split_file == str(file)


@pytest.mark.slow
def test_plan_plans_what_it_is_told(tmp_path):
    data = write_dataset(tmp_path / "discs", n=12)
    quick = {"protocol": "quick", "image_size": 32, "width": 2, "epochs": 1}
    planned, missing, _, _ = segstudy.plan(data, **ONE, **quick, lr=[1e-2, 1e-3], optimizer="sgd", seeds=5)
    assert len(missing) == 10
    assert {run.configuration.protocol.lr for run in planned.runs} == {1e-2, 1e-3}
    assert {run.configuration.protocol.optimizer for run in planned.runs} == {"sgd"}


def test_more_than_two_hours_do_not_start_by_themselves(tmp_path, monkeypatch, no_report):
    monkeypatch.setattr("segstudy.study.run.ASK_ABOVE_HOURS", 0.0)
    data = write_dataset(tmp_path / "discs", n=12)
    quick = {**ONE, "protocol": "quick", "image_size": 32, "width": 2, "epochs": 1, "executor": "serial"}
    out = tmp_path / "study"
    with pytest.raises(segstudy.UserError, match="yes=True"):
        segstudy.run(data, out=out, **quick)
    with pytest.raises(segstudy.UserError, match="yes=True"):
        segstudy.run(data, out=out, **quick, confirm=lambda _: False)
    assert not Path(out).exists()
    segstudy.run(data, out=out, **quick, yes=True)
    assert segstudy.status(out).num_finished == 1


def test_a_predictor_takes_its_settings_once():
    with pytest.raises(segstudy.UserError, match="not both"):
        segstudy.Predictor("x", Settings(tta=True), threshold=0.3)
    with pytest.raises(segstudy.UserError, match="open already"):
        segstudy.Predictor([], engine="torch")


class MyNet:
    """Stands for a network of one's own, given as it is."""


@pytest.mark.parametrize(
    ("field", "value", "written"),
    [
        ("architecture", MyNet, "test_arguments.py:MyNet"),
        ("architecture", ["unet", MyNet], "test_arguments.py:MyNet"),
        ("loss", test_a_split_may_be_a_file, "test_arguments.py:test_a_split_may_be_a_file"),
        ("loss", lambda logits, _: logits, "test_arguments.py:Name"),
        ("architecture", np.vectorize(abs), "vectorize"),
    ],
)
def test_a_class_in_the_place_of_its_name_gets_the_name_to_write(field, value, written):
    with pytest.raises(segstudy.UserError, match=f"is given by name, .* write {field}=.*{written}"):
        segstudy.plan("synthetic", **{field: value})


def test_a_class_of_a_notebook_is_to_be_saved(monkeypatch):
    monkeypatch.setattr(MyNet, "__module__", "__main__")
    with pytest.raises(
        segstudy.UserError, match=r'save it in a file, my\.py, and write architecture="my\.py:MyNet"'
    ):
        segstudy.plan("synthetic", architecture=MyNet)
