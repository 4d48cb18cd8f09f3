"""A worker starts without what few trainings need."""

import subprocess
import sys

import pytest

TRAIN = """
import sys
import torch
from segstudy.config.protocol import Protocol
from segstudy.core.device import reproducible
from segstudy.models import MODELS, build
from segstudy.models.cost import num_macs
from segstudy.training import worker
from segstudy.training.optimizers import make_optimizer

for name in MODELS:
    for optimizer_name in ("adam", "adamw", "sgd"):
        with reproducible(1):
            model = build(name, 2, 0)
            optimizer = make_optimizer(model, Protocol(optimizer=optimizer_name))
            optimizer.zero_grad(set_to_none=True)
            model(torch.rand(2, 3, 32, 32)).mean().backward()
            optimizer.step()
            optimizer.load_state_dict(optimizer.state_dict())
    num_macs(model, (32, 32))
slow = ("torch._dynamo", "torch._inductor", "sympy", "kornia", "scipy.stats")
print([module for module in slow if module in sys.modules])
"""


@pytest.mark.slow  # a process of its own, with PyTorch
def test_a_training_imports_neither_the_compiler_of_pytorch_nor_the_augmentation():
    done = subprocess.run([sys.executable, "-c", TRAIN], check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == "[]"
