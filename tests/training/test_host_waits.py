"""On a GPU no batch may wait for the host, nor the host for a batch: each wait leaves the device idle.

No GPU is needed here: what waits on any GPU (values that are read back, tensors that are made from numbers of
the host) is counted on the CPU, in epochs of few and of many batches.
"""

from collections import Counter

import numpy as np
import pytest
import torch
from small import CLASSES, write_classes, write_dataset
from torch.utils._python_dispatch import TorchDispatchMode

from segstudy.config.protocol import Protocol
from segstudy.config.runs import Configuration, Run
from segstudy.data.batches import Pixels
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.split import Split
from segstudy.losses.distances import by_shifts
from segstudy.training.loop import begin, epochs

CPU = torch.device("cpu")
WAITS = {
    "aten::_local_scalar_dense",  # item, tolist, float, bool
    "aten::lift_fresh",  # torch.tensor(numbers): on a GPU it is made on the host and sent
    "aten::nonzero",  # and what follows: their sizes depend on the values
    "aten::masked_select",
    "aten::_unique2",
    "aten::equal",
}


class Waits(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.counts[func.name().split(".")[0]] += 1
        return func(*args, **(kwargs or {}))

    def total(self):
        return sum(self.counts[name] for name in WAITS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    samples = read(write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)).samples
    return open_prepared(prepare(samples, fingerprint(samples), (32, 32), "squash"))


def waits_of_an_epoch(prepared, batch_size, **named):
    """Operations that wait in the second epoch; evaluation has one batch in any case."""
    protocol = Protocol(image_size=32, width=2, epochs=2, batch_size=batch_size, **named.pop("fields", {}))
    configuration = Configuration(**{"architecture": "unet", "loss": "combo", "protocol": protocol, **named})
    run = Run(configuration=configuration, seed=0, fold=None, data="d", split="s", numerics={})
    ids = prepared.ids
    training = begin(run, prepared, Split(train=ids[:8], validation=ids[8:10], test=ids[10:]), CPU)
    images, masks = np.array(prepared.images), np.array(prepared.masks)
    masks = masks.view(np.int16) if masks.dtype == np.uint16 else masks
    training.pixels = Pixels(prepared, CPU, (torch.from_numpy(images), torch.from_numpy(masks)))
    remaining = epochs(training)
    next(remaining)
    with Waits() as found:
        next(remaining)
    return found


@pytest.mark.parametrize("augmentation", ["none", "flips", "full"])
def test_more_batches_wait_no_more(prepared, augmentation):
    fields = {"augmentation": augmentation}
    few, many = (waits_of_an_epoch(prepared, size, fields=fields) for size in (8, 2))
    assert many.counts["aten::convolution"] > few.counts["aten::convolution"]  # the batches were seen
    assert few.total() == many.total() <= 10


@pytest.mark.parametrize(
    "loss", ["bce", "focal", "dice", "tversky", "lovasz", "cldice", "boundary+hausdorff_dt"]
)
def test_no_loss_waits(prepared, loss, monkeypatch):
    monkeypatch.setattr("segstudy.losses.distances._by_scipy", by_shifts)  # as on a GPU
    few, many = (waits_of_an_epoch(prepared, size, loss=loss) for size in (8, 2))
    assert few.total() == many.total()


@pytest.mark.parametrize("architecture", ["segnet", "unet2", "dilated_unet"])
def test_no_architecture_waits(prepared, architecture):
    few, many = (waits_of_an_epoch(prepared, size, architecture=architecture) for size in (8, 2))
    assert few.total() == many.total()


@pytest.mark.parametrize("augmentation", ["none", "full"])
@pytest.mark.parametrize(
    "fields",
    [
        {"classes": CLASSES, "ignore": 255, "class_weights": "1+2+5"},
        {"classes": "disc,cup", "class_weights": "balanced"},
        {"foreground": "1+2", "ignore": 255},
    ],
    ids=["exclusive", "overlapping", "ignored"],
)
def test_several_classes_wait_no_more(tmp_path, fields, augmentation):
    folder = write_classes(tmp_path / "set", n=12, overlapping=fields.get("classes") == "disc,cup", void=True)
    samples = read(folder).samples
    meaning = Protocol(**fields).mask_meaning()
    made = open_prepared(prepare(samples, fingerprint(samples), (32, 32), "squash", meaning))
    fields = {**fields, "augmentation": augmentation}
    few, many = (waits_of_an_epoch(made, size, fields=fields) for size in (8, 2))
    assert many.counts["aten::convolution"] > few.counts["aten::convolution"]
    assert few.total() == many.total() <= 12


def test_a_wait_in_each_batch_would_be_counted(prepared, monkeypatch):
    def reading_back(logits, target):
        value = (logits - target).square().mean()
        return value if value.item() >= 0 else -value

    monkeypatch.setattr("segstudy.training.loop.build_loss", lambda *_: reading_back)
    few, many = (waits_of_an_epoch(prepared, size) for size in (8, 2))
    assert many.total() > few.total()
