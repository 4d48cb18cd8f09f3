"""The networks beyond the study's four: each against its paper or another implementation."""

from itertools import pairwise

import pytest
import torch
from monai.networks.nets.attentionunet import AttentionBlock
from monai.networks.nets.mednext import MedNeXt as TheirMedNeXt
from torch import nn

from segstudy.core.errors import UserError
from segstudy.models import MODELS, build
from segstudy.models.attention_unet import Gate
from segstudy.models.nnunet import planned_stages
from segstudy.models.resunet import Residual


def num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def of_default_width(name: str) -> nn.Module:
    with torch.device("meta"):
        return MODELS[name].network()


def test_unetpp_has_the_parameters_of_the_paper():
    """9.04 M in its table: with transposed convolutions of 2x2 and biases, and without batch norm."""
    filters = [32, 64, 128, 256, 512]
    counted = papers = 0
    for depth, c in enumerate(filters):
        for column in range(5 - depth):
            first = 3 if depth == column == 0 else filters[depth - 1] if column == 0 else None
            ours = first or (column * c + 2 * c)
            counted += 9 * ours * c + 9 * c * c + 4 * c
            theirs = first or (column + 1) * c
            papers += 9 * theirs * c + 9 * c * c + 2 * c
            papers += 0 if column == 0 else 4 * 2 * c * c + c
    assert num_parameters(of_default_width("unetpp")) == counted + 33
    assert round(papers / 1e6, 2) == pytest.approx(9.04, abs=0.02)


def test_gates_of_the_attention_unet_are_monais_without_batch_norm():
    """MONAI adds a batch norm after each of the three convolutions, and a bias before the first."""
    for channels in (4, 64):
        inner = channels // 2
        theirs = AttentionBlock(spatial_dims=2, f_int=inner, f_g=channels, f_l=channels)
        assert num_parameters(Gate(channels)) == num_parameters(theirs) - (2 * inner + 2 * inner + 2) - inner


def test_a_gate_scales_each_pixel_by_a_factor_between_0_and_1():
    factors = Gate(8)(torch.randn(2, 8, 5, 7), torch.randn(2, 8, 5, 7))
    assert factors.shape == (2, 1, 5, 7)
    assert 0 < factors.min() < factors.max() < 1


def test_resunet_has_the_parameters_of_the_paper():
    """7.8 M in the paper: the convolutions and the logits, without the projections."""
    model = of_default_width("resunet")
    units = [unit for unit in model.modules() if isinstance(unit, Residual)]
    assert len(units) == 7
    projections = sum(num_parameters(unit.projection) for unit in units)
    assert round((num_parameters(model) - projections) / 1e6, 1) == 7.8


@pytest.mark.parametrize(
    ("side_px", "stages"), [(32, 4), (64, 5), (96, 5), (128, 6), (256, 7), (320, 7), (512, 8)]
)
def test_stages_are_planned_as_in_nnunet(side_px: int, stages: int):
    """It halves maps whose half has 4 px or more (``get_pool_and_conv_props``)."""
    assert planned_stages(side_px) == stages


def test_nnunet_refuses_images_whose_deepest_map_is_one_pixel():
    model = build("nnunet:stages=6", 2, 0)
    with pytest.raises(UserError, match="too deep for images of 32x32 px: use nnunet:stages=4"):
        model(torch.rand(1, 3, 32, 32))
    assert model(torch.rand(1, 3, 33, 32)).shape == (1, 1, 33, 32)


def test_nnunet_has_the_parameters_of_its_layers():
    """Two 3x3 convolutions a stage and a transposed one of 2x2 a step: nnU-Net's own layers."""
    channels = [32, 64, 128, 256, 512, 512, 512]
    counted = 9 * 3 * 32 + 9 * 32 * 32 + 4 * 32 + 33
    for a, b in pairwise(channels):
        counted += 9 * a * b + 9 * b * b + 4 * b
        counted += 4 * b * a + a + 9 * 2 * a * a + 9 * a * a + 4 * a
    with torch.device("meta"):
        assert num_parameters(MODELS["nnunet"].network(stages=7)) == counted


def mednext_of_monai(**options) -> nn.Module:
    return TheirMedNeXt(
        spatial_dims=2, in_channels=3, out_channels=1, use_residual_connection=True, **options
    )


@pytest.mark.parametrize(("kernel", "blocks", "expansion"), [(3, 2, 2), (5, 1, 3)])
def test_mednext_is_monais_but_for_biases_that_norms_subtract(kernel: int, blocks: int, expansion: int):
    options = {"kernel": kernel, "blocks": blocks, "expansion": expansion}
    ours = MODELS["mednext"].network(8, **options)
    theirs = mednext_of_monai(
        init_filters=8,
        kernel_size=kernel,
        blocks_down=[blocks] * 4,
        blocks_bottleneck=blocks,
        blocks_up=[blocks] * 4,
        encoder_expansion_ratio=expansion,
        decoder_expansion_ratio=expansion,
        bottleneck_expansion_ratio=expansion,
    )
    names = [name for name, _ in theirs.named_parameters()]
    without = [n for n in names if n.endswith(("conv1.bias", "res_conv.bias"))]
    unused = [n for n in names if n == "dummy_tensor"]
    more = sum(theirs.get_parameter(name).numel() for name in without + unused)
    assert num_parameters(ours) == num_parameters(theirs) - more


@pytest.mark.parametrize("architecture", ["mednext:kernel=4", "mednext:blocks=0", "mednext:expansion=0"])
def test_mednext_refuses_what_cannot_be(architecture: str):
    with pytest.raises(UserError, match="kernel must be odd, and blocks and expansion at least 1"):
        build(architecture, 2, 0)


def test_an_nnunet_without_a_step_down_is_refused():
    with pytest.raises(UserError, match="stages must be at least 2, got 1"):
        build("nnunet:stages=1", 2, 0)
