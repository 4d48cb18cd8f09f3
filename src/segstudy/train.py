"""One training, from a run's description to its result: a straight loop."""

import io
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import polars as pl
import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import lr_scheduler

from segstudy.checkpoint import copy_weights
from segstudy.config import Protocol, Run
from segstudy.data.augment import augment
from segstudy.data.batches import Positions, in_batches, load_batch, num_batches, shuffled
from segstudy.data.prepared import Prepared
from segstudy.data.split import Split
from segstudy.evaluation import (
    PartScore,
    autocast,
    best_threshold,
    image_ious,
    image_rows,
    probabilities,
    score_part,
)
from segstudy.losses import build_loss
from segstudy.models import build

NUMERICS = 1  # raised when any number below changes; enters every run's key


class DivergedError(ArithmeticError):
    """The loss is no finite number any more."""


@dataclass(frozen=True)
class Result:
    """What a training leaves behind.

    Attributes:
        epochs: one row per epoch: ``epoch``, ``lr``, ``train_loss``, ``train_iou`` (both as seen while
            the weights moved), ``validation_loss``, ``validation_iou``, and if recorded ``test_loss``,
            ``test_iou``.
        images: one row per image of validation and test, see ``evaluation.image_rows``.
        predictions: ``id``, ``part`` and ``prob``: the network-size probability as 8-bit PNG.
        weights: the network's state at the selected epoch.
        selected_epoch: counted from 1.
        tuned_threshold: the threshold best on validation.
        seconds: wall time by phase: ``train``, ``validation``, ``test_diagnosis``, ``final``.
        inference_ms: wall time of one test image through the network, in batches of 16.
    """

    epochs: pl.DataFrame
    images: pl.DataFrame
    predictions: pl.DataFrame
    weights: dict[str, Tensor]
    selected_epoch: int
    tuned_threshold: float
    seconds: dict[str, float]
    inference_ms: float


def train(
    run: Run,
    prepared: Prepared,
    split: Split,
    device: torch.device,
    progress: Callable[[dict[str, float]], None] = lambda _: None,
) -> Result:
    """Train one network as its run says and score the selected epoch on validation and test.

    Args:
        run: what to train.
        prepared: images and masks of all samples.
        split: ids of the parts.
        device: where to train.
        progress: told every epoch's row.

    Raises:
        DivergedError: the loss became infinite or no number.
    """
    protocol = run.configuration.protocol
    precision = protocol.precision
    parts = {name: prepared.positions(split.part(name)) for name in ("train", "validation", "test")}
    model = build(run.configuration.architecture, protocol.width, run.seed)
    model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loss = build_loss(run.configuration.loss)
    steps_per_epoch = num_batches(len(parts["train"]), protocol.batch_size)
    total_steps = protocol.steps if protocol.budget == "steps" else protocol.epochs * steps_per_epoch
    optimizer = make_optimizer(model, protocol)
    scheduler = make_scheduler(optimizer, protocol, total_steps)

    rows: list[dict[str, float]] = []
    seconds = dict.fromkeys(("train", "validation", "test_diagnosis", "final"), 0.0)
    best_iou, selected_epoch, weights = -1.0, 0, {}
    num_epochs = math.ceil(total_steps / steps_per_epoch)
    for epoch in range(1, num_epochs + 1):
        lr = optimizer.param_groups[0]["lr"]
        with _timed(seconds, "train"):
            steps_left = total_steps - (epoch - 1) * steps_per_epoch
            order = shuffled(parts["train"], run.seed, epoch)
            batches = _training_batches(run, prepared, order, epoch, device)
            trained = _train_epoch(model, loss, optimizer, scheduler, islice(batches, steps_left), precision)
        with _timed(seconds, "validation"):
            validation = score_part(model, loss, prepared, parts["validation"], device, precision)
        row = {"epoch": epoch, "lr": lr, **_columns("train", trained), **_columns("validation", validation)}
        if protocol.record_test:  # for diagnosis: nothing ever reads it
            with _timed(seconds, "test_diagnosis"):
                test = score_part(model, loss, prepared, parts["test"], device, precision)
            row |= _columns("test", test)
        rows.append(row)
        progress(row)
        if not math.isfinite(trained.loss) or not math.isfinite(validation.loss):
            raise DivergedError(
                f"the loss is {trained.loss} in epoch {epoch} (validation: {validation.loss})"
            )
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(validation.loss if protocol.plateau_on == "val_loss" else validation.iou)
        if validation.iou > best_iou or protocol.select == "last":
            best_iou, selected_epoch, weights = validation.iou, epoch, copy_weights(model)

    model.load_state_dict(weights)
    with _timed(seconds, "final"):
        prob = {"validation": probabilities(model, prepared, parts["validation"], device, precision)}
        start = time.perf_counter()  # the network is warm by now
        prob["test"] = probabilities(model, prepared, parts["test"], device, precision)
        inference_ms = 1000 * (time.perf_counter() - start) / len(parts["test"])
        threshold = best_threshold(prob["validation"], prepared, parts["validation"])
        images = pl.concat(
            [
                image_rows(prob["validation"], prepared, parts["validation"], "validation", threshold),
                image_rows(prob["test"], prepared, parts["test"], "test", threshold),
            ]
        )
    return Result(
        epochs=pl.DataFrame(rows),
        images=images,
        predictions=images.select("id", "part").with_columns(
            prob=pl.Series([_png(p) for name in ("validation", "test") for p in prob[name]], dtype=pl.Binary)
        ),
        weights=weights,
        selected_epoch=selected_epoch,
        tuned_threshold=threshold,
        seconds=seconds,
        inference_ms=inference_ms,
    )


def _training_batches(
    run: Run, prepared: Prepared, order: Positions, epoch: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    protocol = run.configuration.protocol
    for positions in in_batches(order, protocol.batch_size):
        image, target = load_batch(prepared, positions, device)
        if protocol.augmentation != "none":
            ids = [prepared.ids[i] for i in positions]
            image, target = augment(image, target, protocol.augmentation, ids, run.seed, epoch)
        yield image, target


def _train_epoch(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    scheduler: lr_scheduler.LRScheduler | None,
    batches: Iterator[tuple[Tensor, Tensor]],
    precision: str,
) -> PartScore:
    model.train()
    total, ious = 0.0, []
    for image, target in batches:
        with autocast(image.device, precision):
            logits = model(image)
        value = loss(logits.float(), target)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if scheduler is not None and not isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step()
        total += len(image) * value.item()
        ious += image_ious(logits, target)
    return PartScore(total / len(ious), float(np.mean(ious)))


def make_optimizer(model: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    """The optimizer that the protocol names, over all parameters of the network."""
    settings: dict[str, Any] = {"lr": protocol.lr, "weight_decay": protocol.weight_decay, "fused": True}
    match protocol.optimizer:
        case "adam":
            return torch.optim.Adam(model.parameters(), **settings)
        case "adamw":
            return torch.optim.AdamW(model.parameters(), **settings)
        case "sgd":
            return torch.optim.SGD(model.parameters(), momentum=protocol.momentum, **settings)


def make_scheduler(
    optimizer: torch.optim.Optimizer, protocol: Protocol, total_steps: int
) -> lr_scheduler.LRScheduler | None:
    """The learning rate's course: ``plateau`` moves after epochs, ``cosine`` and ``onecycle`` after steps."""
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
            # Two steps more than are taken: PyTorch's own rounding must never ask for one too many.
            return lr_scheduler.OneCycleLR(optimizer, max_lr=protocol.lr, total_steps=total_steps + 2)
        case "none":
            return None


def _columns(part: str, score: PartScore) -> dict[str, float]:
    return {f"{part}_loss": score.loss, f"{part}_iou": score.iou}


def _png(prob: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.round(prob * 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[phase] += time.perf_counter() - start


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Deterministic kernels and a fixed number of threads inside; what was set before afterwards.

    1 and 2 threads give different weights after ten steps, so the number is part of what a run records.
    """
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
