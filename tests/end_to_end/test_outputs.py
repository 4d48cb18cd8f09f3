"""What a model puts out is looked at: no numbers, other shapes and other ranges make no mask in silence."""

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from onnx import helper, numpy_helper
from PIL import Image

import segstudy
from segstudy.cli.studies import main
from segstudy.core.errors import UserError
from segstudy.core.network_outputs import OutputError
from segstudy.deploy.engines.base import Network
from segstudy.deploy.engines.exported import open_exported
from segstudy.deploy.file_kinds import FILE_KINDS
from segstudy.deploy.file_kinds.checksums import with_checksum
from segstudy.deploy.predict.load import models_of
from segstudy.deploy.predict.predictor import Predictor, Settings
from segstudy.deploy.serving.app import create_app
from segstudy.evaluation.forward import Tally

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
WRONG = {
    "no numbers": (lambda p: np.full_like(p, np.nan), "not numbers"),
    "one is no number": (
        lambda p: np.where(np.arange(p.size).reshape(p.shape) == 5, np.nan, p),
        "not numbers",
    ),
    "infinite": (lambda p: np.full_like(p, np.inf), "not numbers"),
    "huge": (lambda p: np.full_like(p, 1e30), "instead of 0 to 1"),
    "below": (lambda p: p - np.float32(0.9), "instead of 0 to 1"),
    "a channel more": (lambda p: p[:, None], "shape"),
    "transposed": (lambda p: p[:, :-1], "shape"),
    "one image less": (lambda p: p[:-1], "shape"),
    "whole numbers": (lambda p: (p > 0.5).astype(np.int64), "int64"),
    "twice as exact": (lambda p: p.astype(np.float64), "float64"),
}
BRIGHT = 250


@pytest.fixture(scope="module")
def good(exported_model) -> Network:
    return open_exported(exported_model)


def red(images: np.ndarray) -> np.ndarray:
    return (images[..., 0] / np.float32(255)).astype(np.float32)


def bad_for_bright(card) -> Network:
    def forward(images: np.ndarray) -> np.ndarray:
        prob = red(images)
        prob[images.reshape(len(images), -1).mean(axis=1) > BRIGHT] = np.nan
        return prob

    return Network(card, "test", "test, float32", forward)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("tta", [False, True])
def test_wrong_outputs_are_refused(good, wrong, tta):
    change, said = WRONG[wrong]
    network = replace(good, forward=lambda images: change(red(images)))
    images = np.full((2, 32, 32, 3), 128, np.uint8)
    for networks in ([network], [good, network]):  # the mean of an ensemble hides none
        with pytest.raises(OutputError, match=said):
            Predictor(networks, Settings(tta=tta)).of_network_size(images)
    with pytest.raises(UserError, match=said):
        network.refuse_if_wrong()


def test_rounding_is_no_fault(good):
    network = replace(good, forward=lambda images: np.full(images.shape[:3], 1 + 1e-6, np.float32))
    found = network.probabilities(np.zeros((1, 32, 32, 3), np.uint8))
    assert found.max() == 1


def onnx_giving(exported: Path, to: Path, nodes: list, constants: dict[str, np.ndarray]) -> Path:
    """The exported model with its output passed through further nodes, in a file with a right checksum."""
    model = onnx.load(exported)
    graph = model.graph
    (output,) = graph.output
    last = next(node for node in graph.node if output.name in node.output)
    last.output[list(last.output).index(output.name)] = "before"
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    graph.node.extend(nodes)
    kept = [each for each in model.metadata_props if each.key == "segstudy"]
    content = {each.key: each.value for each in kept}
    del model.metadata_props[:]
    helper.set_model_props(model, content)
    to.write_bytes(with_checksum(FILE_KINDS[".onnx"], model.SerializeToString()))
    return to


@pytest.mark.parametrize(
    "number", [float("nan"), *(pytest.param(each, marks=pytest.mark.slow) for each in (1e30, -1.0))]
)
def test_an_onnx_file_that_gives_nonsense_is_refused_before_it_is_used(exported_model, tmp_path, number):
    file = onnx_giving(
        exported_model,
        tmp_path / "m.onnx",
        [helper.make_node("Mul", ["before", "number"], ["probability"])],
        {"number": np.array(number, np.float32)},
    )
    for engine in ("onnxruntime", "openvino"):
        with pytest.raises(UserError, match="gives probabilities"):
            open_exported(file, engine)
    image = tmp_path / "x.png"
    Image.new("RGB", (50, 40)).save(image)
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(file), str(image), "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert not list((tmp_path / "out").rglob("*.png"))


def test_one_image_for_which_there_is_no_mask_is_listed_and_stops_nothing(good, tmp_path):
    from segstudy.deploy.predict.folder import predict_files
    from segstudy.deploy.predict.inputs import find_images

    for name, grey in (("good", 100), ("white", 255)):
        Image.new("RGB", (50, 40), (grey,) * 3).save(tmp_path / f"{name}.png")
    predictor = Predictor([bad_for_bright(good.card)])
    found = predict_files(predictor, find_images([tmp_path]), tmp_path / "out")
    errors = {Path(row["image"]).name: row["error"] for row in found}
    assert errors["good.png"] == ""
    assert "not numbers" in errors["white.png"]
    assert [file.name for file in (tmp_path / "out" / "masks").iterdir()] == ["good.png"]


def test_a_server_says_500_for_that_image_alone(good, tmp_path):
    predictor = Predictor([bad_for_bright(good.card)])
    bodies = {}
    for grey in (100, 255):
        Image.new("RGB", (50, 40), (grey,) * 3).save(tmp_path / "x.png")
        bodies[grey] = (tmp_path / "x.png").read_bytes()
    app = create_app(predictor, 1)

    async def answers() -> list[httpx.Response]:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
        headers = {"Content-Type": "image/png"}
        async with client as each, app.router.lifespan_context(app):
            return [await each.post("/segment", content=body, headers=headers) for body in bodies.values()]

    good_one, answer = asyncio.run(answers())
    assert good_one.status_code == 200
    assert answer.status_code == 500
    assert "not numbers" in answer.json()["detail"]


def test_images_that_wait_together_keep_their_own_answers(good):
    from segstudy.deploy.serving.limits import Limits
    from segstudy.deploy.serving.service import Service

    images = np.stack([np.full((32, 32, 3), grey, np.uint8) for grey in (100, 255, 50)])
    found = Service(Predictor([bad_for_bright(good.card)]), 1, Limits())._passed(images)
    assert [isinstance(each, OutputError) for each in found] == [False, True, False]
    assert np.array_equal(found[2], red(images)[2])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_at_loading(trained_study, tmp_path, value):
    best = models_of(trained_study).best()
    run = best.folder(best.records()[0])
    weights = safetensors.torch.load_file(run / "model.safetensors")
    name = next(name for name in weights if weights[name].is_floating_point())
    weights[name].flatten()[0] = value
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors")
    card = json.loads((run / "model.json").read_text())
    import hashlib

    card["weights_sha256"] = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    (tmp_path / "model.json").write_text(json.dumps(card))
    for engine in ("torch", "auto"):
        with pytest.raises(UserError, match=f"{name}: not all weights are finite numbers"):
            Predictor(tmp_path, engine=engine)


def test_logits_that_are_no_numbers_have_no_loss_whatever_a_loss_makes_of_them():
    target = torch.ones(2, 1, 4, 4)
    logits = torch.zeros(2, 1, 4, 4)
    tally = Tally()
    tally.add(torch.tensor(0.5), logits, target)
    assert tally.score().loss == 0.5
    logits[1, 0, 2, 3] = float("nan")
    tally.add(torch.tensor(0.5), logits, target)
    assert np.isnan(tally.score().loss)


NAN_FOR_TEST = '''
from torch import nn


class Net(nn.Module):
    """No number for pictures with a bright corner; a loss of one's own does not see it."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 1, 1)

    def forward(self, x):
        logits = self.head(x)
        return logits + 0 / (x[:, :1, :1, :1] < 0.99).float()


def loss(logits, target):
    return (logits.nan_to_num() - target).square().mean()
'''


@pytest.mark.slow
def test_a_network_without_an_answer_for_a_test_image_diverged(tmp_path, monkeypatch):
    """Validation is fine: before, its test images would have been scored as empty masks."""
    monkeypatch.setattr("segstudy.study.run.EXTRA", None)  # no model.onnx: seconds
    from small import TINY, write_dataset

    data = write_dataset(tmp_path / "discs", n=12)
    (tmp_path / "my.py").write_text(NAN_FOR_TEST)
    study = {"architecture": f"{tmp_path}/my.py:Net", "loss": f"{tmp_path}/my.py:loss", "batch_size": [4]}
    segstudy.run(data, protocol="classic", out=tmp_path / "fine", images=False, **study, **TINY)
    assert segstudy.status(tmp_path / "fine").num_failed == 0
    split = json.loads((tmp_path / "fine" / "split.json").read_text())["splits"][0]
    for part in ("test", "validation"):
        copy = shutil.copytree(data, tmp_path / part)
        file = copy / "images" / f"{split[part][0]}.png"
        pixels = np.array(Image.open(file))
        pixels[:8, :8] = 255
        Image.fromarray(pixels).save(file)
        segstudy.run(copy, protocol="classic", out=tmp_path / f"{part}-out", images=False, **study, **TINY)
        (failed,) = segstudy.status(tmp_path / f"{part}-out").failures
        assert failed["reason"] == "diverged", part
