"""What the losses are, as sentences."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from segstudy.core.errors import UserError
from segstudy.losses import FAMILIES, LOSSES, build_loss, combo, dice, focal, resolve_loss, tversky

OURS = {
    "bce": "distribution",
    "focal": "distribution",
    "dice": "region",
    "tversky": "region",
    "combo": "combined",
}
# Every loss with its defaults, and options that are known to bring trouble.
SPELLINGS = [*LOSSES, "focal:gamma=0.5", "focal:gamma=0", "focal:alpha=0.25", "combo:gamma=0.5"]

SHAPE = (3, 1, 6, 7)


def batch(seed: int, num_images: int = 3, scale: float = 3.0) -> tuple[Tensor, Tensor]:
    """Logits and target of images that differ in how much foreground they have."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(num_images, 1, 6, 7, generator=generator)
    share = torch.linspace(0.1, 0.9, num_images).view(-1, 1, 1, 1)
    return logits, (torch.rand(logits.shape, generator=generator) < share).float()


def value_and_gradient(text: str, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits.clone().requires_grad_()
    value = build_loss(text)(logits, target)
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient


@pytest.mark.parametrize("text", SPELLINGS)
@pytest.mark.parametrize("foreground", ["empty", "full", "half"])
@pytest.mark.parametrize("logit", [-1e4, -100.0, -20.0, 0.0, 20.0, 100.0, 1e4])
def test_every_loss_and_its_gradient_are_finite_however_sure_the_prediction(
    text: str, foreground: str, logit: float
) -> None:
    target = torch.full(SHAPE, float(foreground == "full"))
    if foreground == "half":
        target[..., :3] = 1
    value, gradient = value_and_gradient(text, torch.full(SHAPE, logit), target)
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_perfect_prediction_costs_nothing(text: str) -> None:
    _, target = batch(0)
    assert build_loss(text)(1e4 * (2 * target - 1), target) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_wrong_prediction_costs_more_than_a_right_one(text: str) -> None:
    _, target = batch(0)
    loss = build_loss(text)
    surely_right = 4 * (2 * target - 1)
    assert loss(-surely_right, target) > 10 * loss(surely_right, target)


@pytest.mark.parametrize("text", SPELLINGS)
@pytest.mark.parametrize("num_images", [1, 2, 5])
def test_the_loss_of_a_batch_is_the_mean_over_its_images(text: str, num_images: int) -> None:
    logits, target = batch(1, num_images)
    loss = build_loss(text)
    alone = [loss(logits[i : i + 1], target[i : i + 1]).item() for i in range(num_images)]
    assert loss(logits, target).item() == pytest.approx(sum(alone) / num_images, abs=1e-6)


@pytest.mark.parametrize("text", SPELLINGS)
def test_the_gradient_that_an_image_feels_falls_with_the_batch_alone(text: str) -> None:
    logits, target = batch(2, num_images=4)
    _, together = value_and_gradient(text, logits, target)
    _, alone = value_and_gradient(text, logits[:1], target[:1])
    torch.testing.assert_close(together[:1], alone / 4)


@pytest.mark.parametrize("text", SPELLINGS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_input_is_computed_in_float32(text: str, dtype: torch.dtype) -> None:
    logits, target = batch(3)
    low = logits.to(dtype)
    loss = build_loss(text)
    assert loss(low, target.to(dtype)).dtype == torch.float32
    assert torch.equal(loss(low, target.to(dtype)), loss(low.float(), target))


@pytest.mark.parametrize("text", SPELLINGS)
def test_float16_logits_of_a_large_image_do_not_overflow(text: str) -> None:
    logits = torch.full((1, 1, 512, 512), 8.0, dtype=torch.float16)  # sums of 262,144 pixels
    assert build_loss(text)(logits, torch.ones_like(logits)) < 0.01


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_boolean_target_is_as_good_as_a_float_one(text: str) -> None:
    logits, target = batch(4)
    loss = build_loss(text)
    assert torch.equal(loss(logits, target.bool()), loss(logits, target))


@pytest.mark.parametrize("text", SPELLINGS)
def test_losses_do_not_see_where_a_pixel_lies(text: str) -> None:
    logits, target = batch(5)
    loss = build_loss(text)
    torch.testing.assert_close(loss(logits.flip(-1, -2), target.flip(-1, -2)), loss(logits, target))


@pytest.mark.parametrize("text", ["bce", "focal", "focal:alpha=0.5"])
def test_distribution_losses_treat_foreground_and_background_alike(text: str) -> None:
    logits, target = batch(6)
    loss = build_loss(text)
    torch.testing.assert_close(loss(-logits, 1 - target), loss(logits, target))


@pytest.mark.parametrize("text", ["dice", "tversky", "combo", "focal:alpha=0.25"])
def test_region_losses_and_weighted_ones_do_not(text: str) -> None:
    logits, target = batch(6)
    loss = build_loss(text)
    assert abs(loss(-logits, 1 - target) - loss(logits, target)) > 1e-3


@given(st.integers(0, 1000), st.floats(0, 4))
def test_tversky_at_half_and_half_and_half_the_smooth_is_dice(seed: int, smooth: float) -> None:
    logits, target = batch(seed)
    halves = tversky(logits, target, fp_weight=0.5, fn_weight=0.5, smooth=smooth / 2)
    torch.testing.assert_close(halves, dice(logits, target, smooth=smooth), rtol=0, atol=1e-6)


@given(st.integers(0, 1000))
def test_exchanging_prediction_and_target_exchanges_the_prices_of_tversky(seed: int) -> None:
    _, target = batch(seed)
    _, other = batch(seed + 1001)
    as_logits = 1e4 * (2 * torch.stack([target, other]) - 1)
    forth = tversky(as_logits[1], target, fp_weight=0.2, fn_weight=0.8)
    back = tversky(as_logits[0], other, fp_weight=0.8, fn_weight=0.2)
    torch.testing.assert_close(forth, back)


def test_fp_weight_prices_false_positives_and_fn_weight_false_negatives() -> None:
    target = torch.zeros(1, 1, 4, 4)
    target[..., :2] = 1
    all_foreground, none = torch.full_like(target, 1e4), torch.full_like(target, -1e4)
    # 8 true positives, 8 false positives: 1 - 8 / (8 + .3 * 8); then 8 false negatives alone.
    assert tversky(all_foreground, target, smooth=0).item() == pytest.approx(1 - 8 / 10.4)
    assert tversky(none, target, smooth=1).item() == pytest.approx(1 - 1 / (0.7 * 8 + 1))


def test_an_empty_target_teaches_dice_to_predict_nothing() -> None:
    logits = torch.zeros(1, 1, 4, 4)
    value, gradient = value_and_gradient("dice", logits, torch.zeros_like(logits))
    assert value.item() == pytest.approx(1 - 1 / (8 + 1))  # 8 px of probability, a smooth of 1 px
    assert (gradient > 0).all()


def test_focal_with_gamma_0_is_cross_entropy() -> None:
    logits, target = batch(7)
    torch.testing.assert_close(focal(logits, target, gamma=0), build_loss("bce")(logits, target))


def test_focal_fades_on_easy_pixels() -> None:
    target = torch.ones(1, 1, 1, 1)
    easy, hard = torch.full_like(target, 3.0), torch.full_like(target, -3.0)
    bce = build_loss("bce")
    assert focal(easy, target) / bce(easy, target) < 0.003  # (1 - p)^2 at p = .953
    assert focal(hard, target) / bce(hard, target) > 0.9


def test_focal_weighs_nothing_unless_alpha_is_asked_for() -> None:
    logits, target = batch(8)
    foreground, background = target == 1, target == 0
    _, plain = value_and_gradient("focal", logits, target)
    _, weighted = value_and_gradient("focal:alpha=0.25", logits, target)
    torch.testing.assert_close(weighted[foreground], 0.25 * plain[foreground])
    torch.testing.assert_close(weighted[background], 0.75 * plain[background])


def test_combo_is_the_weighted_sum_of_focal_and_dice() -> None:
    logits, target = batch(9)
    parts = focal(logits, target), dice(logits, target)
    torch.testing.assert_close(combo(logits, target), parts[0] + parts[1])
    both = combo(logits, target, focal_weight=2, dice_weight=0.5)
    torch.testing.assert_close(both, 2 * parts[0] + 0.5 * parts[1])


def test_every_loss_names_its_family() -> None:
    assert {name: LOSSES[name].family for name in OURS} == OURS
    assert {loss.family for loss in LOSSES.values()} <= set(FAMILIES)


def test_a_loss_is_built_with_the_options_of_its_spelling() -> None:
    logits, target = batch(10)
    built = build_loss("tversky:fp_weight=0.2:fn_weight=0.8")(logits, target)
    assert torch.equal(built, tversky(logits, target, fp_weight=0.2, fn_weight=0.8))


def test_options_at_their_defaults_do_not_change_the_name() -> None:
    assert str(resolve_loss("tversky:fn_weight=0.7:fp_weight=0.3")[0]) == "tversky"
    assert (
        str(resolve_loss("focal:gamma=3")[0]) == str(resolve_loss("focal:gamma=3.0")[0]) == "focal:gamma=3.0"
    )


def test_an_unknown_loss_is_told_the_choices() -> None:
    with pytest.raises(
        UserError, match="'hinge': use one of bce, focal, dice, tversky, combo, bce_dice, jaccard"
    ):
        build_loss("hinge")


def test_an_unknown_option_is_told_the_choices() -> None:
    with pytest.raises(UserError, match="no option 'alpha': its options are fp_weight, fn_weight, smooth"):
        build_loss("tversky:alpha=0.2")


@pytest.mark.parametrize("text", ["dice:smooth=much", "dice:smooth=true"])
def test_an_option_of_the_wrong_kind_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="dice: smooth has another type"):
        build_loss(text)


OWN_LOSS = """
def hinge(logits, target, margin=1.0):
    return (margin - (2 * target - 1) * logits).clamp_min(0).mean()
"""


def test_a_loss_from_a_users_own_file_is_used_with_its_options(tmp_path: Path) -> None:
    file = tmp_path / "my.py"
    file.write_text(OWN_LOSS)
    logits, target = batch(11)
    value = build_loss(f"{file}:hinge:margin=2")(logits, target)
    assert torch.equal(value, (2 - (2 * target - 1) * logits).clamp_min(0).mean())


def test_the_numerics_of_a_users_own_loss_are_the_hash_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "my.py"
    file.write_text(OWN_LOSS)
    component, before = resolve_loss(f"{file}:hinge")
    assert str(component) == "my.py:hinge"
    file.write_text(OWN_LOSS + "# edited\n")
    assert resolve_loss(f"{file}:hinge")[1] != before
    assert resolve_loss("bce")[1] == LOSSES["bce"].numerics


def test_a_users_file_that_is_missing_or_lacks_the_name_is_said(tmp_path: Path) -> None:
    file = tmp_path / "my.py"
    with pytest.raises(UserError, match="no such file"):
        build_loss(f"{file}:hinge")
    file.write_text(OWN_LOSS)
    with pytest.raises(UserError, match="has no class or function 'other'"):
        build_loss(f"{file}:other")
    with pytest.raises(UserError, match="name a class or function"):
        build_loss(str(file))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("focal_tversky:exponent=-1", "exponent must be between 0.1 and 10, got -1"),
        ("dice+hausdorff_dt:alpha=-1", "alpha must be 0 or more, got -1"),
        ("cldice:alpha=2", "alpha must be between 0 and 1, got 2"),
        ("cldice:iterations=-3", "iterations must be between 0 and 100, got -3"),
        ("jaccard:smooth=-5", "smooth must be 0 or more, got -5"),
        ("focal:gamma=-1", "gamma must be 0 or more, got -1"),
    ],
)
def test_numbers_with_which_a_loss_is_none_are_refused(text, said):
    with pytest.raises(UserError, match=said):
        resolve_loss(text)


def test_the_alpha_of_the_focal_loss_may_be_off():
    resolve_loss("focal:alpha=-1")
