"""The optimizers are PyTorch's own, bit for bit, though their wrappers are left out."""

import pytest
import torch

from segstudy.config.protocol import Protocol
from segstudy.core.device import reproducible
from segstudy.core.torch_compiler import set_deterministic
from segstudy.models import build
from segstudy.training.optimizers import make_optimizer

SETTINGS = {"lr": 1e-2, "weight_decay": 1e-3, "fused": True}
THEIRS = {
    "adam": lambda parameters: torch.optim.Adam(parameters, **SETTINGS),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, **SETTINGS),
    "sgd": lambda parameters: torch.optim.SGD(parameters, momentum=0.9, **SETTINGS),
}


def trained(make):
    """Weights and state after three steps; the state is read back before the last."""
    torch.manual_seed(0)
    model = build("unet", 2, 0)
    optimizer = make(model)
    for step in range(3):
        optimizer.zero_grad(set_to_none=True)
        model(torch.rand(2, 3, 32, 32)).square().mean().backward()
        optimizer.step()
        if step == 1:
            optimizer.load_state_dict(optimizer.state_dict())
    state = optimizer.state_dict()["state"]
    return [*model.parameters(), *(value for each in state.values() for value in each.values())]


@pytest.mark.parametrize("name", THEIRS)
def test_a_step_is_that_of_pytorch_bit_for_bit(name):
    protocol = Protocol(optimizer=name, lr=1e-2, weight_decay=1e-3, momentum=0.9)
    ours = trained(lambda model: make_optimizer(model, protocol))
    theirs = trained(lambda model: THEIRS[name](model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert any(tensor.requires_grad for tensor in ours)  # a step does not leave gradients switched off


def test_kernels_are_deterministic_inside_and_as_before_outside():
    for before in (0, 1, 2):
        set_deterministic(before)
        try:
            with reproducible(1):
                assert torch.get_deterministic_debug_mode() == 2
                assert torch.are_deterministic_algorithms_enabled()
            assert torch.get_deterministic_debug_mode() == before
        finally:
            set_deterministic(0)
