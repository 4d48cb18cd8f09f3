"""A network of an installed package is compared like ours, and stays a model: by name or model.onnx."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import segstudy
from segstudy.cli.studies import main
from segstudy.core.errors import UserError
from segstudy.deploy.predict.predictor import Predictor
from segstudy.models import build
from segstudy.store.folder import StudyFolder

pytest.importorskip("monai", reason="the network of these tests is MONAI's: pip install monai")
pytestmark = pytest.mark.filterwarnings("ignore")  # exporters and MONAI warn of what is none of ours

NAME = "monai.networks.nets:BasicUNetPlusPlus"
OPTIONS = "spatial_dims=2:in_channels=3:out_channels=1:features=[4,4,8,8,16,4]"
NETWORK = f"{NAME}:{OPTIONS}"
NOISE = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
SMALL = ["--image-size", "32", "--epochs", "2", "--batch-size", "4", "--width", "2", "--workers", "1"]


def called(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Trained by the command line on the synthetic set, in a folder with a module of the package's name."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "monai.py").write_text("raise RuntimeError('imported from the current folder')\n")
    words = ["synthetic:n=24", "--architecture", NETWORK, "--loss", "dice", *SMALL]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert called("run", *words, "--out", folder / "study", "--no-images") == 0
    return folder / "study"


@pytest.fixture
def run(study) -> Path:
    home = StudyFolder(study)
    (key,) = home.finished()
    return home.runs / key


@pytest.mark.slow
def test_key_and_card_name_the_package_its_version_and_the_file_s_hash(run):
    card = json.loads((run / "model.json").read_text())
    assert (
        card["architecture"] == f"{NAME}:features=[4,4,8,8,16,4]:in_channels=3:out_channels=1:spatial_dims=2"
    )
    package, found, content = card["training"]["numerics"]["architecture"].split()
    assert (package, found, len(content)) == ("monai", version("monai"), 16)


@pytest.mark.slow
def test_the_weights_fit_the_network_as_its_authors_know_it(run):
    import safetensors.torch
    from monai.networks.nets import BasicUNetPlusPlus

    weights = safetensors.torch.load_file(run / "model.safetensors")
    BasicUNetPlusPlus(2, 3, 1, features=(4, 4, 8, 8, 16, 4)).load_state_dict(weights)


def test_a_list_of_one_tensor_is_that_tensor_and_several_are_refused():
    import torch

    image = torch.rand(1, 3, 33, 47)
    assert build(NETWORK, 2, seed=0)(image).shape == (1, 1, 33, 47)
    with pytest.raises(
        UserError, match=r"BasicUNetPlusPlus must give one tensor, got 4 outputs: choose one by"
    ):
        build(f"{NETWORK}:deep_supervision=true", 2, seed=0)(image)


@pytest.mark.slow
def test_several_outputs_are_refused_before_anything_is_trained(tmp_path, capsys):
    words = ["synthetic:n=24", "--architecture", f"{NETWORK}:deep_supervision=true", "--loss", "dice", *SMALL]
    assert called("run", *words, "--out", tmp_path / "study") == 2
    assert "must give one tensor, got 4 outputs" in capsys.readouterr().err
    assert not list((tmp_path / "study").glob("runs/*"))


@pytest.mark.slow
def test_what_is_no_network_is_refused(tmp_path, capsys):
    assert called("plan", "synthetic:n=24", "--architecture", "numpy:hanning:M=3", *SMALL) == 2
    assert "numpy:hanning must give a network (a torch.nn.Module), got ndarray" in capsys.readouterr().err


@pytest.mark.slow
def test_it_predicts_by_its_model_onnx_and_by_its_name_alike(study, run, tmp_path):
    assert json.loads((run / "run.json").read_text())["onnx"]["stored"]
    stored = Predictor(study)(NOISE)
    by_name = Predictor(run, network=NAME, precision="float32")(NOISE)
    np.testing.assert_allclose(stored.probability, by_name.probability, atol=1e-5)
    image = tmp_path / "image.png"
    from PIL import Image

    Image.fromarray(NOISE).save(image)
    for more in ([], ["--network", NAME]):
        assert called("predict", study, image, "--out", tmp_path / f"masks{len(more)}", *more) == 0
    assert (tmp_path / "masks0" / "image.png").is_file() or list((tmp_path / "masks0").iterdir())


@pytest.mark.slow
def test_it_is_exported(study, tmp_path):
    for form, name in (("onnx", "model.onnx"), ("openvino", "model.xml")):
        assert called("export", study, "--to", form, "--out", tmp_path / name, "--network", NAME) == 0
        assert Predictor(tmp_path / name)(NOISE).mask.shape == (40, 48)


@pytest.mark.slow
def test_without_model_onnx_it_has_to_be_named(run, tmp_path):
    """Else a model's folder could have any function called that is installed."""
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "model.onnx").unlink()
    (copy / "run.json").unlink()
    with pytest.raises(
        UserError, match=rf"an installed package, and segstudy runs no code .* --network {NAME}$"
    ):
        Predictor(copy)
    assert Predictor(copy, network=NAME)(NOISE).mask.shape == (40, 48)
    for wrong, said in {
        "unet": "was trained with monai",
        "monai.networks.nets:BasicUNet": "was trained with monai",
        f"{NAME}:spatial_dims=3": "was trained with monai",
        "no_such_package:Net": "was trained with monai",
    }.items():
        with pytest.raises(UserError, match=said):
            Predictor(copy, network=wrong)


@pytest.mark.slow
def test_another_version_is_refused_with_the_command_that_installs_the_right_one(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "run.json").unlink()
    card = json.loads((copy / "model.json").read_text())
    card["training"]["numerics"]["architecture"] = "monai 0.1 0123456789abcdef"
    (copy / "model.json").write_text(json.dumps(card))
    with pytest.raises(
        UserError, match=r"trained with monai 0\.1 .* pip install monai==0\.1, or train it again"
    ):
        Predictor(copy, network=NAME)


@pytest.mark.slow
def test_a_finished_study_is_up_to_date_and_a_loss_may_be_a_package_s_class(study, monkeypatch, capsys):
    monkeypatch.chdir(study.parent)
    assert called("run", study, "--no-images") == 0
    assert "2 runs" not in capsys.readouterr().err
    segstudy.run(study, loss=["monai.losses:DiceLoss:sigmoid=true"], images=False)
    home = StudyFolder(study)
    losses = {record.loss for record in home.run_records(home.finished())}
    assert losses == {"dice", "monai.losses:DiceLoss:sigmoid=true"}
