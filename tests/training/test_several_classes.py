"""A training of several classes: what it stores, that it resumes without a difference, and that it learns."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from places import TESTS
from resumed_training import through_a_file
from small import CLASSES, write_classes

from segstudy.config.protocol import Protocol
from segstudy.config.runs import Configuration, Run
from segstudy.core.device import reproducible
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.split import make_split
from segstudy.store.probability_maps import probability_map
from segstudy.training.class_pixels import class_pixels
from segstudy.training.loop import train

CPU = torch.device("cpu")
WAYS = {
    "multiclass": ({}, {"classes": CLASSES}),
    "multiclass, ignored": ({"void": True}, {"classes": CLASSES, "ignore": 255}),
    "multilabel": ({"overlapping": True}, {"classes": "disc,cup"}),
    "binary, ignored": ({"void": True}, {"foreground": (1, 2), "ignore": 255}),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Prepared samples and their split, by way."""
    made = {}
    for way, (how, fields) in WAYS.items():
        samples = read(write_classes(tmp_path_factory.mktemp("eyes") / "set", 16, **how)).samples
        meaning = Protocol(**fields).mask_meaning()
        prepared = open_prepared(prepare(samples, fingerprint(samples), (32, 32), "squash", meaning))
        made[way] = prepared, make_split(samples, "50/25/25", 0)
    return made


def planned(way, loss="combo", architecture="unet", **fields):
    usual = {"image_size": 32, "width": 4, "epochs": 2, "batch_size": 4}
    protocol = Protocol(**{**usual, **WAYS[way][1], **fields})
    configuration = Configuration(architecture=architecture, loss=loss, protocol=protocol)
    return Run(configuration=configuration, seed=0, fold=None, data="d", split="s", numerics={})


@pytest.fixture(scope="module")
def results(data):
    with reproducible(1):
        return {way: train(planned(way, augmentation="full"), *data[way], CPU) for way in WAYS}


def same(a, b):
    tables = ("epochs", "images", "classes", "predictions", "probabilities")
    pairs = [(getattr(a, name), getattr(b, name)) for name in tables]
    return all((x is None and y is None) or x.equals(y) for x, y in pairs) and all(
        torch.equal(a.weights[name], b.weights[name]) for name in a.weights
    )


@pytest.mark.parametrize("way", WAYS)
def test_golden_losses(results, way):
    """As those of one foreground, see ``test_loop``."""
    golden = json.loads((TESTS / "golden_losses.json").read_text())[way]
    for column, values in golden.items():
        found = results[way].epochs[column].to_list()
        np.testing.assert_allclose(found, values, rtol=2e-3, err_msg=column)


@pytest.mark.parametrize("way", WAYS)
def test_predictions_hold_the_probabilities_of_all_classes(data, results, way):
    outputs = data[way][0].outputs
    for png in results[way].predictions["prob"]:
        prob = probability_map(png, outputs)
        assert prob.shape == outputs.prob_shape(32, 32)
        if outputs.task == "multiclass":
            np.testing.assert_allclose(prob.sum(0), 1, atol=2 / 255)


@pytest.mark.parametrize("way", WAYS)
def test_a_row_per_image_and_class_where_there_are_several(data, results, way):
    result, outputs = results[way], data[way][0].outputs
    if outputs.task == "binary":
        assert result.classes is None
        return
    assert result.classes.height == result.images.height * len(outputs.names)
    assert result.classes["class"].unique(maintain_order=True).to_list() == list(outputs.names)
    assert result.classes["id"].unique(maintain_order=True).to_list() == result.images["id"].to_list()


@pytest.mark.parametrize("way", WAYS)
def test_thresholds_and_counts_of_probabilities_are_those_of_one_foreground(data, results, way):
    is_binary = data[way][0].outputs.task == "binary"
    assert (results[way].tuned_threshold is not None) == is_binary
    assert (results[way].probabilities is not None) == is_binary
    assert ("native_iou_tuned" in results[way].images.columns) == is_binary


@pytest.mark.parametrize("way", ["multiclass", "multilabel"])
def test_the_iou_of_an_image_is_the_mean_over_its_scored_classes(data, results, way):
    outputs = data[way][0].outputs
    scored = [outputs.names[number] for number in outputs.scored]
    present = pl.col("class").is_in(scored) & (pl.col("in_truth") | pl.col("in_prediction"))
    means = (
        results[way]
        .classes.group_by("part", "id", maintain_order=True)
        .agg(pl.col("native_iou").filter(present).mean().fill_null(1.0))
    )
    np.testing.assert_allclose(means["native_iou"], results[way].images["native_iou"], rtol=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_the_validation_iou_of_the_selected_epoch_is_that_of_its_images(results, way):
    result = results[way]
    of_epoch = result.epochs.filter(pl.col("epoch") == result.selected_epoch)["validation_iou"].item()
    rows = result.images.filter(pl.col("part") == "validation")
    assert rows["network_iou"].mean() == pytest.approx(of_epoch, abs=1e-9)


@pytest.mark.parametrize("way", ["multiclass, ignored", "multilabel"])
def test_a_training_resumed_after_every_epoch_ends_as_if_never_stopped(data, results, tmp_path, way):
    resumed, sessions = through_a_file(data[way], planned(way, augmentation="full"), tmp_path)
    assert sessions == 2
    assert same(resumed, results[way])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", ["bce", "focal", "dice", "tversky", "combo", "dice+0.01*boundary"])
@pytest.mark.slow
def test_every_loss_learns_every_task(data, way, loss):
    result = train(planned(way, loss, epochs=25, lr=0.01, width=8), *data[way], CPU)
    found = result.epochs["train_iou"].to_list()
    assert max(found) > 0.8 > found[0]


def test_balanced_weights_follow_from_the_training_masks(data):
    prepared, split = data["multiclass, ignored"]
    positions = prepared.positions(split.train)
    masks = np.stack([prepared.masks[int(i)] for i in positions])
    assert class_pixels(prepared, positions) == [int((masks == number).sum()) for number in range(3)]
    run = planned("multiclass, ignored", loss="bce", class_weights="balanced")
    plain = planned("multiclass, ignored", loss="bce")
    with reproducible(1):
        assert not same(train(run, prepared, split, CPU), train(plain, prepared, split, CPU))
