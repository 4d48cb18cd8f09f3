"""PyTorch's compiler, which nothing here uses: without it, a process starts more than a second earlier.

PyTorch imports it all the same: for optimizers, for counting operations and for deterministic kernels. Where
a version of PyTorch does so in another way than these functions expect, it is imported as before; no number
depends on it.
"""

import inspect
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch


def set_deterministic(mode: int) -> None:
    """Do as ``torch.use_deterministic_algorithms``, which imports the compiler to tell it.

    Args:
        mode: of ``torch.set_deterministic_debug_mode``: 0 for any kernels, 2 for an error where there are no
            deterministic ones.
    """
    torch.set_deterministic_debug_mode(mode)
    os.environ["TORCHINDUCTOR_DETERMINISTIC"] = str(int(mode > 0))  # for a user's network that imports it
    compiler = sys.modules.get("torch._inductor.config")
    if compiler is not None:
        compiler.deterministic = mode > 0  # type: ignore[attr-defined]


def leave_alone(methods: Iterable[object]) -> None:
    """Make methods that compiled code must skip callable without the compiler.

    Their wrapper imports it at the first call, to ask for the method without the wrapper, unless it finds
    that method in this attribute.
    """
    for method in methods:
        if (function := getattr(method, "__wrapped__", None)) is not None:
            vars(function).setdefault("__dynamo_disable", function)


def without_gradients(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the ``step`` of one of PyTorch's optimizers without its wrappers, which import the compiler."""
    step: Callable[..., Any] = torch.no_grad()(inspect.unwrap(method))
    return step
