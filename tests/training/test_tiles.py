"""Training on tiles of images that are not resized: what it stores, that it resumes, and that it learns."""

import numpy as np
import polars as pl
import pytest
import torch
from resumed_training import through_a_file
from small import CLASSES, write_classes
from torch import nn

from segstudy.config.protocol import Protocol
from segstudy.config.runs import Configuration, Run
from segstudy.core.device import reproducible
from segstudy.data.batches import pixels_on
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.split import make_split
from segstudy.evaluation.forward import probabilities, score_part
from segstudy.losses import build_loss
from segstudy.store.probability_maps import probability_map
from segstudy.training.loop import train

CPU = torch.device("cpu")
WAYS = {
    "binary": ({}, {"foreground": (1, 2)}),
    "multiclass, ignored": ({"void": True}, {"classes": CLASSES, "ignore": 255}),
    "multilabel": ({"overlapping": True}, {"classes": "disc,cup"}),
}
TILES = {"image_size": 32, "resize": "tiles", "overlap": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Prepared samples and their split, by way."""
    made = {}
    for way, (how, fields) in WAYS.items():
        samples = read(write_classes(tmp_path_factory.mktemp("eyes") / "set", 16, **how)).samples
        protocol = Protocol(**TILES, **fields)
        folder = prepare(samples, fingerprint(samples), (32, 32), "tiles", protocol.mask_meaning())
        made[way] = open_prepared(folder, protocol.windowing()), make_split(samples, "50/25/25", 0)
    return made


def planned(way, **fields):
    usual = {**TILES, "width": 4, "epochs": 2, "batch_size": 4}
    protocol = Protocol(**{**usual, **WAYS[way][1], **fields})
    configuration = Configuration(architecture="unet", loss="combo", protocol=protocol)
    return Run(configuration=configuration, seed=0, fold=None, data="d", split="s", numerics={})


@pytest.fixture(scope="module")
def results(data):
    with reproducible(1):
        return {way: train(planned(way, augmentation="full"), *data[way], CPU) for way in WAYS}


@pytest.mark.parametrize("way", WAYS)
def test_the_validation_iou_of_the_selected_epoch_is_that_of_its_images(results, way):
    result = results[way]
    of_epoch = result.epochs.filter(pl.col("epoch") == result.selected_epoch)["validation_iou"].item()
    rows = result.images.filter(pl.col("part") == "validation")
    assert rows["native_iou"].mean() == pytest.approx(of_epoch, abs=1e-9)
    assert rows["network_iou"].to_list() == rows["native_iou"].to_list()


@pytest.mark.parametrize("way", WAYS)
def test_predictions_are_at_the_images_own_size(data, results, way):
    prepared = data[way][0]
    for sample_id, png in results[way].predictions.select("id", "prob").iter_rows():
        native = prepared.native_sizes[prepared.ids.index(sample_id)]
        assert probability_map(png, prepared.outputs).shape == prepared.outputs.prob_shape(*native)


@pytest.mark.parametrize("way", ["binary", "multiclass, ignored"])
def test_a_training_resumed_after_every_epoch_ends_as_if_never_stopped(data, results, tmp_path, way):
    resumed, sessions = through_a_file(data[way], planned(way, augmentation="full"), tmp_path)
    assert sessions == 2
    assert resumed.epochs.equals(results[way].epochs)
    assert resumed.images.equals(results[way].images)
    assert all(torch.equal(resumed.weights[name], each) for name, each in results[way].weights.items())


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_it_learns(data, way):
    found = train(planned(way, epochs=20, lr=0.01, width=8), *data[way], CPU).epochs
    assert max(found["validation_iou"]) > 0.7 > found["validation_iou"][0]


class Brightness(nn.Module):
    """Sees every pixel alone, so that windows change nothing."""

    def forward(self, image):
        return 8 * (image.mean(1, keepdim=True) - 0.6)


def test_probabilities_are_those_of_whole_images_where_a_network_sees_pixels_alone(data):
    prepared, split = data["binary"]
    positions = prepared.positions(split.test)
    found = probabilities(Brightness(), pixels_on(prepared, CPU), positions, "float32")
    for prob, position in zip(found, positions, strict=True):
        image = torch.from_numpy(prepared.native_image(position)).permute(2, 0, 1)[None].float() / 255
        expected = torch.sigmoid(Brightness()(image))[0, 0].numpy()
        np.testing.assert_allclose(prob, expected, atol=1e-6)


def test_the_loss_is_the_mean_over_all_windows(data):
    prepared, split = data["binary"]
    positions, loss = prepared.positions(split.test), build_loss("bce")
    pixels = pixels_on(prepared, CPU)
    order = prepared.scoring_inputs(positions)
    ((image, target),) = pixels.batches(order, len(order))
    expected = loss(Brightness()(image), target).item()
    assert score_part(Brightness(), loss, pixels, positions, "float32").loss == pytest.approx(expected)


def test_logits_that_are_no_numbers_give_a_loss_that_is_none(data):
    prepared, split = data["binary"]

    class Broken(nn.Module):
        def forward(self, image):
            return image[:, :1] * float("nan")

    positions = prepared.positions(split.test)
    score = score_part(Broken(), lambda *_: torch.tensor(1.0), pixels_on(prepared, CPU), positions, "float32")
    assert np.isnan(score.loss)
