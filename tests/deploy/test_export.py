"""Exported files give PyTorch's masks, or are refused: every architecture, odd sizes, batches, INT8."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from model_study import ARCHITECTURES

import segstudy
from segstudy.core.errors import UserError
from segstudy.deploy.engines.exported import open_exported
from segstudy.deploy.engines.pytorch import open_run
from segstudy.deploy.export import FORMATS, parity
from segstudy.deploy.export.onnx import onnx_of, package_of, quantized
from segstudy.deploy.export.parity_images import prepared_for
from segstudy.store.card import parse_package
from segstudy.store.folder import StudyFolder
from segstudy.store.trained_models import Models, one_run

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
SHAPES = ((1, 32, 32), (3, 33, 47), (2, 64, 40), (1, 75, 101))


@pytest.fixture(scope="module")
def study(trained_study: Path) -> Path:
    return trained_study


def run_of(study: Path, architecture: str) -> Models:
    home = StudyFolder(study)
    (key,) = (r.key for r in home.run_records(home.finished()) if r.architecture == architecture)
    return one_run(home.runs / key)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def files(request, study, tmp_path_factory) -> tuple[Models, dict[str, Path]]:
    """One run in every format."""
    models, place = run_of(study, request.param), tmp_path_factory.mktemp(request.param)
    (record,) = models.records()
    graph = onnx_of(models.folder(record))
    prepared = prepared_for(models, record)
    made = {}
    for precision, each in (("float32", graph), ("int8", quantized(graph, np.array(prepared.images)))):
        for format_ in FORMATS.values():
            file = place / f"{precision}{format_.suffix}"
            format_.write(each, package_of(models, record, precision), file)
            made[file.name] = file
    return models, made


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_any_batch_and_size_gives_the_same_probabilities(files, shape):
    models, made = files
    (record,) = models.records()
    images = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    expected = open_run(models.folder(record), "x", "cpu", "float32").forward(images)
    assert expected.shape == shape
    for name in ("float32.onnx", "float32.xml"):
        found = open_exported(made[name], precision="float32").forward(images)
        np.testing.assert_allclose(found, expected, atol=2e-5)
    for name in ("int8.onnx", "int8.xml"):
        found = open_exported(made[name]).forward(images)
        assert found.shape == shape
        assert found.dtype == np.float32


@pytest.mark.slow
def test_int8_is_close_to_float32_at_the_trained_size(files):
    """OpenVINO's INT8 with free shapes was off by a fifth of the pixels; ours must not be."""
    models, made = files
    (record,) = models.records()
    prepared = prepared_for(models, record)
    images = np.array(prepared.images[:3])
    expected = open_run(models.folder(record), "x", "cpu", "float32").forward(images)
    for name in ("int8.onnx", "int8.xml"):
        found = open_exported(made[name]).forward(images)
        assert np.abs(found - expected).mean() < 0.05, name
        assert ((found >= 0.5) != (expected >= 0.5)).mean() < 0.05, name


@pytest.mark.slow
def test_the_file_says_what_it_is(files):
    models, made = files
    (record,) = models.records()
    for name, file in made.items():
        network = open_exported(file)
        package = network.package
        assert package is not None
        assert package.card.key == record.key
        assert package.precision == name.partition(".")[0]
        assert package.data["fingerprint"] == record.description.data
        assert package.text.startswith(f"# {models.name}")
        assert segstudy.card(file) == package.text
        assert parse_package(package.model_dump_json(), file) == package


def test_export_leaves_file_and_report(exported_openvino):
    folder = exported_openvino.parent
    assert sorted(each.name for each in folder.iterdir()) == ["m.bin", "m.xml", "m.xml.parity.json"]
    report = json.loads((folder / "m.xml.parity.json").read_text())
    assert [each["passed"] for each in report] == [True] * len(report)
    assert report[0]["flipped_frac"] <= parity.MAX_FLIPPED
    assert report[0]["engine"] == "OpenVINO, float32"


@pytest.mark.parametrize(
    ("to", "name"), [("onnx", "m.onnx"), pytest.param("openvino", "m.xml", marks=pytest.mark.slow)]
)
def test_a_file_whose_masks_differ_is_refused_and_nothing_stays(study, tmp_path, monkeypatch, to, name):
    honest = parity.open_exported

    def inverted(file, precision):
        network = honest(file, precision=precision)
        return replace(network, forward=lambda images: 1 - network.forward(images))

    monkeypatch.setattr(parity, "open_exported", inverted)
    with pytest.raises(UserError, match=r"not exported: .* of the pixels differ"):
        segstudy.export(study, to, out=tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_export_says_what_is_missing(study, tmp_path):
    with pytest.raises(UserError, match=r"must end in \.onnx"):
        segstudy.export(study, "onnx", out=tmp_path / "m.pt")
    with pytest.raises(UserError, match="--data"):
        segstudy.export(study, "onnx", data=tmp_path)
    with pytest.raises(UserError, match=r"m\.onnx: there is no folder .*nosuch; make it"):
        segstudy.export(study, "onnx", out=tmp_path / "nosuch" / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_what_is_no_exported_model_is_refused(tmp_path):
    for name, reason in (("a.onnx", "cannot be loaded"), ("a.xml", r"a\.bin: cannot be read")):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(UserError, match=reason):
            open_exported(tmp_path / name)
        with pytest.raises(UserError, match="not an exported model"):
            open_exported(tmp_path / f"gone-{name}")


def test_a_foreign_onnx_file_is_refused(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(UserError, match="was not made by `segstudy export`"):
        open_exported(tmp_path / "foreign.onnx")


def test_a_card_names_data_training_scores_and_limits(study):
    text = segstudy.card(study)
    for words in ("not a medical device", "terms of the data", "IoU |", "Environment", "Run `"):
        assert words in text
    about = json.loads(segstudy.card(study, "json"))
    assert about["scores"]["test"]["native_iou"]["mean"] is not None
    assert about["data"]["num_train"] == 12
