"""Evaluation against references that go image by image, pixel by pixel."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from metric_scores import calibration_scores, overlap_scores, surface_scores
from small import write_dataset
from torch import Tensor, nn

from segstudy.core.device import autocast
from segstudy.core.metric_names import THRESHOLDS
from segstudy.data.batches import Pixels
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import Prepared, open_prepared, prepare
from segstudy.data.preprocess import Resize, prob_to_native
from segstudy.evaluation.forward import ious_of, overlaps, probabilities, score_part
from segstudy.evaluation.per_image import best_threshold, score_images
from segstudy.evaluation.probability_counts import EDGES, NUM_BINS, ProbabilityCounts, bins_of
from segstudy.losses import bce
from segstudy.metrics import METRICS

CPU = torch.device("cpu")
POSITIONS = np.array([17, 3, 5, 0, 11, 1, 2, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16])  # in batches of 16 and 2


class Darkness(nn.Module):
    """Logits from how dark a pixel is; batch norm and dropout show whether evaluation mode is on."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.dropout = nn.BatchNorm2d(1), nn.Dropout(0.5)

    def forward(self, image: Tensor) -> Tensor:
        return self.dropout(self.norm(4 * (0.6 - image.mean(1, keepdim=True))))


@pytest.fixture(scope="module")
def make_prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Resize], Prepared]:
    samples = read(write_dataset(tmp_path_factory.mktemp("data") / "discs", n=18)).samples
    return lambda resize: open_prepared(prepare(samples, fingerprint(samples), (32, 40), resize))


@pytest.fixture(scope="module")
def prepared(make_prepared) -> Prepared:
    return make_prepared("squash")


def slow_iou(predicted: np.ndarray, true: np.ndarray) -> float:
    pairs = list(zip(predicted.ravel().tolist(), true.ravel().tolist(), strict=True))
    union = sum(p or t for p, t in pairs)
    return sum(p and t for p, t in pairs) / union if union else 1.0


def test_a_parts_score_is_the_mean_over_its_images_alone(prepared: Prepared) -> None:
    model = Darkness()
    losses, ious = [], []
    for i in POSITIONS:
        image = torch.tensor(prepared.images[i] / 255, dtype=torch.float32).permute(2, 0, 1)
        logits = model.eval()(image[None]).detach()
        losses.append(float(bce(logits, torch.tensor(prepared.masks[i][None, None]))))
        ious.append(slow_iou(logits[0, 0].numpy() >= 0, prepared.masks[i]))
    score = score_part(model, bce, Pixels(prepared, CPU), POSITIONS, "float32")
    assert score.loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert score.iou == pytest.approx(np.mean(ious), abs=1e-12)
    assert 0.3 < score.iou < 1  # a number that could have been otherwise


def test_scoring_turns_evaluation_mode_on_and_leaves_the_network_as_it_was(prepared: Prepared) -> None:
    model = Darkness().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    once, again = (score_part(model, bce, Pixels(prepared, CPU), POSITIONS, "float32") for _ in range(2))
    assert once == again  # dropout is off
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.training


def test_the_loss_gets_float32_whatever_the_precision(prepared: Prepared) -> None:
    seen = []

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        seen.append((logits.dtype, torch.is_autocast_enabled("cpu")))
        return bce(logits, target)

    model = nn.Conv2d(3, 1, 1)  # convolutions run in bfloat16 under autocast
    score_part(model, loss, Pixels(prepared, CPU), POSITIONS, "bfloat16")
    assert set(seen) == {(torch.float32, False)}


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_precision_is_of_the_forward_pass(precision: str, dtype: torch.dtype) -> None:
    with autocast(CPU, precision):
        assert nn.Conv2d(3, 1, 1)(torch.zeros(1, 3, 8, 8)).dtype == dtype


def test_a_logit_of_0_is_foreground_as_a_probability_of_a_half_is() -> None:
    target = torch.ones(1, 1, 4, 4)
    assert ious_of(overlaps(torch.zeros(1, 1, 4, 4), target)) == [1.0]
    assert ious_of(overlaps(torch.full((1, 1, 4, 4), -1e-6), target)) == [0.0]


def test_ious_of_a_batch_are_those_of_its_images_also_of_empty_ones() -> None:
    logits = torch.tensor([[[[1.0, -1.0]]], [[[-1.0, -1.0]]], [[[1.0, 1.0]]]])
    target = torch.tensor([[[[1.0, 1.0]]], [[[0.0, 0.0]]], [[[0.0, 0.0]]]])
    assert ious_of(overlaps(logits, target)) == [0.5, 1.0, 0.0]


def test_probabilities_stand_in_the_order_of_the_positions(prepared: Prepared) -> None:
    model = Darkness().eval()
    prob = probabilities(model, Pixels(prepared, CPU), POSITIONS, "float32")
    assert prob.shape == (18, 32, 40)
    assert prob.dtype == np.float32
    for row, position in zip(prob, POSITIONS, strict=True):
        alone = probabilities(model, Pixels(prepared, CPU), np.array([position]), "float32")[0]
        assert np.allclose(row, alone, atol=1e-6)
        darkness = 4 * (0.6 - prepared.images[position].mean(2) / 255) / np.sqrt(1 + 1e-5)
        assert np.allclose(row, 1 / (1 + np.exp(-darkness)), atol=1e-5)


def test_thresholds_are_the_twentieths_between_0_and_1() -> None:
    assert list(THRESHOLDS) == [i / 20 for i in range(1, 20)]


@pytest.mark.parametrize("high", [0.3, 0.72, 0.97])
def test_the_best_threshold_parts_what_is_to_be_parted(prepared: Prepared, high: float) -> None:
    """Foreground a little above ``high``, background a little below: only thresholds between are right."""
    positions = POSITIONS[:4]
    prob = np.where(prepared.masks[positions], high + 0.026, high - 0.026).astype(np.float32)
    chosen = best_threshold(prob, prepared, positions)
    assert high - 0.026 < chosen <= high + 0.026


def test_of_equally_good_thresholds_a_half_is_chosen(prepared: Prepared) -> None:
    positions = POSITIONS[:4]
    perfect = prepared.masks[positions].astype(np.float32)
    assert best_threshold(perfect, prepared, positions) == 0.5
    useless = np.zeros_like(perfect)
    assert best_threshold(useless, prepared, positions) == 0.5


def test_the_best_threshold_is_that_of_the_slow_search(prepared: Prepared) -> None:
    positions = POSITIONS[:3]
    rng = np.random.default_rng(0)
    prob = (0.5 * prepared.masks[positions] + 0.5 * rng.random((3, 32, 40))).astype(np.float32)
    mean = {
        t: np.mean([slow_iou(p >= t, prepared.masks[i]) for p, i in zip(prob, positions, strict=True)])
        for t in THRESHOLDS
    }
    assert best_threshold(prob, prepared, positions) == max(mean, key=mean.__getitem__)


@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_a_row_holds_every_metric_at_both_sizes(make_prepared, resize: Resize) -> None:
    prepared, positions = make_prepared(resize), POSITIONS[:5]
    rng = np.random.default_rng(0)
    prob = np.clip(prepared.masks[positions] * 0.6 + 0.4 * rng.random((5, 32, 40)), 0, 1).astype(np.float32)
    rows = score_images(prob, prepared, positions, "validation", 0.7).images.to_dicts()
    names = [
        f"{size}_{name}" for size in ("network", "native") for name in METRICS if size in METRICS[name].sizes
    ]
    for row, p, position in zip(rows, prob, positions, strict=True):
        assert list(row) == ["id", "part", *names]
        assert (row["id"], row["part"]) == (prepared.ids[position], "validation")
        native, truth = (
            prob_to_native(p, prepared.native_sizes[position], resize),
            prepared.native_mask(position),
        )
        expected = {
            "network": overlap_scores(p >= 0.5, prepared.masks[position]),
            "native": overlap_scores(native >= 0.5, truth),
        }
        for size, by_name in expected.items():
            assert {name: row[f"{size}_{name}"] for name in by_name} == by_name
        assert row["network_iou_tuned"] == slow_iou(p >= 0.7, prepared.masks[position])
        assert row["native_iou_tuned"] == slow_iou(native >= 0.7, truth)
        assert {
            f"native_{k}": v for k, v in surface_scores(native >= 0.5, truth).items()
        }.items() <= row.items()
        assert {f"native_{k}": v for k, v in calibration_scores(native, truth).items()}.items() <= row.items()


@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_counts_by_probability_give_the_iou_at_every_threshold(make_prepared, resize: Resize) -> None:
    prepared, positions = make_prepared(resize), POSITIONS[:4]
    rng = np.random.default_rng(0)
    prob = np.clip(prepared.masks[positions] * 0.6 + 0.4 * rng.random((4, 32, 40)), 0, 1).astype(np.float32)
    prob[0], prob[1, 0] = 0.5, 1.0  # on a threshold, and the last bin
    counts = ProbabilityCounts(len(positions))
    score_images(prob, prepared, positions, "test", 0.5, counts=counts)
    found = counts.table([prepared.ids[i] for i in positions], "test").to_dicts()
    for row, p, position in zip(found, prob, positions, strict=True):
        native = prob_to_native(p, prepared.native_sizes[position], resize)
        truth = prepared.native_mask(position).astype(bool)
        foreground, background = np.array(row["foreground_px"]), np.array(row["background_px"])
        assert (row["id"], row["part"]) == (prepared.ids[position], "test")
        assert len(foreground) == len(background) == len(row["prob_sum"]) == NUM_BINS
        assert (foreground.sum(), background.sum()) == (truth.sum(), (~truth).sum())
        assert sum(row["prob_sum"]) == pytest.approx(native.sum(), rel=1e-5)
        for i, threshold in enumerate(THRESHOLDS, 1):
            overlap = foreground[i:].sum()
            union = foreground.sum() + background[i:].sum()
            expected = overlap_scores(native >= threshold, truth)["iou"]
            assert (overlap / union if union else 1.0) == expected


def test_a_bin_begins_at_its_threshold_and_ends_before_the_next() -> None:
    """As NumPy's own search says, also beside a threshold and for more values than are compared at once."""
    rng = np.random.default_rng(0)
    beside = [np.nextafter(EDGES, np.float32(side)) for side in (0, 1)]
    prob = np.concatenate([EDGES, *beside, [-1e-6, 0, 1e-30, 1, 1 + 1e-6], rng.random(150_000)])
    prob = rng.permutation(prob.astype(np.float32))
    assert (bins_of(prob) == np.searchsorted(EDGES, prob, side="right")).all()


def test_native_rows_of_a_perfect_prediction_are_short_of_1_by_the_resolution_alone(
    prepared: Prepared,
) -> None:
    perfect = prepared.masks[POSITIONS].astype(np.float32)
    rows = score_images(perfect, prepared, POSITIONS, "test", 0.5).images
    assert rows["network_iou"].to_list() == [1.0] * 18
    assert 0.9 < rows["native_iou"].mean() < 1


def test_a_loss_of_shape_1_counts_as_a_number(prepared: Prepared) -> None:
    score = score_part(
        nn.Conv2d(3, 1, 1),
        lambda logits, target: bce(logits, target)[None],
        Pixels(prepared, CPU),
        POSITIONS,
        "float32",
    )
    assert isinstance(score.loss, float)
