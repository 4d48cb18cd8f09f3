"""Models whose files were altered are noticed: remade where that can be, else refused, in every use."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
from PIL import Image
from places import TESTS

import segstudy
from segstudy.cli.studies import main
from segstudy.core.checksums import sha256_of
from segstudy.core.errors import UserError
from segstudy.deploy.engines.exported import open_exported
from segstudy.deploy.file_kinds import FILE_KINDS
from segstudy.deploy.file_kinds.checksums import DIGITS, has_right_checksum, is_sound
from segstudy.deploy.predict.load import models_of, open_model
from segstudy.deploy.predict.predictor import Predictor

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
FLIPS = 400
NOISE = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)


@pytest.fixture
def study(trained_study, tmp_path) -> Path:
    return shutil.copytree(trained_study, tmp_path / "study")


def best_run(study: Path) -> Path:
    best = models_of(study).best()
    return best.folder(best.records()[0])


def flip_signs(file: Path) -> None:
    """Sign bits of float32 weights, spread over the file."""
    content = bytearray(file.read_bytes())
    for at in np.linspace(len(content) // 2, len(content) - 4, FLIPS).astype(int):
        content[4 * (at // 4) + 3] ^= 0x80
    file.write_bytes(content)


def flip_weights(folder: Path) -> None:
    weights = safetensors.numpy.load_file(folder / "model.safetensors")
    safetensors.numpy.save_file(
        {name: np.asarray(-array) for name, array in weights.items()}, folder / "model.safetensors"
    )


def without_hash(folder: Path) -> None:
    """The card as an older version wrote it."""
    card = json.loads((folder / "model.json").read_text())
    del card["weights_sha256"]
    (folder / "model.json").write_text(json.dumps(card))


def uses(model: Path, study: Path, data: Path, tmp_path: Path):
    picture = study / "none.png"
    return {
        "predict": lambda: segstudy.predict(model, data / "images" / "disc00.png", tmp_path / "out"),
        "Predictor": lambda: Predictor(model),
        "torch": lambda: Predictor(model, engine="torch"),
        "serve": lambda: segstudy.serve(model, port=0),
        "card": lambda: segstudy.card(model),
        "export": lambda: segstudy.export(model, "onnx", out=tmp_path / "m.onnx", data=data),
        "evaluate": lambda: segstudy.evaluate(model, picture.parent / "unseen"),
    }


def test_altered_weights_are_refused_in_every_use(study, trained_study, tmp_path):
    from small import write_dataset

    write_dataset(study / "unseen", n=3, seed=9)
    run = best_run(study)
    Predictor(run)  # its network is in the cache by now
    flip_weights(run)
    for name, use in uses(run, study, trained_study.parent / "discs", tmp_path).items():
        with pytest.raises(UserError, match=r"model\.safetensors: was altered") as refused:
            use()
        assert "run.json" in str(refused.value), name


def test_an_altered_card_is_refused_beside_its_run_json(study):
    run = best_run(study)
    card = json.loads((run / "model.json").read_text())
    (run / "model.json").write_text(json.dumps(card | {"resize": "pad"}))
    for engine in ("torch", "auto"):
        with pytest.raises(UserError, match=r"model\.json: was altered"):
            Predictor(run, engine=engine)


def test_the_card_alone_tells_altered_weights(study, tmp_path):
    run = best_run(study)
    for name in ("model.json", "model.safetensors"):
        shutil.copy(run / name, tmp_path)
    Predictor(tmp_path)
    flip_weights(tmp_path)
    with pytest.raises(UserError, match=r"was altered .* the one in model\.json"):
        Predictor(tmp_path)


@pytest.mark.slow
def test_an_older_card_is_checked_by_run_json_or_says_that_it_is_unchecked(study, tmp_path, capsys):
    run = best_run(study)
    without_hash(run)
    record = json.loads((run / "run.json").read_text())
    record["sha256"]["model.json"] = sha256_of(run / "model.json")
    (run / "run.json").write_text(json.dumps(record))
    image = tmp_path / "x.png"
    Image.fromarray(NOISE).save(image)

    def called(out: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["predict", str(run), str(image), "--out", str(tmp_path / out)])
        return int(ended.value.code or 0), capsys.readouterr().err

    code, said = called("a")
    assert code == 0
    assert "unchecked" not in said
    (run / "run.json").rename(tmp_path / "run.json")
    code, said = called("b")
    assert code == 0
    (line,) = [line for line in said.splitlines() if "unchecked" in line]
    assert "model.safetensors" in line
    (tmp_path / "run.json").rename(run / "run.json")
    flip_weights(run)
    code, said = called("c")
    assert code == 2
    assert "was altered" in said


@pytest.mark.slow
def test_an_older_version_s_study_still_opens(tmp_path):
    study = shutil.copytree(TESTS / "references" / "study-of-0.1", tmp_path / "study")
    assert Predictor(study)(NOISE).mask.shape == (40, 48)


@pytest.mark.parametrize(
    ("engine", "damage"),
    [
        ("openvino", "bits"),
        pytest.param("onnxruntime", "metadata", marks=pytest.mark.slow),
        pytest.param("openvino", "no weights", marks=pytest.mark.slow),
        pytest.param("onnxruntime", "cut", marks=pytest.mark.slow),
    ],
)
def test_an_altered_network_in_the_cache_is_made_again(
    trained_study, tmp_path, monkeypatch, caplog, engine, damage
):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    expected = Predictor(trained_study, engine=engine, precision="float32")(NOISE).probability
    (folder,) = (tmp_path / "cache" / "networks").iterdir()
    model = folder / ("model.xml" if engine == "openvino" else "model.onnx")
    weights = model.with_suffix(".bin") if engine == "openvino" else model
    match damage:
        case "bits":
            flip_signs(weights)
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "metadata":
            content = model.read_bytes()
            assert b"threshold" in content
            model.write_bytes(content.replace(b"squash", b"squish"))
        case "no weights":
            weights.unlink()
    found = Predictor(trained_study, engine=engine, precision="float32")(NOISE).probability
    assert np.array_equal(found, expected)
    assert is_sound(model)
    assert "converted again" in caplog.text


def test_an_altered_exported_file_is_refused(exported_model, exported_openvino, tmp_path):
    for damage in ("weights", "metadata", "checksum"):
        place = tmp_path / damage
        place.mkdir()
        file = Path(shutil.copy(exported_model, place / "m.onnx"))
        graph, weights = (
            Path(shutil.copy(exported_openvino.with_suffix(s), place / f"m{s}")) for s in (".xml", ".bin")
        )
        if damage == "weights":
            flip_signs(file)
            flip_signs(weights)
        elif damage == "metadata":
            for each in (file, graph):
                each.write_bytes(each.read_bytes().replace(b"squash", b"squish"))
        else:  # taken away
            for each in (file, graph):
                before, after = FILE_KINDS[each.suffix].checksum
                each.write_bytes(each.read_bytes()[: -len(before) - DIGITS - len(after)])
        for each in (file, graph):
            for use in (open_exported, segstudy.card, Predictor):
                with pytest.raises(UserError, match="altered"):
                    use(each)


def test_an_onnx_file_saved_again_is_sound_and_one_with_other_weights_is_not(exported_model, tmp_path):
    model = onnx.load(exported_model)
    onnx.save(model, tmp_path / "again.onnx")
    assert has_right_checksum(tmp_path / "again.onnx")
    weights = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weights.raw_data = bytes(len(weights.raw_data))
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(UserError, match="altered"):
        open_exported(tmp_path / "other.onnx")


def test_an_older_exported_file_says_that_it_is_unchecked(exported_model, tmp_path, caplog):
    model = onnx.load(exported_model)
    (package,) = [each for each in model.metadata_props if each.key == "segstudy"]
    content = json.loads(package.value)
    del content["has_checksum"], content["card"]["weights_sha256"]
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {"segstudy": json.dumps(content)})
    onnx.save(model, tmp_path / "older.onnx")
    assert open_model(tmp_path / "older.onnx")[0].package is not None
    assert "older.onnx: unchecked" in caplog.text


def test_models_without_alterations_say_nothing(trained_study, exported_model, exported_openvino, caplog):
    for model in (trained_study, best_run(trained_study), exported_model, exported_openvino):
        Predictor(model)
        segstudy.card(model)
    assert not caplog.text
