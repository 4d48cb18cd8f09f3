"""Augmentation: the picture and its mask move together, the same way in every batch."""

import math
from dataclasses import asdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from segstudy.data import augment as module
from segstudy.data.augment import Change, augment, changes_of, draw

STILL = Change(False, False, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0)
IDS = [f"s{i}" for i in range(7)]


def batch(n: int = 7, height: int = 24, width: int = 32, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(n, 3, height, width, generator=generator)
    return image, (torch.rand(n, 1, height, width, generator=generator) > 0.5).float()


def discs(height: int, width: int) -> Tensor:
    """A disc off the centre, so that every movement shows."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (torch.hypot(y - 0.4 * height, x - 0.6 * width) < 0.22 * height).float()[None, None]


def values_of(change: Change) -> dict[str, Tensor]:
    return {name: torch.tensor([float(value)]) for name, value in asdict(change).items()}


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch):
    """Every sample gets the change that is named, instead of a drawn one."""

    def fix(**values: float | bool) -> None:
        change = Change(**{**{name: getattr(STILL, name) for name in STILL.__slots__}, **values})
        monkeypatch.setattr(module, "draw", lambda *_: change)

    return fix


@given(st.text(), st.integers(0, 99), st.integers(1, 99))
def test_changes_are_within_their_bounds_and_repeatable(sample_id: str, seed: int, epoch: int) -> None:
    change = draw(sample_id, seed, epoch)
    assert change == draw(sample_id, seed, epoch)
    assert -180 <= change.angle_deg <= 180
    assert all(0.8 <= factor <= 1.25 for factor in (change.scale, change.contrast, change.saturation))
    assert all(-0.1 <= shift <= 0.1 for shift in (change.brightness, change.hue_rad))


def test_changes_differ_between_samples_seeds_and_epochs() -> None:
    drawn = {draw(sample_id, seed, epoch) for sample_id in "ab" for seed in (0, 1) for epoch in (1, 2)}
    assert len(drawn) == 8


def test_half_of_all_are_flipped_each_way_independently() -> None:
    flips = [(c.flip_x, c.flip_y) for c in (draw(str(i), 0, 1) for i in range(2000))]
    for both in ((False, False), (False, True), (True, False), (True, True)):
        assert flips.count(both) == pytest.approx(500, abs=80)  # four standard deviations


@pytest.mark.parametrize("kind", ["flips", "full"])
def test_a_sample_is_changed_alike_in_every_batch(kind) -> None:
    image, mask = batch()
    together = augment(image, mask, kind, changes_of(IDS, 3, 2))
    alone = [
        augment(image[i : i + 1], mask[i : i + 1], kind, changes_of(IDS[i : i + 1], 3, 2)) for i in range(7)
    ]
    backwards = augment(image.flip(0), mask.flip(0), kind, changes_of(IDS[::-1], 3, 2))
    for part in (0, 1):
        assert_close(torch.cat([a[part] for a in alone]), together[part])
        assert_close(backwards[part].flip(0), together[part])


@pytest.mark.parametrize("kind", ["flips", "full"])
def test_augmentation_is_deterministic_and_leaves_input_and_global_stream_alone(kind) -> None:
    image, mask = batch()
    before, state = (image.clone(), mask.clone()), torch.get_rng_state()
    once, again = (augment(image, mask, kind, changes_of(IDS, 0, 1)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert torch.equal(image, before[0])
    assert torch.equal(mask, before[1])
    assert torch.equal(torch.get_rng_state(), state)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(16, 40), st.integers(16, 40))
def test_images_stay_between_0_and_1_and_masks_binary(seed: int, height: int, width: int) -> None:
    image, mask = batch(4, height, width, seed)
    image[0], image[1] = 0, 1  # black and white have neither hue nor saturation
    image, mask = augment(image, mask, "full", changes_of(IDS[:4], seed, 1))
    assert image.shape == (4, 3, height, width)
    assert mask.shape == (4, 1, height, width)
    assert image.isfinite().all()
    assert image.min() >= 0
    assert image.max() <= 1
    assert ((mask == 0) | (mask == 1)).all()


@pytest.mark.parametrize("flip_x", [False, True])
@pytest.mark.parametrize("flip_y", [False, True])
def test_flips_are_exact(fixed, flip_x: bool, flip_y: bool) -> None:
    fixed(
        flip_x=flip_x, flip_y=flip_y, angle_deg=40.0, brightness=0.1
    )  # of which "flips" uses the flips alone
    image, mask = batch()
    axes = [3] * flip_x + [2] * flip_y
    new_image, new_mask = augment(image, mask, "flips", changes_of(IDS, 0, 1))
    assert torch.equal(new_image, image.flip(axes))
    assert torch.equal(new_mask, mask.flip(axes))


def test_a_change_that_changes_nothing_changes_nothing(fixed) -> None:
    fixed()
    image, mask = batch()
    new_image, new_mask = augment(image, mask, "full", changes_of(IDS, 0, 1))
    assert_close(new_image, image, atol=1e-4, rtol=0)
    assert torch.equal(new_mask, mask)


def test_half_a_turn_is_both_flips(fixed) -> None:
    fixed(angle_deg=180.0)
    image, mask = batch()
    new_image, new_mask = augment(image, mask, "full", changes_of(IDS, 0, 1))
    assert_close(new_image, image.flip([2, 3]), atol=1e-3, rtol=0)
    assert torch.equal(new_mask, mask.flip([2, 3]))


@pytest.mark.parametrize(("angle_deg", "scale"), [(30.0, 1.0), (0.0, 1.25), (-75.0, 0.8), (90.0, 1.1)])
def test_rotation_and_scale_are_what_they_say(fixed, angle_deg: float, scale: float) -> None:
    """On ramps bilinear sampling is exact, so each pixel tells the place it came from.

    The oracle: turn back by the angle (counter-clockwise as seen, y pointing down) and scale back.
    """
    fixed(angle_deg=angle_deg, scale=scale)
    height, width = 33, 41
    y, x = torch.meshgrid(torch.arange(height) * 1.0, torch.arange(width) * 1.0, indexing="ij")
    ramps = torch.stack([x / width, y / height, torch.zeros_like(x)])[None]
    warped = module._warp(torch.cat([ramps, ramps[:, :1]], 1), values_of(module.draw("a", 0, 1)))[0]
    cos, sin = math.cos(math.radians(angle_deg)) / scale, math.sin(math.radians(angle_deg)) / scale
    dx, dy = x - (width - 1) / 2, y - (height - 1) / 2
    from_x = cos * dx - sin * dy + (width - 1) / 2
    from_y = sin * dx + cos * dy + (height - 1) / 2
    inside = (from_x >= 0) & (from_x <= width - 1) & (from_y >= 0) & (from_y <= height - 1)
    assert inside.float().mean() > 0.5
    assert_close(warped[0][inside] * width, from_x[inside], atol=1e-2, rtol=0)
    assert_close(warped[1][inside] * height, from_y[inside], atol=1e-2, rtol=0)


@pytest.mark.parametrize("seed", range(8))
def test_image_and_mask_move_together(seed: int) -> None:
    """The mask is painted into the image, white on black: afterwards its brighter half is the new mask."""
    mask = discs(48, 64)
    image, moved = augment(mask.repeat(1, 3, 1, 1), mask, "full", changes_of([f"sample {seed}"], seed, 1))
    grey = image.mean(1, keepdim=True)
    middle = (grey.min() + grey.max()) / 2
    differing = ((grey > middle) != moved.bool()).float().mean()
    assert differing < 0.005  # the border's pixels, where contrast and brightness clip
    assert not torch.equal(moved, mask)


def test_what_comes_in_from_outside_is_the_reflection(fixed) -> None:
    fixed(scale=0.8)
    image, mask = torch.full((1, 3, 32, 32), 0.7), torch.ones(1, 1, 32, 32)
    new_image, new_mask = augment(image, mask, "full", changes_of(["a"], 0, 1))
    assert_close(new_image, image, atol=1e-4, rtol=0)
    assert torch.equal(new_mask, mask)


def test_colour_leaves_the_mask_alone(fixed) -> None:
    fixed(brightness=0.1, contrast=1.2, saturation=0.8, hue_rad=0.1)
    image, mask = batch()
    new_image, new_mask = augment(image, mask, "full", changes_of(IDS, 0, 1))
    assert torch.equal(new_mask, mask)
    assert (new_image - image).abs().mean() > 0.03


def test_brightness_and_contrast_are_what_they_say(fixed) -> None:
    fixed(brightness=0.05, contrast=0.8)
    image = batch()[0] * 0.4 + 0.3  # far from 0 and 1, so that nothing is clipped
    mean = image.mean((1, 2, 3), keepdim=True)
    new_image, _ = augment(image, torch.zeros(7, 1, 24, 32), "full", changes_of(IDS, 0, 1))
    assert_close(new_image, (image - mean) * 0.8 + mean + 0.05, atol=1e-4, rtol=0)


def test_saturation_leaves_grey_as_it_is(fixed) -> None:
    fixed(saturation=1.25, hue_rad=0.1)
    grey = batch(1)[0][:, :1].repeat(1, 3, 1, 1)
    new_image, _ = augment(grey, torch.zeros(1, 1, 24, 32), "full", changes_of(["a"], 0, 1))
    assert_close(new_image, grey, atol=1e-4, rtol=0)
