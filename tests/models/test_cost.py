"""What a network costs, against arithmetic by hand."""

import torch
from torch import nn

from segstudy.models import build
from segstudy.models.cost import num_macs, num_parameters


def test_a_convolution_costs_its_kernel_at_every_output_pixel():
    model = nn.Conv2d(3, 4, kernel_size=3, padding=1)
    assert num_parameters(model) == 4 * 3 * 9 + 4
    assert num_macs(model, (8, 10)) == 8 * 10 * 4 * 3 * 9


def test_counting_changes_nothing_of_a_network():
    """It runs once in evaluation mode: neither weights nor the statistics of normalisation move."""
    model = build("unet", 2, 0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert num_macs(model, (32, 32)) == num_macs(model, (32, 32)) > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
