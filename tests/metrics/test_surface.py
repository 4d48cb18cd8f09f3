"""Surface distances and calibration: sentences, a slow reference, MONAI and torchmetrics."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from metric_scores import calibration_scores, surface_scores
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from monai.metrics.utils import get_edge_surface_distance
from torchmetrics.functional.classification import binary_calibration_error

from segstudy.core.metric_names import NSD_TOLERANCE
from segstudy.metrics import mask_scores
from segstudy.metrics.calibration import CALIBRATION_BINS
from segstudy.metrics.counts import Mask

SHAPE = (13, 17)
DIAGONAL = math.hypot(*SHAPE)
EMPTY, FULL = np.zeros(SHAPE, np.bool_), np.ones(SHAPE, np.bool_)
# MONAI interpolates the percentile in float32: the rank, at most 53, is off by 2e-6, and neighbours in rank
# lie at most DIAGONAL apart. Its distances agree to 1e-6.
QUANTILE = 1e-4
masks = hnp.arrays(np.bool_, SHAPE)
pairs = st.tuples(masks, masks)


def boundary(mask: Mask) -> list[tuple[int, int]]:
    """Pixel by pixel: foreground with a neighbour (of four) outside the mask or the image."""
    height, width = mask.shape

    def inside(y: int, x: int) -> bool:
        return 0 <= y < height and 0 <= x < width and bool(mask[y, x])

    return [
        (y, x)
        for y in range(height)
        for x in range(width)
        if mask[y, x] and not all(inside(y + dy, x + dx) for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)))
    ]


def slow_distances(a: Mask, b: Mask) -> list[float]:
    return [min(math.dist(p, q) for q in boundary(b)) for p in boundary(a)]


@pytest.mark.slow
@given(pairs)
def test_all_pairs_of_boundary_pixels_give_the_same(pair: tuple[Mask, Mask]) -> None:
    a, b = pair
    if not a.any() or not b.any():
        return
    there, back = slow_distances(a, b), slow_distances(b, a)
    found = surface_scores(a, b)
    assert found["hd95_px"] == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert found["asd_px"] == pytest.approx(np.mean(there + back))
    assert found["nsd"] == pytest.approx(np.mean(np.array(there + back) <= NSD_TOLERANCE * DIAGONAL))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@given(pairs)
def test_monai_gives_the_same_where_both_masks_have_foreground(pair: tuple[Mask, Mask]) -> None:
    if not pair[0].any() or not pair[1].any():
        return
    a, b = (torch.tensor(mask)[None, None].float() for mask in pair)
    found = surface_scores(*pair)
    hausdorff = compute_hausdorff_distance(a, b, include_background=True, percentile=95)
    assert found["hd95_px"] == pytest.approx(hausdorff.item(), abs=QUANTILE)
    directions = get_edge_surface_distance(a[0, 0], b[0, 0], symmetric=True)[1]
    percentile = max(float(np.percentile(each.numpy(), 95)) for each in directions)
    assert found["hd95_px"] == pytest.approx(percentile, rel=1e-6)
    average = compute_average_surface_distance(a, b, include_background=True, symmetric=True)
    assert found["asd_px"] == pytest.approx(average.item(), rel=1e-6)
    surface_dice = compute_surface_dice(a, b, [NSD_TOLERANCE * DIAGONAL], include_background=True)
    assert found["nsd"] == pytest.approx(surface_dice.item(), abs=1e-6)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@given(pairs, st.sampled_from([0.001, 0.05, 0.2, 0.9]))
def test_with_another_tolerance_only_the_normalised_distance_changes_as_monais(pair, tolerance) -> None:
    if not pair[0].any() or not pair[1].any():
        return
    found, usual = (mask_scores(*pair, nsd_tolerance=each) for each in (tolerance, NSD_TOLERANCE))
    assert {name for name in found if found[name] != usual[name]} <= {"native_nsd"}
    a, b = (torch.tensor(mask)[None, None].float() for mask in pair)
    surface_dice = compute_surface_dice(a, b, [tolerance * DIAGONAL], include_background=True)
    assert found["native_nsd"] == pytest.approx(surface_dice.item(), abs=1e-6)


@given(pairs)
def test_distances_do_not_depend_on_which_mask_is_which(pair: tuple[Mask, Mask]) -> None:
    assert surface_scores(*pair) == pytest.approx(surface_scores(*pair[::-1]))


@given(masks)
def test_equal_masks_are_no_distance_apart(mask: Mask) -> None:
    equal = {"hd95_px": 0, "asd_px": 0, "hd95_frac": 0, "asd_frac": 0, "nsd": 1}
    assert equal.items() <= surface_scores(mask, mask).items()


@given(masks.filter(np.any))
def test_a_missed_lesion_costs_the_diagonal(mask: Mask) -> None:
    missed = {"hd95_px": DIAGONAL, "asd_px": DIAGONAL, "hd95_frac": 1, "asd_frac": 1, "nsd": 0}
    for found in (surface_scores(EMPTY, mask), surface_scores(mask, EMPTY)):
        assert {name: found[name] for name in missed} == pytest.approx(missed)


def test_the_frame_counts_as_boundary() -> None:
    """A full mask against one that ends three columns early: the right frame is three pixels away."""
    early = FULL.copy()
    early[:, -3:] = False
    assert surface_scores(early, FULL)["hd95_px"] == 3


def test_a_shift_is_as_far_as_it_is() -> None:
    a, b = EMPTY.copy(), EMPTY.copy()
    a[3:6, 2:5] = True
    b[3:6, 9:12] = True
    found = surface_scores(a, b)
    assert found["hd95_px"] == 7
    assert found["hd95_frac"] == 7 / DIAGONAL
    assert 5 <= found["asd_px"] <= 7


probabilities = hnp.arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32))


@given(probabilities, masks)
def test_torchmetrics_gives_the_same_calibration_error(prob: np.ndarray, mask: Mask) -> None:
    off_edges = np.abs(prob * CALIBRATION_BINS - np.round(prob * CALIBRATION_BINS)) > 1e-3
    prob = np.where(off_edges, prob, np.float32(0.51))  # a value on an edge may fall to either side
    theirs = binary_calibration_error(
        torch.tensor(prob).ravel(), torch.tensor(mask).int().ravel(), n_bins=CALIBRATION_BINS, norm="l1"
    )
    assert calibration_scores(prob, mask)["ece"] == pytest.approx(theirs.item(), abs=1e-5)


@given(masks)
def test_the_truth_itself_is_perfectly_calibrated(mask: Mask) -> None:
    assert {"ece": 0, "brier": 0}.items() <= calibration_scores(mask.astype(np.float32), mask).items()


@given(masks)
def test_a_coin_is_calibrated_as_far_as_the_mask_is_half_full(mask: Mask) -> None:
    found = calibration_scores(np.full(SHAPE, 0.5, np.float32), mask)
    assert found["brier"] == 0.25
    assert found["ece"] == pytest.approx(abs(mask.mean() - 0.5))
