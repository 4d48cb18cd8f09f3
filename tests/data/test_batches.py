"""Batches: every image once, in an order that knows nothing of the batch size."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import write_dataset

from segstudy.data.batches import Pixels, in_batches, num_batches
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import Prepared, open_prepared, prepare, shuffled

CPU = torch.device("cpu")

COUNTS, BATCH_SIZES = st.integers(1, 200), st.integers(1, 40)


@given(COUNTS, BATCH_SIZES)
def test_batches_joined_are_the_positions_in_their_order(n: int, batch_size: int) -> None:
    positions = np.arange(n) * 3
    assert np.array_equal(np.concatenate(list(in_batches(positions, batch_size))), positions)


@given(COUNTS, BATCH_SIZES)
def test_batches_are_full_but_for_the_last_and_never_single(n: int, batch_size: int) -> None:
    sizes = [len(batch) for batch in in_batches(np.arange(n), batch_size)]
    assert all(size == batch_size for size in sizes[:-1])
    assert sizes[-1] <= batch_size + 1
    assert sizes[-1] > 1 or batch_size == 1 or n == 1
    assert (sizes[-1] == batch_size + 1) == (n > batch_size > 1 and n % batch_size == 1)


@given(COUNTS, BATCH_SIZES)
def test_num_batches_is_how_many_there_are(n: int, batch_size: int) -> None:
    assert num_batches(n, batch_size) == len(list(in_batches(np.arange(n), batch_size)))


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [
        (100, 8, [8] * 12 + [4]),
        (100, 12, [12] * 8 + [4]),
        (9, 8, [9]),
        (17, 8, [8, 9]),
        (3, 1, [1, 1, 1]),
        (1, 8, [1]),
    ],
)
def test_batches_by_hand(n: int, batch_size: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in in_batches(np.arange(n), batch_size)] == sizes


@given(COUNTS, st.integers(0, 9), st.integers(1, 9))
def test_an_epochs_order_holds_every_position_once_and_is_repeatable(n: int, seed: int, epoch: int) -> None:
    positions = np.arange(n) * 2
    order = shuffled(positions, seed, epoch)
    assert sorted(order) == list(positions)
    assert np.array_equal(order, shuffled(positions, seed, epoch))


def test_the_order_differs_between_seeds_and_epochs() -> None:
    orders = {tuple(shuffled(np.arange(30), seed, epoch)) for seed in range(3) for epoch in range(1, 4)}
    assert len(orders) == 9


def test_the_order_of_today_is_the_order_of_tomorrow() -> None:
    """Computed once and committed: it decides the numbers of every run."""
    assert list(shuffled(np.arange(8), 0, 1)) == [0, 2, 3, 7, 5, 4, 6, 1]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    samples = read(write_dataset(Path(tmp_path_factory.mktemp("data")) / "discs", n=4)).samples
    return open_prepared(prepare(samples, fingerprint(samples), (32, 40), "squash"))


def test_a_batch_is_images_from_0_to_1_and_masks_of_0_and_1(prepared: Prepared) -> None:
    image, mask = next(Pixels(prepared, CPU).batches(np.array([2, 0]), 2))
    assert image.shape == (2, 3, 32, 40)
    assert mask.shape == (2, 1, 32, 40)
    assert image.dtype == mask.dtype == torch.float32
    assert image.is_contiguous(memory_format=torch.channels_last)
    for place, position in enumerate((2, 0)):
        assert np.allclose(image[place].permute(1, 2, 0) * 255, prepared.images[position], atol=1e-4)
        assert np.array_equal(mask[place, 0].numpy(), prepared.masks[position])


def test_writing_to_a_batch_leaves_the_prepared_images_alone(prepared: Prepared) -> None:
    image, mask = next(Pixels(prepared, CPU).batches(np.array([1]), 2))
    before = prepared.images[1].copy()
    image.zero_()
    mask.zero_()
    assert np.array_equal(prepared.images[1], before)


def test_samples_that_lie_on_the_device_make_the_same_batches(prepared: Prepared) -> None:
    resident = torch.from_numpy(np.array(prepared.images)), torch.from_numpy(np.array(prepared.masks))
    order = np.array([3, 0, 2, 1])
    sent, held = Pixels(prepared, CPU).batches(order, 3), Pixels(prepared, CPU, resident).batches(order, 3)
    for (image, mask), (their_image, their_mask) in zip(held, sent, strict=True):
        assert torch.equal(image, their_image)
        assert torch.equal(mask, their_mask)
        assert image.stride() == their_image.stride()
        assert mask.stride() == their_mask.stride()


@pytest.mark.parametrize("resident", [False, True])
def test_a_last_image_alone_joins_the_batch_before(prepared: Prepared, resident: bool) -> None:
    held = torch.from_numpy(np.array(prepared.images)), torch.from_numpy(np.array(prepared.masks))
    pixels = Pixels(prepared, CPU, held if resident else None)
    assert [len(image) for image, _ in pixels.batches(np.array([3, 0, 2]), 2)] == [3]
