"""The forecast: counted images, and workers that fit into memory."""

import pytest
from small import write_dataset

from segstudy.config.protocol import Protocol
from segstudy.config.runs import Configuration
from segstudy.config.study import override, preset_study
from segstudy.core.errors import UserError
from segstudy.data.split import Split
from segstudy.study import estimate as module
from segstudy.study.estimate import estimate, images_of, timed_step
from segstudy.study.machine import Machine
from segstudy.study.network_inputs import Inputs
from segstudy.study.plan import make_plan

TWO = Machine("cpu", threads=1, workers=2, executor="processes")
SPLIT, INPUTS = Split(tuple("abcdefgh"), tuple("ijkl"), tuple("mnop")), Inputs(8, 4, 4)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)
    fields = {"image_size": [32], "width": [2], "epochs": [3], "architecture": ["unet"], "batch_size": [4]}
    return make_plan(override(preset_study("classic", "t", str(folder)), fields), TWO)


def test_images_are_counted_epoch_by_epoch():
    share = module.EVALUATION_SHARE
    quiet = Protocol(epochs=10, record_test=False)
    assert images_of(quiet, INPUTS) == pytest.approx(10 * 8 + share * (10 * 4 + 8))
    assert images_of(Protocol(epochs=10), INPUTS) == pytest.approx(10 * 8 + share * (10 * 8 + 8))
    steps = Protocol(budget="steps", steps=4, batch_size=4, record_test=False)  # two epochs of two steps
    assert images_of(steps, INPUTS) == pytest.approx(2 * 8 + share * (2 * 4 + 8))


def test_a_wider_network_takes_more_memory_and_disk():
    narrow, wide = (
        timed_step(
            Configuration(architecture="unet", loss="bce", protocol=Protocol(image_size=64, width=w)), TWO
        )
        for w in (2, 8)
    )
    assert wide.worker_bytes > 2 * narrow.worker_bytes
    assert wide.weight_bytes > 10 * narrow.weight_bytes


def test_workers_are_as_many_as_fit_into_memory(plan, monkeypatch):
    roomy = estimate(plan, plan.runs, TWO)
    assert roomy.workers == 2
    assert roomy.num_runs == len(plan.runs) == 5
    tight = int(1.5 * roomy.worker_bytes / module.MEMORY_SHARE)
    monkeypatch.setattr(module, "allowed_memory", lambda: tight)
    assert estimate(plan, plan.runs, TWO).workers == 1
    assert estimate(plan, plan.runs, TWO, fit_memory=False).workers == 2


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("nn.Conv2d(3, 2, 1)", r"maps images .* one logit per pixel"),
        ("nn.Conv2d(4, 1, 1)", r"a trial step of own.py:Net with bce failed: RuntimeError"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused_before_anything_is_written(tmp_path, network, message):
    own = tmp_path / "own.py"
    own.write_text(f"from torch import nn\ndef Net():\n    return {network}\n")
    folder = write_dataset(tmp_path / "set", n=12)
    fields = {"image_size": [32], "architecture": [f"{own}:Net"], "loss": ["bce"]}
    plan = make_plan(override(preset_study("classic", "t", str(folder)), fields), TWO)
    with pytest.raises(UserError, match=message):
        estimate(plan, plan.runs, TWO)


@pytest.mark.parametrize(
    "fields",
    [
        {"classes": "background=0,disc=1,cup=2", "class_weights": "balanced"},
        {"classes": "disc,cup"},
        {"ignore": 255},
    ],
)
def test_a_step_of_several_classes_is_timed(fields):
    protocol = Protocol(image_size=32, width=2, **fields)
    step = timed_step(Configuration(architecture="unet", loss="combo", protocol=protocol), TWO)
    assert step.seconds_per_image > 0


def test_a_network_of_another_number_of_classes_is_refused(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("from torch import nn\ndef Net():\n    return nn.Conv2d(3, 1, 1)\n")
    protocol = Protocol(image_size=32, classes="background=0,disc=1,cup=2")
    configuration = Configuration(architecture=f"{own}:Net", loss="bce", protocol=protocol)
    with pytest.raises(UserError, match="3 logits per pixel, one for each of background, disc, cup"):
        timed_step(configuration, TWO)


FIXED = "from torch import nn\ndef Net({parameters}):\n    return nn.Conv2d({number}, 1, 1)\n"


def test_a_network_of_fixed_channels_is_refused_with_what_it_needs(tmp_path):
    """It was "Given groups=1, weight of size ...", and a remedy against too little memory."""
    own = tmp_path / "own.py"

    def tried(parameters: str, number: str, channels: int, options: str = "") -> str:
        own.write_text(FIXED.format(parameters=parameters, number=number))
        protocol = Protocol(image_size=32, channels=channels)
        configuration = Configuration(architecture=f"{own}:Net{options}", loss="bce", protocol=protocol)
        with pytest.raises(UserError) as refused:
            module._tried(configuration, TWO)
        return str(refused.value)

    said = tried("", "3", 6)
    assert "takes images with 3 channels alone, and those of this study have 6" in said
    assert "parameter in_channels" in said
    assert "trial step" in tried("", "5", 6)  # it takes no colours either: another fault
    assert "leave its option in_chans out" in tried("in_chans=1", "in_chans", 6, ":in_chans=3")
    own.write_text(FIXED.format(parameters="in_channels", number="in_channels"))
    protocol = Protocol(image_size=32, channels=6)  # the remedy
    assert module._tried(Configuration(architecture=f"{own}:Net", loss="bce", protocol=protocol), TWO)


def test_predictions_of_several_classes_take_as_many_times_the_disk():
    one, three = Protocol(), Protocol(classes="background=0,disc=1,cup=2")
    found = [module._prediction_bytes(protocol, SPLIT, {}) for protocol in (one, three)]
    assert found[1] == pytest.approx(3 * found[0], rel=1e-3)


def test_predictions_of_tiles_take_the_disk_of_the_images_themselves_or_of_smaller_ones():
    sizes = dict.fromkeys("ijklmnop", (300, 400)) | {"i": (4096, 2048)}
    found = module._prediction_bytes(Protocol(image_size=64, resize="tiles"), SPLIT, sizes)
    assert found == int((7 * 300 * 400 + 1024 * 512) * module.STORED_BITS_PER_PIXEL / 8)


def test_nothing_left_costs_nothing(plan):
    nothing = estimate(plan, [], TWO)
    assert (nothing.num_runs, nothing.hours, nothing.disk_bytes) == (0, 0, 0)


def test_a_network_of_ones_own_takes_longer_to_store(plan, monkeypatch, tmp_path):
    """The same network as ours and as a user's: the other has a model.onnx made for it."""
    monkeypatch.setattr(module, "timed_step", lambda *_: module.Step(0.001, 1000, 1000))
    (tmp_path / "own.py").write_text("from segstudy.models.unet import UNet as Net")
    fields = {"architecture": ["unet", f"{tmp_path}/own.py:Net"], "loss": ["bce"]}
    both = make_plan(override(plan.study, fields), TWO)
    ours, theirs = (each.seconds for each in estimate(both, both.runs, TWO).forecast.runs.values())
    assert theirs == pytest.approx(ours + module.OWN_ONNX_S)
