"""One training, from a run's description to its result: a straight loop."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import lr_scheduler

from segstudy.config.runs import Run
from segstudy.core.class_weights import BALANCED
from segstudy.core.device import autocast, is_out_of_memory
from segstudy.core.errors import one_line
from segstudy.core.network_outputs import OutputError
from segstudy.core.seeding import seed_for
from segstudy.data.augment import augment, changes_of
from segstudy.data.batches import Pixels, in_batches, num_batches, pixels_on
from segstudy.data.prepared import Positions, Samples
from segstudy.data.preprocess import prob_to_store
from segstudy.data.samples import Part
from segstudy.data.split import Split
from segstudy.evaluation.blocks import in_blocks
from segstudy.evaluation.forward import PartScore, Tally, probabilities, probabilities_of, score_part
from segstudy.evaluation.per_image import best_threshold, score_images
from segstudy.evaluation.probability_counts import ProbabilityCounts
from segstudy.losses import build_loss, weights_of
from segstudy.models import build, is_ours
from segstudy.store.probability_maps import probability_png
from segstudy.store.weights import copy_weights
from segstudy.training.class_pixels import class_pixels
from segstudy.training.optimizers import make_optimizer, make_scheduler

NUMERICS = 1  # raised when any number below changes; enters every run's key

SCORED: tuple[Part, ...] = ("validation", "test")
MOST_KEPT_LOGITS = 2**24  # of the validation images; 64 MB in float32
SELECTION = ("rows", "best_iou", "selected_epoch", "seconds")  # plain values of a training


class DivergedError(ArithmeticError):
    """The loss is no longer finite."""


@dataclass(frozen=True)
class Result:
    """The result of a training.

    Attributes:
        epochs: one row per epoch: ``epoch``, ``lr``, ``train_loss``, ``train_iou`` (both
            measured while the weights changed), ``validation_loss``, ``validation_iou``, and if recorded
            ``test_loss``, ``test_iou``.
        images: one row per image of validation and test, see ``evaluation.per_image``.
        classes: one row per image and class, see ``evaluation.class_rows``; None in binary studies.
        predictions: ``id``, ``part`` and ``prob``: the network-size probability as 8-bit PNG, see
            ``store.probability_maps``; of tiles reduced, see ``preprocess.prob_to_store``.
        probabilities: pixels by probability, see ``evaluation.probability_counts``; None if there are
            probabilities of several classes.
        weights: the network's state at the selected epoch.
        selected_epoch: counted from 1.
        tuned_threshold: the threshold best on validation; None where no threshold decides.
        seconds: wall time by phase, over all sessions: ``train``, ``validation``, ``test_diagnosis``,
            ``final``.
        inference_ms: wall time of one test image through the network, in batches of 16.
    """

    epochs: pl.DataFrame
    images: pl.DataFrame
    classes: pl.DataFrame | None
    predictions: pl.DataFrame
    probabilities: pl.DataFrame | None
    weights: dict[str, Tensor]
    selected_epoch: int
    tuned_threshold: float | None
    seconds: dict[str, float]
    inference_ms: float


@dataclass
class Training:
    """A training between two epochs.

    ``snapshot`` holds all that changes with the epochs; everything else follows from the run.
    """

    run: Run
    pixels: Pixels
    parts: dict[str, Positions]
    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: torch.optim.Optimizer
    scheduler: lr_scheduler.LRScheduler | None
    scaler: torch.amp.GradScaler
    steps_per_epoch: int
    total_steps: int
    rows: list[dict[str, float]]
    best_iou: float
    selected_epoch: int
    weights: dict[str, Tensor]
    seconds: dict[str, float]
    validation_logits: list[Tensor] | None = None  # of the selected epoch, if this session has computed them

    @property
    def num_epochs(self) -> int:
        return math.ceil(self.total_steps / self.steps_per_epoch)


def train(run: Run, prepared: Samples, split: Split, device: torch.device) -> Result:
    """Train one network as its run says and score the selected epoch on validation and test.

    Args:
        run: what to train.
        prepared: images and masks of all samples.
        split: ids of the subsets.
        device: where to train.

    Raises:
        DivergedError: the loss became infinite or no number.
    """
    training = begin(run, prepared, split, device)
    for _ in epochs(training):
        pass
    return finish(training)


def begin(run: Run, prepared: Samples, split: Split, device: torch.device) -> Training:
    """Return a training before its first epoch; arguments as for ``train``."""
    protocol = run.configuration.protocol
    outputs = protocol.outputs()
    assert (outputs, protocol.resize) == (prepared.outputs, prepared.resize), "data prepared for another run"
    parts = {name: prepared.positions(split.part(name)) for name in ("train", "validation", "test")}
    model = build(run.configuration.architecture, protocol.width, run.seed, outputs, protocol.num_channels)
    model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(model, protocol)
    balanced = protocol.class_weights == BALANCED
    pixels = class_pixels(prepared, parts["train"]) if balanced else ()
    weights = weights_of(protocol.class_weights, outputs, pixels)
    steps_per_epoch = num_batches(prepared.num_inputs(parts["train"]), protocol.batch_size)
    total_steps = protocol.steps if protocol.budget == "steps" else protocol.epochs * steps_per_epoch
    return Training(
        run=run,
        pixels=pixels_on(prepared, device),
        parts=parts,
        model=model,
        loss=build_loss(run.configuration.loss, outputs, weights),
        optimizer=optimizer,
        scheduler=make_scheduler(optimizer, protocol, total_steps),
        # Gradients of float16 vanish below 6e-8; in the other precisions the scaler does nothing.
        scaler=torch.amp.GradScaler(device.type, enabled=protocol.precision == "float16"),
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        rows=[],
        best_iou=-1.0,
        selected_epoch=0,
        weights={},
        seconds=dict.fromkeys(("train", "validation", "test_diagnosis", "final"), 0.0),
    )


def epochs(training: Training) -> Iterator[dict[str, float]]:
    """Train the remaining epochs and yield the row of each; the caller may stop between two of them.

    Raises:
        DivergedError: the loss became infinite or no number.
    """
    run, model, optimizer, scheduler = training.run, training.model, training.optimizer, training.scheduler
    protocol = run.configuration.protocol
    score = partial(score_part, model, training.loss, training.pixels, precision=protocol.precision)
    for epoch in range(len(training.rows) + 1, training.num_epochs + 1):
        lr = optimizer.param_groups[0]["lr"]
        with timed(training.seconds, "train"), _random_stream(run.seed, epoch, training.pixels.device):
            trained = _train_epoch(training, epoch)
        with timed(training.seconds, "validation"):
            kept: list[Tensor] | None = [] if _may_keep_logits(training) else None
            validation = score(positions=training.parts["validation"], kept=kept)
        row = {"epoch": epoch, "lr": lr, **_columns("train", trained), **_columns("validation", validation)}
        if protocol.record_test:  # for diagnosis: nothing depends on it
            with timed(training.seconds, "test_diagnosis"):
                test = score(positions=training.parts["test"])
            row |= _columns("test", test)
        if not math.isfinite(trained.loss) or not math.isfinite(validation.loss):
            raise DivergedError(
                f"the loss is {trained.loss} in epoch {epoch} (validation: {validation.loss})"
            )
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(validation.loss if protocol.plateau_on == "val_loss" else validation.iou)
        if validation.iou > training.best_iou or protocol.select == "last":
            training.best_iou, training.selected_epoch = validation.iou, epoch
            training.weights, training.validation_logits = copy_weights(model), kept
        training.rows.append(row)
        yield row


def finish(training: Training) -> Result:
    """Score the selected epoch and return the result; its weights are in the network afterwards.

    Raises:
        DivergedError: the network's output for a validation or test image is not finite.
    """
    model, pixels, parts = training.model, training.pixels, training.parts
    prepared, protocol = pixels.prepared, training.run.configuration.protocol
    precision, tolerance = protocol.precision, protocol.nsd_tolerance
    model.load_state_dict(training.weights)
    with timed(training.seconds, "final"), _no_numbers_are_divergence():
        prob: dict[Part, Collection[NDArray[np.float32]]] = {}
        if training.validation_logits is None:
            prob["validation"] = probabilities(model, pixels, parts["validation"], precision)
        else:
            logits = training.validation_logits
            prob["validation"] = probabilities_of(logits, prepared, parts["validation"])
        start = time.perf_counter()  # the network is warm from its epochs
        prob["test"] = probabilities(model, pixels, parts["test"], precision)
        inference_ms = 1000 * (time.perf_counter() - start) / len(parts["test"])
        threshold = best_threshold(prob["validation"], prepared, parts["validation"])
        is_binary = prepared.outputs.task == "binary"
        counts = {part: ProbabilityCounts(len(parts[part])) for part in SCORED} if is_binary else {}
        scores = [
            score_images(
                prob[part], prepared, parts[part], part, threshold, tolerance, counts=counts.get(part)
            )
            for part in SCORED
        ]
    images = pl.concat(each.images for each in scores)
    ids = {part: [prepared.ids[i] for i in parts[part]] for part in SCORED}
    return Result(
        epochs=pl.DataFrame(training.rows),
        images=images,
        classes=_joined(each.classes for each in scores),
        predictions=images.select("id", "part").with_columns(
            _pngs(prob_to_store(p, prepared.resize) for part in SCORED for p in prob[part])
        ),
        probabilities=_joined(each.table(ids[part], part) for part, each in counts.items()),
        weights=training.weights,
        selected_epoch=training.selected_epoch,
        tuned_threshold=threshold,
        seconds=training.seconds,
        inference_ms=inference_ms,
    )


def _joined(tables: Iterable[pl.DataFrame | None]) -> pl.DataFrame | None:
    """Return the rows of all tables; None if there are none."""
    there = [table for table in tables if table is not None]
    return pl.concat(there) if there else None


def _may_keep_logits(training: Training) -> bool:
    """Whether the logits of the validation images are small beside the rest of a training.

    Of a network that is not ours they are not kept: it may have state that is not among its weights.
    """
    configuration = training.run.configuration
    height, width = configuration.protocol.image_size
    num_channels = configuration.protocol.outputs().num_channels
    if configuration.protocol.resize == "tiles":
        return False
    are_few = len(training.parts["validation"]) * height * width * num_channels <= MOST_KEPT_LOGITS
    return are_few and is_ours(configuration.architecture)


@contextmanager
def _no_numbers_are_divergence() -> Iterator[None]:
    try:
        yield
    except OutputError as error:
        raise DivergedError(str(error)) from None


def snapshot(training: Training) -> dict[str, Any]:
    """Return all that the epochs so far have changed, from which ``restore`` continues without a difference.

    Random streams need no state: each is computed again from its name, which holds the seed and the epoch.
    """
    scheduler = training.scheduler
    selected_now = training.selected_epoch == len(training.rows)  # then the network has its weights
    return {
        "model": training.model.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "scheduler": scheduler.state_dict() if scheduler else None,
        "scaler": training.scaler.state_dict(),
        "weights": None if selected_now else training.weights,
        **{name: getattr(training, name) for name in SELECTION},
    }


def restore(training: Training, taken: Mapping[str, Any]) -> None:
    """Set a training that has just begun to the state of a snapshot.

    Raises:
        ValueError: a snapshot of another network, optimizer or scheduler.
    """
    try:
        training.model.load_state_dict(taken["model"])
        training.optimizer.load_state_dict(taken["optimizer"])
        if training.scheduler is not None:
            training.scheduler.load_state_dict(taken["scheduler"])
        if training.scaler.is_enabled():
            training.scaler.load_state_dict(taken["scaler"])
        for name in SELECTION:
            setattr(training, name, taken[name])
        selected_now = taken["weights"] is None
        training.weights = copy_weights(training.model) if selected_now else taken["weights"]
    except (RuntimeError, KeyError, TypeError, AttributeError) as error:
        if is_out_of_memory(error):  # says nothing about the snapshot
            raise
        raise ValueError(f"does not fit this training: {one_line(error)}") from error


def _training_batches(
    run: Run, pixels: Pixels, order: Positions, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    protocol = run.configuration.protocol
    batches = pixels.batches(order, protocol.batch_size)
    if protocol.augmentation == "none":
        yield from batches
        return
    changes, done = changes_of(pixels.prepared.names(order), run.seed, epoch).to(pixels.device), 0
    for image, target in batches:
        part = changes[done : done + len(image)]
        yield augment(image, target, protocol.augmentation, part, pixels.prepared.outputs)
        done += len(image)


def _train_epoch(training: Training, epoch: int) -> PartScore:
    """Train one pass over the training images, or the steps that are left."""
    run, model, optimizer, scheduler = training.run, training.model, training.optimizer, training.scheduler
    scaler, protocol = training.scaler, run.configuration.protocol
    steps_left = training.total_steps - (epoch - 1) * training.steps_per_epoch
    order = training.pixels.prepared.order_of_epoch(training.parts["train"], run.seed, epoch)
    batches = _training_batches(run, training.pixels, order, epoch)
    model.train()
    tally = Tally(training.pixels.prepared.outputs)
    for image, target in islice(batches, steps_left):
        optimizer.zero_grad(set_to_none=True)
        for images, targets in micro_batches(image, target, protocol.micro_batch):
            with autocast(training.pixels.device, protocol.precision):
                logits = model(images)
            value = training.loss(logits.float(), targets)
            scaler.scale(value * (len(images) / len(image))).backward()  # type: ignore[no-untyped-call]
            tally.add(value, logits, targets)
        scaler.step(optimizer)
        scaler.update()
        if scheduler is not None and not isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step()
    return tally.score()


def micro_batches(image: Tensor, target: Tensor, size: int | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Return a batch in pieces that the network takes one at a time; a single last one joins the others.

    The gradients of the pieces, weighted by their images, add up to the whole batch's, as losses are means
    over images. Batch norm alone sees the difference: it normalises by the images of a piece.
    """
    sizes = [len(part) for part in in_batches(np.arange(len(image)), size or len(image))]
    yield from zip(torch.split(image, sizes), torch.split(target, sizes), strict=True)


@contextmanager
def _random_stream(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed what a network draws at random itself, as dropout does, from a stream of this epoch."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed_for("noise", seed=seed, epoch=epoch))
        yield


def _columns(part: str, score: PartScore) -> dict[str, float]:
    return {f"{part}_loss": score.loss, f"{part}_iou": score.iou}


def _pngs(prob: Iterable[np.ndarray]) -> pl.Series:
    return in_blocks({"prob": probability_png(p)} for p in prob)["prob"]


@contextmanager
def timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    """Add the wall time spent inside to that of a phase, in seconds."""
    start = time.perf_counter()
    yield
    seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - start
