"""What the losses of several classes, and of masks with ignored pixels, are: as sentences."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from segstudy.core.errors import UserError
from segstudy.core.outputs import Outputs
from segstudy.losses import LOSSES, Loss, build_loss, resolve_loss, weights_of

BINARY_IGNORED = Outputs(has_ignored=True)
THREE = Outputs("multiclass", ("background", "disc", "cup"), has_ignored=True)
NO_BACKGROUND = Outputs("multiclass", ("sky", "land", "sea"))
OVERLAPPING = Outputs("multilabel", ("disc", "cup"), has_ignored=True)
TASKS = {"binary with ignore": BINARY_IGNORED, "multiclass": THREE, "multilabel": OVERLAPPING}
SERVING = [name for name, record in LOSSES.items() if record.multilabel and record.multiclass]
SPELLINGS = [
    *SERVING,
    *("focal:gamma=0.5", "focal:gamma=0", "focal:alpha=0.25", "combo:gamma=0.5", "dice:smooth=0"),
    *("tversky:smooth=0",),
]
SIDES = (6, 7)

each_task = pytest.mark.parametrize("outputs", TASKS.values(), ids=TASKS)
each_loss = pytest.mark.parametrize("text", SPELLINGS)


def batch(
    outputs: Outputs, seed: int = 0, num_images: int = 3, ignored: float = 0.2
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (num_images, outputs.num_channels, *SIDES)
    logits = 3 * torch.randn(shape, generator=generator)
    left_out = torch.rand((num_images, 1, *SIDES), generator=generator) < ignored
    if outputs.task == "multiclass":
        target = torch.randint(outputs.num_channels, (num_images, *SIDES), generator=generator)
        return logits, target.masked_fill(left_out[:, 0], -100)
    return logits, (torch.rand(shape, generator=generator) < 0.4).float().masked_fill(left_out, -1.0)


def sure(outputs: Outputs, target: Tensor, size: float = 1e4) -> Tensor:
    """Logits that are sure of the truth."""
    if outputs.task == "multiclass":
        numbers = torch.arange(outputs.num_channels)[:, None, None]
        return size * (2.0 * (target.unsqueeze(1) == numbers) - 1)
    return size * (2 * (target > 0).float() - 1)


def value_and_gradient(
    text: str, outputs: Outputs, logits: Tensor, target: Tensor, weights: tuple[float, ...] | None = None
) -> tuple[Tensor, Tensor]:
    logits = logits.clone().requires_grad_()
    value = build_loss(text, outputs, weights)(logits, target)
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient


@each_loss
@each_task
def test_what_stands_at_ignored_pixels_changes_neither_loss_nor_gradient(text: str, outputs: Outputs) -> None:
    logits, target = batch(outputs)
    ignored = (target < 0) if outputs.task != "multiclass" else (target < 0).unsqueeze(1)
    assert ignored.any()
    value, gradient = value_and_gradient(text, outputs, logits, target)
    others = torch.where(ignored, -5 * logits + 1, logits)
    again, gradient_again = value_and_gradient(text, outputs, others, target)
    assert torch.equal(value, again)
    assert torch.equal(gradient, gradient_again)
    assert (gradient.masked_select(ignored.expand_as(gradient)) == 0).all()
    assert (gradient.masked_select(~ignored.expand_as(gradient)) != 0).any()


@each_loss
@each_task
def test_an_image_that_is_ignored_altogether_costs_nothing_and_counts(text: str, outputs: Outputs) -> None:
    logits, target = batch(outputs)
    target[0] = -100 if outputs.task == "multiclass" else -1
    value, gradient = value_and_gradient(text, outputs, logits, target)
    others, _ = value_and_gradient(text, outputs, logits[1:], target[1:])
    assert value.item() == pytest.approx(others.item() * 2 / 3, abs=1e-6)
    assert (gradient[0] == 0).all()
    alone, none = value_and_gradient(text, outputs, logits[:1], target[:1])
    assert alone == 0
    assert (none == 0).all()


@each_loss
@each_task
def test_left_out_rows_are_as_if_the_image_ended_before_them(text: str, outputs: Outputs) -> None:
    logits, target = batch(outputs, ignored=0)
    cut = target[..., :4, :]
    target[..., 4:, :] = -100 if outputs.task == "multiclass" else -1
    loss = build_loss(text, outputs)
    torch.testing.assert_close(loss(logits, target), loss(logits[..., :4, :], cut))


@each_loss
@each_task
@pytest.mark.parametrize("weights", [False, True])
def test_the_loss_of_a_batch_is_the_mean_over_its_images(text: str, outputs: Outputs, weights: bool) -> None:
    logits, target = batch(outputs, num_images=4)
    weighted = tuple(range(1, len(outputs.names) + 1)) if weights and outputs.task != "binary" else None
    loss = build_loss(text, outputs, weighted)
    alone = [loss(logits[i : i + 1], target[i : i + 1]).item() for i in range(4)]
    assert loss(logits, target).item() == pytest.approx(sum(alone) / 4, abs=1e-6)


@each_loss
@each_task
@pytest.mark.parametrize("size", [-1e4, -20.0, 0.0, 20.0, 1e4])
@pytest.mark.parametrize("kind", ["mixed", "one class", "ignored"])
def test_every_loss_and_its_gradient_are_finite(text: str, outputs: Outputs, size: float, kind: str) -> None:
    _, target = batch(outputs)
    logits = sure(outputs, target, size)
    if kind == "one class":
        target = torch.zeros_like(target)
    if kind == "ignored":
        target = torch.full_like(target, -100 if outputs.task == "multiclass" else -1)
    value, gradient = value_and_gradient(text, outputs, logits, target)
    assert value.isfinite()
    assert gradient.isfinite().all()


@each_loss
@each_task
def test_a_perfect_prediction_costs_nothing_and_a_wrong_one_much(text: str, outputs: Outputs) -> None:
    _, target = batch(outputs)
    loss = build_loss(text, outputs)
    assert loss(sure(outputs, target), target) == pytest.approx(0, abs=1e-6)
    right, wrong = loss(sure(outputs, target, 4), target), loss(sure(outputs, target, -4), target)
    assert wrong > 5 * right


@each_loss
@each_task
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(text: str, outputs: Outputs, dtype: torch.dtype) -> None:
    logits, target = batch(outputs)
    loss = build_loss(text, outputs)
    found = loss(logits.to(dtype), target)
    assert found.dtype == torch.float32
    assert torch.equal(found, loss(logits.to(dtype).float(), target))


@each_loss
@each_task
def test_losses_do_not_see_where_a_pixel_lies(text: str, outputs: Outputs) -> None:
    logits, target = batch(outputs)
    loss = build_loss(text, outputs)
    torch.testing.assert_close(loss(logits.flip(-1, -2), target.flip(-1, -2)), loss(logits, target))


@pytest.mark.parametrize("text", [*SERVING, "focal:alpha=0.25", "tversky:fp_weight=0.2:fn_weight=0.8"])
def test_without_ignored_pixels_the_loss_of_binary_masks_is_as_before(text: str) -> None:
    logits, target = batch(BINARY_IGNORED, ignored=0)
    for outputs in (BINARY_IGNORED, Outputs("multilabel", ("disc",))):
        torch.testing.assert_close(
            build_loss(text, outputs)(logits, target), build_loss(text)(logits, target)
        )


@pytest.mark.parametrize("text", [*SERVING, "focal:alpha=0.25", "tversky:fp_weight=0.2:fn_weight=0.8"])
def test_classes_that_overlap_are_averaged(text: str) -> None:
    logits, target = batch(OVERLAPPING, ignored=0)
    alone = [build_loss(text)(logits[:, k : k + 1], target[:, k : k + 1]) for k in range(2)]
    torch.testing.assert_close(build_loss(text, OVERLAPPING)(logits, target), sum(alone) / 2)
    weighted = build_loss(text, OVERLAPPING, (1.0, 3.0))(logits, target)
    torch.testing.assert_close(weighted, (alone[0] + 3 * alone[1]) / 4)


@pytest.mark.parametrize("text", ["bce", "focal", "dice", "tversky", "combo"])
def test_two_exclusive_classes_are_binary_with_the_difference_of_their_logits(text: str) -> None:
    """Softmax of two channels is the sigmoid of their difference."""
    two = Outputs("multiclass", ("background", "disc"))
    logits, target = batch(two, ignored=0)
    difference = logits[:, 1:] - logits[:, :1]
    expected = build_loss(text)(difference, target.unsqueeze(1).float())
    torch.testing.assert_close(build_loss(text, two)(logits, target), expected)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_gradient_of_focal_is_right_however_easy_a_pixel_is(gamma: float) -> None:
    """Against its formula in float64, from wrong by 30 to right by 30."""
    two = Outputs("multiclass", ("background", "disc"))
    logits = torch.zeros(1, 2, 1, 61)
    logits[0, 1, 0] = torch.linspace(-30, 30, 61)
    target = torch.ones(1, 1, 61, dtype=torch.int64)
    _, found = value_and_gradient(f"focal:gamma={gamma}", two, logits, target)
    exact = logits.double().requires_grad_()
    log_p = exact.log_softmax(1)
    value = (-(gamma * log_p[:, 0]).exp() * log_p[:, 1]).mean()
    (expected,) = torch.autograd.grad(value, exact)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-6)


def test_alpha_weighs_all_classes_but_the_background() -> None:
    logits, target = batch(THREE)
    _, plain = value_and_gradient("focal", THREE, logits, target)
    _, weighted = value_and_gradient("focal:alpha=0.25", THREE, logits, target)
    background = (target == 0).unsqueeze(1).expand_as(plain)
    torch.testing.assert_close(weighted[background], 0.75 * plain[background])
    torch.testing.assert_close(weighted[~background], 0.25 * plain[~background])


def test_focal_with_gamma_0_is_cross_entropy_also_with_weights() -> None:
    logits, target = batch(THREE)
    for weights in (None, (0.5, 1.0, 4.0)):
        values = [build_loss(text, THREE, weights)(logits, target) for text in ("focal:gamma=0", "bce")]
        torch.testing.assert_close(*values)


def test_cross_entropy_of_one_image_is_pytorchs_with_its_weights_and_its_ignored_pixels() -> None:
    logits, target = batch(THREE, num_images=1)
    for weights in (None, (0.5, 1.0, 4.0)):
        theirs = torch.nn.CrossEntropyLoss(weight=None if weights is None else torch.tensor(weights))
        torch.testing.assert_close(build_loss("bce", THREE, weights)(logits, target), theirs(logits, target))


@pytest.mark.parametrize("name", ["dice", "tversky"])
def test_the_background_is_left_out_unless_it_is_asked_for(name: str) -> None:
    logits, target = batch(THREE)
    without = build_loss(name, THREE)(logits, target)
    with_it = build_loss(f"{name}:background=true", THREE)(logits, target)
    of_background = build_loss(f"{name}:background=true", THREE, (1.0, 0.0, 0.0))(logits, target)
    torch.testing.assert_close(with_it, (of_background + 2 * without) / 3)


@pytest.mark.parametrize("name", ["dice", "tversky"])
def test_all_classes_count_where_none_is_the_background(name: str) -> None:
    logits, target = batch(NO_BACKGROUND, ignored=0)
    alone = [
        build_loss(name, NO_BACKGROUND, tuple(float(k == each) for k in range(3)))(logits, target)
        for each in range(3)
    ]
    torch.testing.assert_close(build_loss(name, NO_BACKGROUND)(logits, target), sum(alone) / 3)


def test_a_class_that_an_image_lacks_teaches_dice_to_predict_none_of_it() -> None:
    logits = torch.zeros(1, 3, *SIDES)
    target = torch.zeros(1, *SIDES, dtype=torch.int64)
    _, gradient = value_and_gradient("dice", THREE, logits, target)
    assert (gradient[:, 1:] > 0).all()
    assert (gradient[:, 0] < 0).all()


def test_weights_of_pixels_are_those_of_their_true_classes() -> None:
    logits, target = batch(THREE)
    _, plain = value_and_gradient("bce", THREE, logits[:1], target[:1])
    _, weighted = value_and_gradient("bce", THREE, logits[:1], target[:1], (1.0, 2.0, 5.0))
    numbers = torch.tensor([1.0, 2.0, 5.0])
    counted = target[:1] >= 0
    share = (numbers[target[:1].clamp_min(0)] * counted) * counted.sum() / numbers[target[:1][counted]].sum()
    torch.testing.assert_close(weighted, plain * share.unsqueeze(1))


def test_balanced_weights_are_inverse_to_the_pixels_of_the_training_masks() -> None:
    found = weights_of("balanced", THREE, [600, 300, 100])
    assert found == pytest.approx((1000 / 1800, 1000 / 900, 1000 / 300))
    assert weights_of("balanced", THREE, [600, 400, 0]) == pytest.approx((1000 / 1800, 1000 / 1200, 0))
    assert weights_of("1+2+5", THREE, [600, 300, 100]) == (1, 2, 5)
    assert weights_of(None, THREE, [600, 300, 100]) is None
    with pytest.raises(UserError, match=r"needs pixels of disc or cup in the training masks"):
        weights_of("balanced", THREE, [600, 0, 0])


def test_options_that_concern_a_background_are_refused_without_one() -> None:
    for text, option in (("dice:background=true", "background"), ("focal:alpha=0.3", "alpha")):
        assert resolve_loss(text, THREE)[0].components[0].options
        with pytest.raises(UserError, match=f"{option} means nothing here, as no class is named background"):
            resolve_loss(text, NO_BACKGROUND)


def test_options_of_several_classes_are_none_of_binary_masks() -> None:
    with pytest.raises(UserError, match=r"no option 'background': its options are smooth$"):
        build_loss("dice:background=true")
    with pytest.raises(UserError, match=r"no option 'background': its options are smooth$"):
        build_loss("dice:background=true", OVERLAPPING)
    with pytest.raises(UserError, match=r"no option 'class_weights': its options are smooth, background$"):
        build_loss("dice:class_weights=1", THREE)


def test_the_five_losses_of_the_study_serve_every_task() -> None:
    assert set(SERVING) >= {"bce", "focal", "dice", "tversky", "combo"}


OWN = """
import torch

def margin(logits, target, outputs, class_weights=None, size=1.0):
    assert class_weights is None or len(class_weights) == len(outputs.names)
    return torch.nn.functional.multi_margin_loss(logits, target, margin=size)

def plain(logits, target, scale=1.0):
    return scale * logits.mean()
"""


def test_a_loss_of_ones_own_is_given_the_classes_and_weights_if_it_asks(tmp_path: Path) -> None:
    file = tmp_path / "my.py"
    file.write_text(OWN)
    logits, target = batch(NO_BACKGROUND, ignored=0)
    with pytest.raises(UserError, match=r"no option 'outputs': its options are size"):
        build_loss(f"{file}:margin:outputs=3", THREE)
    assert build_loss(f"{file}:margin:size=2", NO_BACKGROUND, (1.0, 1.0, 1.0)).keywords == {
        "size": 2.0,
        "outputs": NO_BACKGROUND,
        "class_weights": (1.0, 1.0, 1.0),
    }
    assert build_loss(f"{file}:plain:scale=2", NO_BACKGROUND)(logits, target) == 2 * logits.mean()


def test_a_loss_of_ones_own_without_weights_is_refused_with_them(tmp_path: Path) -> None:
    file = tmp_path / "my.py"
    file.write_text(OWN)
    with pytest.raises(UserError, match=r"my.py:plain cannot be used with class_weights"):
        resolve_loss(f"{file}:plain", THREE, is_weighted=True)
    resolve_loss(f"{file}:margin", THREE, is_weighted=True)


def test_a_loss_of_ones_own_is_refused_where_it_would_count_ignored_pixels(tmp_path: Path) -> None:
    file = tmp_path / "my.py"
    file.write_text(OWN)
    for outputs in (BINARY_IGNORED, OVERLAPPING):
        with pytest.raises(
            UserError, match=r"my.py:plain cannot be used with ignore: .* use one of bce, focal"
        ):
            build_loss(f"{file}:plain", outputs)
        with pytest.raises(UserError, match=r"cannot be used with ignore"):
            build_loss("torch.nn:BCEWithLogitsLoss", outputs)
    build_loss(f"{file}:plain", Outputs("multilabel", ("disc", "cup")))


def test_pytorchs_cross_entropy_works_as_it_is() -> None:
    logits, target = batch(THREE, num_images=1)
    value = build_loss("torch.nn:CrossEntropyLoss", THREE)(logits, target)
    torch.testing.assert_close(value, build_loss("bce", THREE)(logits, target))


def test_a_record_that_serves_binary_masks_alone_is_refused_for_others(monkeypatch) -> None:
    monkeypatch.setitem(LOSSES, "square", Loss(lambda logits, target: (logits - target).square().mean()))
    build_loss("square")
    with pytest.raises(UserError, match=r"square does not serve classes that exclude each other: use one of"):
        build_loss("square", THREE)
    with pytest.raises(
        UserError, match=r"square does not serve classes that may overlap or binary masks with"
    ):
        resolve_loss("square", BINARY_IGNORED)
