"""Optimizers and learning-rate schedules."""

from typing import Any, TypeVar, cast

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, lr_scheduler

from segstudy.config.protocol import Protocol
from segstudy.core import torch_compiler

Kind = TypeVar("Kind", bound=Optimizer)


def make_optimizer(model: nn.Module, protocol: Protocol) -> Optimizer:
    """Return the optimizer that the protocol names, over all parameters of the network."""
    settings: dict[str, Any] = {"lr": protocol.lr, "weight_decay": protocol.weight_decay, "fused": True}
    match protocol.optimizer:
        case "adam":
            return _without_compiler(Adam)(model.parameters(), **settings)
        case "adamw":
            return _without_compiler(AdamW)(model.parameters(), **settings)
        case "sgd":
            return _without_compiler(SGD)(model.parameters(), momentum=protocol.momentum, **settings)


def _without_compiler(optimizer: type[Kind]) -> type[Kind]:
    """Return an optimizer that does the same, but whose methods do not import PyTorch's compiler."""
    torch_compiler.leave_alone(vars(Optimizer).values())
    step = torch_compiler.without_gradients(optimizer.step)
    return cast("type[Kind]", type(optimizer.__name__, (optimizer,), {"step": step}))


def make_scheduler(
    optimizer: Optimizer, protocol: Protocol, total_steps: int
) -> lr_scheduler.LRScheduler | None:
    """Return the scheduler: ``plateau`` acts after epochs, ``cosine`` and ``onecycle`` after steps."""
    match protocol.scheduler:
        case "plateau":
            return lr_scheduler.ReduceLROnPlateau(
                optimizer,
                mode="min" if protocol.plateau_on == "val_loss" else "max",
                factor=protocol.plateau_factor,
                threshold=protocol.plateau_threshold,
                patience=protocol.plateau_patience,
            )
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, T_max=total_steps)
        case "onecycle":
            # Two steps more than are taken: rounding in PyTorch must never ask for one too many.
            return lr_scheduler.OneCycleLR(optimizer, max_lr=protocol.lr, total_steps=total_steps + 2)
        case "none":
            return None
