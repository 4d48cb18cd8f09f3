"""A network from one's own file stays a model: by the file that its user names, or by its model.onnx."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from empty_reports import empty_reports
from own_study import train
from places import TESTS
from small import write_dataset

import segstudy
from segstudy.cli.studies import main
from segstudy.core import libraries
from segstudy.core.errors import UserError
from segstudy.deploy.export import own_networks
from segstudy.deploy.predict.predictor import Predictor
from segstudy.store.folder import StudyFolder

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
NOISE = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two runs, exported in this process: a process of its own imports the exporter again, for seconds."""
    folder = tmp_path_factory.mktemp("own")

    def here(place: Path, architecture: str, _: int) -> str:
        own_networks._make_or_say_why(place, architecture)
        return ""

    with pytest.MonkeyPatch.context() as patch, empty_reports():
        patch.setattr(own_networks, "_run", here)
        train(folder, ["Net", "Branch"])
    return folder


def run_of(study: Path, architecture: str) -> Path:
    home = StudyFolder(study)
    (key,) = (r.key for r in home.run_records(home.finished()) if r.architecture.startswith(architecture))
    return home.runs / key


@pytest.fixture
def net(place) -> Path:
    return run_of(place / "study", "my.py:Net")


@pytest.fixture
def branch(place) -> Path:
    return run_of(place / "study", "my.py:Branch")


def test_a_run_keeps_its_network_without_its_code(net, place):
    record = json.loads((net / "run.json").read_text())
    assert record["onnx"]["stored"]
    assert record["onnx"]["flipped_frac"] <= 1e-4
    assert "model.onnx" in record["sha256"]
    by_file = Predictor(net, network=f"{place}/my.py:Net", precision="float32")(NOISE)
    stored = Predictor(net)(NOISE)
    np.testing.assert_allclose(stored.probability, by_file.probability, atol=1e-5)
    alone = Predictor(net / "model.onnx")(NOISE)
    assert np.array_equal(alone.probability, stored.probability)
    assert not segstudy.verify(place / "study").faults


def test_nothing_in_it_says_where_it_comes_from(net, place):
    model = onnx.load(net / "model.onnx")
    content = (net / "model.onnx").read_bytes()
    for word in (str(place), "stack_trace", "site-packages", "class_hierarchy", "in forward"):
        assert word.encode() not in content, word
    assert {each.key for each in model.metadata_props} == {"segstudy", "segstudy_sha256"}


def test_the_run_folder_s_code_is_never_run(net, branch, tmp_path, monkeypatch):
    """A my.py in the current folder, beside the model, or where the study was."""
    for run in (net, branch):
        copy = shutil.copytree(run, tmp_path / run.name)
        for folder in (copy, tmp_path):
            (folder / "my.py").write_text(
                f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n"
            )
        monkeypatch.chdir(tmp_path)
        if run == net:
            Predictor(copy)
        else:
            with pytest.raises(UserError, match=r"runs no code .* --network my\.py:Branch"):
                Predictor(copy)
    assert not (tmp_path / "ran").exists()


def test_without_model_onnx_the_run_is_finished_and_says_why(branch, place):
    record = json.loads((branch / "run.json").read_text())
    assert not record["onnx"]["stored"]
    assert "cannot be exported" in record["onnx"]["reason"]
    assert "data-dependent" in record["onnx"]["reason"]
    assert not (branch / "model.onnx").exists()
    assert Predictor(branch, network=f"{place}/my.py:Branch")(NOISE).mask.shape == (40, 48)


def test_what_it_draws_outside_of_its_state_is_drawn_again(net, place, tmp_path):
    """Also where the file has another name by now: the stored probabilities are met."""
    shutil.copy(place / "my.py", tmp_path / "renamed.py")
    found = Predictor(net, network=f"{tmp_path}/renamed.py:Net", precision="float32")(NOISE)
    np.testing.assert_allclose(found.probability, Predictor(net)(NOISE).probability, atol=1e-5)


def test_only_the_source_it_was_trained_with_is_accepted_and_run(branch, place, tmp_path):
    (tmp_path / "my.py").write_text(
        (place / "my.py").read_text()
        + f"\nfrom pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n"
    )
    for use in (
        lambda network: Predictor(branch, network=network),
        lambda network: segstudy.card(branch, network=network),
        lambda network: segstudy.export(branch, "onnx", network=network, out=tmp_path / "m.onnx"),
        lambda network: segstudy.evaluate(branch, write_dataset(tmp_path / "d", 2, seed=55), network=network),
        lambda network: segstudy.serve(branch, network=network),
    ):
        with pytest.raises(
            UserError, match=r"is another version than the model was trained with .* begins with"
        ):
            use(f"{tmp_path}/my.py:Branch")
        shutil.rmtree(tmp_path / "d", ignore_errors=True)
    assert not (tmp_path / "ran").exists()
    for wrong, said in (
        ("unet", "name the file too"),
        (f"{tmp_path}/gone.py:Branch", "is not a file"),
        (f"{place}/my.py:Net", r"was trained with my\.py:Branch"),
        (f"{place}/my.py:Branch:depth=5", r"was trained with my\.py:Branch"),
    ):
        with pytest.raises(UserError, match=said):
            Predictor(branch, network=wrong)


def test_our_own_networks_and_exported_files_take_no_network(trained_study, exported_model, place):
    for model in (trained_study, exported_model):
        with pytest.raises(UserError, match="omit --network"):
            Predictor(model, network=f"{place}/my.py:Net")


@pytest.mark.slow
def test_every_command_takes_it(branch, net, place, tmp_path, capsys):
    network = f"{place}/my.py:Branch"
    image = next((place / "discs" / "images").iterdir())
    unseen = write_dataset(tmp_path / "unseen", n=3, seed=77)
    commands = {
        "predict": ["predict", str(branch), str(image), "--out", str(tmp_path / "out"), "--network", network],
        "evaluate": ["evaluate", str(branch), str(unseen), "--network", network],
        "card": ["card", str(branch), "--network", network],
        "evaluate by model.onnx": ["evaluate", str(net), str(unseen)],
        "export of model.onnx": ["export", str(net), "--to", "openvino", "--out", str(tmp_path / "m.xml")],
    }
    for name, words in commands.items():
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0, (name, capsys.readouterr().err)
    with pytest.raises(SystemExit) as ended:
        main(["export", str(branch), "--to", "onnx", "--out", str(tmp_path / "b.onnx"), "--network", network])
    assert ended.value.code == 2
    assert "cannot be exported" in capsys.readouterr().err


def test_evaluate_gives_the_same_by_both(net, place, tmp_path):
    unseen = write_dataset(tmp_path / "unseen", n=3, seed=78)
    by_file = segstudy.evaluate(net, unseen, network=f"{place}/my.py:Net", name="by file")
    stored = segstudy.evaluate(net, unseen, name="stored")
    mine, theirs = (each["scores"]["test"]["iou"] for each in (by_file, stored))
    assert mine["mean"] == pytest.approx(theirs["mean"], abs=1e-3)


@pytest.mark.slow
def test_a_study_that_an_own_network_wins_has_a_model(tmp_path):
    study = train(tmp_path, ["Net"])
    assert Predictor(study)(NOISE).mask.shape == (40, 48)
    exported = segstudy.export(study, "onnx")
    assert ":" not in exported.file.name
    assert Predictor(exported.file)(NOISE).mask.shape == (40, 48)


def test_an_altered_model_onnx_is_refused(net, place, tmp_path):
    copy = shutil.copytree(net, tmp_path / "run")
    model = onnx.load(copy / "model.onnx")
    weights = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weights.raw_data = bytes(len(weights.raw_data))
    onnx.save(model, copy / "model.onnx")
    with pytest.raises(UserError, match=r"model\.onnx: .*altered"):
        Predictor(copy)
    (copy / "run.json").unlink()
    with pytest.raises(UserError, match=r"model\.onnx: .*altered"):
        Predictor(copy)


@pytest.mark.slow
def test_equal_runs_are_equal_in_every_byte(net, place, tmp_path):
    """Trained from two folders, in two processes, with other hashes of text; exported in yet others."""
    first, again = (trained_elsewhere(tmp_path / seed, place, seed) for seed in ("4711", "4712"))
    names = sorted(file.name for file in again.iterdir())
    assert (
        names == sorted(file.name for file in first.iterdir()) == sorted(file.name for file in net.iterdir())
    )
    assert "model.onnx" in names
    assert {first.name, again.name} == {net.name}
    for name in names:
        if name != "run.json":
            assert (again / name).read_bytes() == (first / name).read_bytes(), name
        if name not in ("run.json", "model.onnx"):
            assert (again / name).read_bytes() == (net / name).read_bytes(), name


def trained_elsewhere(folder: Path, place: Path, hash_seed: str) -> Path:
    folder.mkdir()
    shutil.copy(place / "my.py", folder / "my.py")
    code = (
        "import sys; sys.path.insert(0, {tests!r}); from pathlib import Path; from own_study import train; "
        "train(Path({here!r}), ['Net'], 'other', Path({data!r}))"
    ).format(tests=str(TESTS), here=str(folder), data=str(place / "discs"))
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=folder, capture_output=True)
    (run,) = (folder / "other" / "runs").iterdir()
    return run


def test_without_the_extra_a_run_is_finished_and_says_why(monkeypatch):
    from types import SimpleNamespace

    run = SimpleNamespace(
        configuration=SimpleNamespace(architecture="/x/my.py:Net"), numerics={"architecture": "0123"}
    )
    trained = SimpleNamespace(
        run=run, files={}, images=lambda _: np.zeros((2, 32, 32, 3), np.uint8), threads=1
    )
    monkeypatch.setattr(libraries, "find_spec", lambda name: None if name == "onnxscript" else True)
    files, fields, said = own_networks.own_onnx(trained)
    assert not files
    assert fields["onnx"]["reason"] == "onnxscript not installed; pip install 'segstudy[export]'"
    assert "--network my.py:Net" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("import os; os._exit(3)", "ended with exit code 3"),
        ("import time; time.sleep(60)", "took longer than"),
        ("raise ValueError('no such thing')", "no such thing"),
    ],
)
def test_an_exporter_that_crashes_or_never_ends_costs_the_file_alone(
    tmp_path, monkeypatch, body, reason, net
):
    """The network's own file misbehaves when it is read again."""
    from types import SimpleNamespace

    (tmp_path / "my.py").write_text(body)
    files = {name: (net / name).read_bytes() for name in ("model.json", "model.safetensors")}
    card = json.loads(files["model.json"])
    from segstudy.core.registry import parse, source_hash

    card["training"]["numerics"]["architecture"] = source_hash(parse(f"{tmp_path}/my.py:Net"))
    files["model.json"] = json.dumps(card).encode()
    run = SimpleNamespace(
        configuration=SimpleNamespace(architecture=f"{tmp_path}/my.py:Net"), numerics={"architecture": "0123"}
    )
    trained = SimpleNamespace(
        run=run, files=files, images=lambda _: np.zeros((2, 32, 32, 3), np.uint8), threads=1
    )
    if "sleep" in body:
        monkeypatch.setattr(own_networks, "LIMIT_S", 3.0)
    made, fields, _ = own_networks.own_onnx(trained)
    assert not made
    assert re.search(reason, fields["onnx"]["reason"])
