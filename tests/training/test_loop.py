"""The training loop: golden losses, equal bits, what is read and what is not."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from places import TESTS
from resumed_training import through_a_file
from small import write_dataset

from segstudy.config.protocol import Protocol
from segstudy.config.runs import Configuration, Run
from segstudy.core.device import reproducible
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.split import make_split
from segstudy.training.loop import (
    DivergedError,
    begin,
    epochs,
    micro_batches,
    restore,
    snapshot,
    train,
)
from segstudy.training.optimizers import make_optimizer, make_scheduler

GOLDEN = TESTS / "golden_losses.json"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    samples = read(write_dataset(tmp_path_factory.mktemp("discs") / "set")).samples
    prepared = open_prepared(prepare(samples, fingerprint(samples), (32, 32), "squash"))
    return prepared, make_split(samples, "50/25/25", 0)


def planned(architecture="unet", loss="combo", seed=0, **fields):
    protocol = Protocol(**{"image_size": 32, "width": 4, "epochs": 2, "batch_size": 3, **fields})
    configuration = Configuration(architecture=architecture, loss=loss, protocol=protocol)
    return Run(configuration=configuration, seed=seed, fold=None, data="d", split="s", numerics={})


def trained(data, *args, **fields):
    with reproducible(1):
        return train(planned(*args, **fields), *data, CPU)


def same(a, b):
    return (
        a.epochs.equals(b.epochs)
        and a.images.equals(b.images)
        and a.predictions.equals(b.predictions)
        and all(torch.equal(a.weights[name], b.weights[name]) for name in a.weights)
    )


@pytest.mark.parametrize("architecture", ["segnet", "unet", "unet2", "dilated_unet"])
def test_golden_losses(data, architecture):
    """A few steps on the CPU give the committed losses; who moves them raises a numerics integer."""
    losses = trained(data, architecture).epochs
    golden = json.loads(GOLDEN.read_text())[architecture]
    for column, values in golden.items():
        np.testing.assert_allclose(losses[column].to_list(), values, rtol=2e-3, err_msg=column)


def test_equal_seeds_give_equal_bits_and_others_do_not(data):
    assert same(trained(data), trained(data))
    assert not same(trained(data), trained(data, seed=1))


def test_what_was_drawn_before_changes_nothing(data):
    first = trained(data, augmentation="full")
    torch.rand(17)
    np.random.default_rng(3).random(5)
    trained(data, "segnet")
    assert same(first, trained(data, augmentation="full"))


def test_recording_the_test_part_changes_nothing(data):
    """Classic records test loss and IoU every epoch for diagnosis; nothing reads them."""
    without = trained(data, epochs=4, record_test=False)
    with_test = trained(data, epochs=4, record_test=True)
    assert {"test_loss", "test_iou"} == set(with_test.epochs.columns) - set(without.epochs.columns)
    assert same(without, replace(with_test, epochs=with_test.epochs.select(without.epochs.columns)))


def test_the_truth_of_the_test_part_changes_nothing_but_its_own_scores(data):
    prepared, split = data
    masks = np.array(prepared.masks)
    positions = prepared.positions(split.test)
    masks[positions] = ~masks[positions]
    honest, altered = trained(data, epochs=3), trained((replace(prepared, masks=masks), split), epochs=3)
    assert honest.selected_epoch == altered.selected_epoch
    assert honest.tuned_threshold == altered.tuned_threshold
    assert all(torch.equal(honest.weights[name], altered.weights[name]) for name in honest.weights)
    assert not honest.epochs["test_iou"].equals(altered.epochs["test_iou"])


DRIFTING = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 1, 1)
        self.register_buffer("drift", torch.tensor(150.0), persistent=False)

    def forward(self, image):
        if self.training:
            self.drift -= 100
        return self.conv(image) + self.drift
"""


def test_a_network_with_state_beside_its_weights_is_scored_as_it_is_at_the_end(data, tmp_path):
    """All is foreground after epoch 1, nothing after epoch 2; the weights of epoch 1 have no drift."""
    (tmp_path / "net.py").write_text(DRIFTING)
    result = trained(data, f"{tmp_path / 'net.py'}:Net", batch_size=64, augmentation="none")
    validation = result.epochs["validation_iou"]
    assert result.selected_epoch == 1
    assert validation[0] > 0
    assert validation[1] == 0
    assert set(result.images["network_iou"]) == {0.0}  # of both subsets


def test_the_epoch_with_the_best_validation_iou_is_kept(data):
    result = trained(data, epochs=6)
    best = result.epochs["validation_iou"].arg_max()
    assert result.selected_epoch == result.epochs["epoch"][best]
    mean = result.images.filter(pl.col("part") == "validation")["network_iou"].mean()
    assert mean == pytest.approx(result.epochs["validation_iou"][best], abs=1e-9)
    assert trained(data, epochs=3, select="last").selected_epoch == 3


def test_every_image_of_validation_and_test_has_one_row_and_one_prediction(data):
    result, (_, split) = trained(data), data
    for part in ("validation", "test"):
        assert tuple(result.images.filter(pl.col("part") == part)["id"]) == split.part(part)
    assert result.predictions["id"].equals(result.images["id"])
    assert result.images.null_count().sum_horizontal().item() == 0


def test_a_budget_of_steps_is_kept_to_the_step(data, monkeypatch):
    steps = []
    original = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self, *a: (steps.append(1), original(self, *a))[1])
    result = trained(data, budget="steps", steps=7)  # 8 images in batches of 3: 3 steps an epoch
    assert len(steps) == 7
    assert result.epochs["epoch"].to_list() == [1, 2, 3]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("scheduler", ["plateau", "cosine", "onecycle", "none"])
def test_every_optimizer_runs_with_every_scheduler(data, optimizer, scheduler):
    result = trained(data, optimizer=optimizer, scheduler=scheduler, lr=0.01)
    rates = result.epochs["lr"].to_list()
    assert result.epochs["train_loss"].is_finite().all()
    assert (rates[1] != rates[0]) == (scheduler in ("cosine", "onecycle"))


def test_the_plateau_halves_the_rate_after_more_than_patience_bad_epochs():
    """Factor .5, threshold .005, patience 3: the fourth epoch without improvement halves."""
    model = torch.nn.Linear(1, 1)
    protocol = Protocol()
    optimizer = make_optimizer(model, protocol)
    scheduler = make_scheduler(optimizer, protocol, 100)
    rates = []
    for loss in [1.0, 0.999, 0.998, 0.997, 0.996]:  # each better, none by half a percent of the best
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1e-3, 1e-3, 1e-3, 1e-3, 5e-4]


def test_a_plateau_on_validation_iou_waits_for_a_rise():
    protocol = Protocol(plateau_on="val_iou", plateau_patience=0)
    optimizer = make_optimizer(torch.nn.Linear(1, 1), protocol)
    scheduler = make_scheduler(optimizer, protocol, 100)
    for value, rate in [(0.5, 1e-3), (0.6, 1e-3), (0.5, 5e-4)]:
        scheduler.step(value)
        assert optimizer.param_groups[0]["lr"] == rate


def test_a_loss_that_is_no_number_stops_the_run(data, tmp_path):
    file = tmp_path / "exploding.py"
    file.write_text(
        "def explode(logits, target):\n    return (logits - target).abs().mean() * float('inf')\n"
    )
    with pytest.raises(DivergedError, match="epoch 1"):
        trained(data, loss=f"{file}:explode")


def test_batch_size_changes_neither_order_nor_loss_of_an_untrained_network(data):
    """With a rate too small to matter, epochs of batch 2 and 4 see the same images at the same loss."""
    a = trained(data, "unet:skips=false", batch_size=2, lr=1e-30, epochs=1, record_test=False)
    b = trained(data, "unet:skips=false", batch_size=4, lr=1e-30, epochs=1, record_test=False)
    assert a.epochs["train_loss"][0] == pytest.approx(b.epochs["train_loss"][0], rel=0.05)


def test_every_epoch_is_told_as_it_ends(data):
    training = begin(planned(), *data, CPU)
    for told, row in enumerate(epochs(training), 1):
        assert row["epoch"] == told == len(training.rows)
    assert pl.DataFrame(training.rows).equals(trained(data).epochs)


WAYS = {
    "plateau": {"plateau_patience": 0, "epochs": 4},
    "one cycle": {"scheduler": "onecycle", "epochs": 4},
    "cosine, sgd": {"scheduler": "cosine", "optimizer": "sgd", "epochs": 4},
    "steps": {"budget": "steps", "steps": 9, "scheduler": "none", "optimizer": "adamw"},
    "bfloat16, augmented": {"precision": "bfloat16", "augmentation": "full", "epochs": 4},
    "float16, scaled": {"precision": "float16", "epochs": 4},
    "micro-batches": {"batch_size": 4, "micro_batch": 2, "epochs": 4},
    "last epoch": {"select": "last", "epochs": 4},
}


QUICK = ("plateau", "bfloat16, augmented")


@pytest.mark.parametrize(
    "way", [way if way in QUICK else pytest.param(way, marks=pytest.mark.slow) for way in WAYS]
)
def test_a_training_resumed_after_every_epoch_ends_as_if_never_stopped(data, tmp_path, way):
    run = planned(**WAYS[way])
    resumed, sessions = through_a_file(data, run, tmp_path)
    with reproducible(1):
        whole = train(run, *data, CPU)
    assert sessions == whole.epochs.height > 2
    assert same(resumed, whole)


def test_a_network_with_dropout_of_ones_own_resumes_bit_for_bit(data, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "from torch.nn import Conv2d, Dropout, Sequential\n"
        "def net():\n    return Sequential(Conv2d(3, 4, 3, padding=1), Dropout(0.5), Conv2d(4, 1, 1))\n"
    )
    run = planned(f"{own}:net", epochs=4)
    resumed, _ = through_a_file(data, run, tmp_path / "states")
    assert same(resumed, trained(data, f"{own}:net", epochs=4))


def test_a_snapshot_of_another_network_is_refused(data):
    other = begin(planned("segnet"), *data, CPU)
    list(epochs(other))
    with pytest.raises(ValueError, match="does not fit"):
        restore(begin(planned("unet"), *data, CPU), snapshot(other))


def test_micro_batches_add_up_to_the_gradient_of_the_batch_where_nothing_normalises(data, tmp_path):
    own = tmp_path / "own.py"
    own.write_text("from torch import nn\ndef net():\n    return nn.Conv2d(3, 1, 3, padding=1)\n")
    fields = {"batch_size": 8, "epochs": 3, "optimizer": "sgd", "lr": 0.1}
    whole, parts = (trained(data, f"{own}:net", micro_batch=m, **fields) for m in (None, 3))
    for name, tensor in whole.weights.items():
        torch.testing.assert_close(parts.weights[name], tensor, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(parts.epochs["train_loss"], whole.epochs["train_loss"], rtol=1e-5)


def test_micro_batches_are_another_run_with_batch_norm_and_the_same_where_they_hold_the_batch(data):
    assert not same(trained(data, batch_size=4, micro_batch=2), trained(data, batch_size=4))
    assert same(trained(data, batch_size=4, micro_batch=4), trained(data, batch_size=4))


@pytest.mark.parametrize(
    ("num_images", "size", "parts"),
    [(8, 4, [4, 4]), (9, 4, [4, 5]), (7, 4, [4, 3]), (5, None, [5]), (3, 1, [1, 1, 1]), (1, 4, [1])],
)
def test_a_last_single_image_joins_its_micro_batch(num_images, size, parts):  # batch norm cannot do with one
    image, target = torch.zeros(num_images, 3, 4, 4), torch.zeros(num_images, 1, 4, 4)
    assert [len(images) for images, _ in micro_batches(image, target, size)] == parts


def test_settings_of_torch_are_put_back():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with reproducible(before[0] + 1):
        assert torch.get_num_threads() == before[0] + 1
        assert torch.are_deterministic_algorithms_enabled()
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
