"""The estimated cost of a study, from a few timed steps: hours, memory, disk."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from segstudy.config.protocol import Protocol
from segstudy.config.runs import Configuration, Run
from segstudy.core.device import autocast, reproducible
from segstudy.core.errors import UserError
from segstudy.core.progress import Stage, silent
from segstudy.core.quantities import percent
from segstudy.core.resources import allowed_memory, machine_load
from segstudy.core.sums import title
from segstudy.core.windowing import Size
from segstudy.data.batches import num_batches, targets_of
from segstudy.data.preprocess import STORED_SIDE_PX, reduced
from segstudy.data.split import Split
from segstudy.losses import build_loss, weights_of
from segstudy.models import build, refuse_fixed_channels, refuse_other_logits
from segstudy.store.checkpoints import KEPT
from segstudy.study.duration import Expected, Forecast, num_epochs, wall_seconds
from segstudy.study.machine import Machine
from segstudy.study.network_inputs import Inputs, inputs_of
from segstudy.study.plan import Plan
from segstudy.training.optimizers import make_optimizer

# Rough constants, measured on real runs; only the forecast uses them.
PROCESS_BYTES = 450_000_000  # a worker that has imported everything and trains nothing
EVALUATION_SHARE = 0.3  # time of an evaluated image over that of a trained one
MEMORY_SHARE = 0.8  # of the free memory that runs may fill
STORED_BITS_PER_PIXEL = 0.8  # of a probability map as 8-bit PNG
FLOAT_BYTES, NATIVE_BYTES = 4, 30  # of a pixel at native size: a class's probability; what its scores take
STATE_SHARE = (
    4  # of a saved state over the weights: network, two moments of Adam, the selected epoch's weights
)
EPOCH_S, RUN_S, START_S = 0.05, 1.0, 5.0  # saving a state, storing a run, starting the workers
OWN_ONNX_S = 10.0  # model.onnx of a user's own network, which is compared with it (docs/LOG.md)
BUSY_SHARE = 0.5  # of the processors that others use: then the machine is called busy
LEAST_CORE_SHARE = 0.8  # of a core that a timed step should have had
TIMING_SECONDS = 1.0  # steps are repeated this long
TIMED_BATCH = 2  # on a CPU, where time grows with the images; a full step at 256 px takes minutes

LOADED = time.monotonic()  # when this process began, near enough

Kind = tuple[str, int, tuple[int, int], str]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated cost of the runs to train.

    Attributes:
        num_runs: runs to train.
        workers: runs in parallel: as many as asked for, or fewer where memory is short.
        hours: wall time with these workers.
        worker_bytes: peak memory of one training; with several workers each takes that.
        disk_bytes: what the run folders will take, and meanwhile the saved states of those at work.
        forecast: what each run is expected to take, for all runs of the plan whose kind was timed.
        busy: why it may take longer, in words; empty if no other process is at work here.
    """

    num_runs: int
    workers: int
    hours: float
    worker_bytes: int
    disk_bytes: int
    forecast: Forecast
    busy: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One timed training step.

    Attributes:
        seconds_per_image: forward, backward and optimizer, over the batch size.
        worker_bytes: parameters, gradients, optimizer state and what the forward pass keeps.
        weight_bytes: the stored model.
        core_share: processor time over wall time of a training with one thread: below 1 if others are
            at work; None if unknown.
    """

    seconds_per_image: float
    worker_bytes: int
    weight_bytes: int
    core_share: float | None = None


Steps = dict[Kind, Step]


def estimate(
    plan: Plan,
    runs: Sequence[Run],
    machine: Machine,
    fit_memory: bool = True,
    stage: Stage = silent,
    known: Steps | None = None,
) -> Estimate:
    """Return the estimated cost, from a few timed steps of every kind of network that will be trained.

    Args:
        plan: the study.
        runs: those of its runs that are still to be trained.
        machine: where they will be.
        fit_memory: no more workers than the free memory holds.
        stage: called with what is being done.
        known: steps that were timed already; those timed now are added.

    Raises:
        UserError: a network that cannot be trained as planned.
    """
    load = others_at_work()
    steps = _timed([run.configuration for run in runs], machine, stage, {} if known is None else known)
    disk = sum(
        steps[_kind(run.configuration)].weight_bytes
        + _prediction_bytes(run.configuration.protocol, plan.split_of(run), plan.native_sizes)
        for run in runs
    )
    worker_bytes = PROCESS_BYTES + max((_worker_bytes(run, plan, steps) for run in runs), default=0)
    workers = max(1, min(machine.workers, len(runs)))
    if fit_memory and machine.device == "cpu" and not machine.grows:  # else other memory counts
        workers = max(1, min(workers, int(MEMORY_SHARE * allowed_memory() / worker_bytes)))
    largest_bytes = max((step.weight_bytes for step in steps.values()), default=0)
    disk += workers * KEPT * STATE_SHARE * largest_bytes
    forecast = Forecast(workers=workers, runs=_expected(plan, steps))
    training_s = wall_seconds((forecast.runs[run.key].seconds for run in runs), workers)
    return Estimate(
        num_runs=len(runs),
        workers=workers,
        hours=(training_s + START_S) / 3600 if runs else 0.0,
        worker_bytes=worker_bytes,
        disk_bytes=disk,
        forecast=forecast,
        busy=busy_words(load, [step.core_share for step in steps.values()]),
    )


def _timed(configurations: Iterable[Configuration], machine: Machine, stage: Stage, known: Steps) -> Steps:
    """Return a timed step of every kind of network, at its largest batch."""
    largest: dict[Kind, Configuration] = {}
    for configuration in configurations:
        other = largest.setdefault(_kind(configuration), configuration)
        if configuration.protocol.batch_size > other.protocol.batch_size:
            largest[_kind(configuration)] = configuration
    fresh = {kind: configuration for kind, configuration in largest.items() if kind not in known}
    for i, (kind, configuration) in enumerate(fresh.items()):
        stage("timing a training step of each kind of network", i, len(fresh))
        known[kind] = _tried(configuration, machine)
    return {kind: known[kind] for kind in largest}


def _expected(plan: Plan, steps: Mapping[Kind, Step]) -> dict[str, Expected]:
    """Return the expected time of each run, also of finished ones, which show how good the forecast is."""
    expected = {}
    for run in plan.runs:
        protocol, kind = run.configuration.protocol, _kind(run.configuration)
        if kind not in steps:
            continue
        inputs = inputs_of(protocol, plan.split_of(run), plan.native_sizes)
        steps_per_epoch = num_batches(inputs.train, protocol.batch_size)
        epochs = num_epochs(protocol.budget, protocol.epochs, protocol.steps, steps_per_epoch)
        seconds = images_of(protocol, inputs) * steps[kind].seconds_per_image + epochs * EPOCH_S + RUN_S
        if isinstance(run.numerics["architecture"], str):  # not ours
            seconds += OWN_ONNX_S
        name = " ".join(str(part) for part in kind)
        expected[run.key] = Expected(kind=name, seconds=seconds, num_epochs=epochs)
    return expected


def others_at_work() -> tuple[float, int] | None:
    """Return the machine's load and processors if other processes use half of them or more; else None."""
    found = machine_load()
    if found is None:
        return None
    load, processors = found
    age_s = max(60.0, time.monotonic() - LOADED)
    return found if load - time.process_time() / age_s >= BUSY_SHARE * processors else None


def busy_words(load: tuple[float, int] | None, shares: Sequence[float | None] = ()) -> str:
    """Return why a forecast may be too low: other processes at work, or timed steps without a full core."""
    if load is not None:
        cores = f"{load[1]} core{'s' if load[1] > 1 else ''}"
        return f"machine is busy: load {load[0]:.1f} on {cores}, so this may take longer"
    least = min((share for share in shares if share is not None), default=1.0)
    if least < LEAST_CORE_SHARE:
        return f"machine is busy: a timed step had {percent(least)} of its core, so this may take longer"
    return ""


def _kind(configuration: Configuration) -> Kind:
    protocol = configuration.protocol
    return configuration.architecture, protocol.width, protocol.image_size, protocol.precision


def images_of(protocol: Protocol, inputs: Inputs) -> float:
    """Return the number of trained images or tiles of a run; evaluated ones count by their share of time."""
    steps_per_epoch = num_batches(inputs.train, protocol.batch_size)
    epochs = protocol.epochs if protocol.budget == "epochs" else protocol.steps / steps_per_epoch
    evaluated = epochs * (inputs.validation + inputs.test * protocol.record_test)
    return epochs * inputs.train + EVALUATION_SHARE * (evaluated + inputs.validation + inputs.test)


def _prediction_bytes(protocol: Protocol, split: Split, sizes: Mapping[str, Size]) -> int:
    """Return the size of a run's probability maps; those of tiles are at the images' own size, or reduced."""
    if protocol.windowing() is None:
        height, width = protocol.image_size
        num_pixels = (len(split.validation) + len(split.test)) * height * width
    else:
        stored = (reduced(sizes[each], STORED_SIDE_PX) for each in (*split.validation, *split.test))
        num_pixels = sum(height * width for height, width in stored)
    return int(num_pixels * protocol.outputs().num_channels * STORED_BITS_PER_PIXEL / 8)


def _worker_bytes(run: Run, plan: Plan, steps: Steps) -> int:
    """Return the memory of a training step, or of the probabilities of the largest image if that is more."""
    step, protocol = steps[_kind(run.configuration)], run.configuration.protocol
    if protocol.windowing() is None:
        return step.worker_bytes
    largest = max(height * width for height, width in plan.native_sizes.values())
    return step.worker_bytes + largest * (FLOAT_BYTES * protocol.outputs().num_channels + NATIVE_BYTES)


def _tried(configuration: Configuration, machine: Machine) -> Step:
    """Return a timed step; an error in it would fail every run, so it is raised before one starts."""
    try:
        return timed_step(configuration, machine)
    except UserError:
        raise
    except Exception as error:  # a user's own network or loss may raise anything
        name = f"{title(configuration.architecture)} with {title(configuration.loss)}"
        raise UserError(
            f"a trial step of {name} failed: {type(error).__name__}: {error}; correct it, or reduce "
            "--image-size, --width or --batch-size if memory ran out"
        ) from error
    finally:
        if machine.device == "cuda":
            torch.cuda.empty_cache()  # the workers, other processes, can use the memory of the trial


def timed_step(configuration: Configuration, machine: Machine) -> Step:
    """Train on noise for about a second and return the measured step.

    Memory is what the network's state, its gradients, the optimizer and the tensors kept for the
    backward pass take; kernels' scratch space comes on top and is not counted.
    """
    protocol, device = configuration.protocol, torch.device(machine.device)
    outputs = protocol.outputs()
    channels = protocol.num_channels
    model = build(configuration.architecture, protocol.width, 0, outputs, channels).to(device)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(model, protocol)
    weights = weights_of(protocol.class_weights, outputs, [1] * len(outputs.names))  # as good as any for time
    loss = build_loss(configuration.loss, outputs, weights)
    batch_size = min(protocol.batch_size, TIMED_BATCH) if device.type == "cpu" else protocol.batch_size
    image = torch.rand(batch_size, channels, *protocol.image_size, device=device)
    image = image.contiguous(memory_format=torch.channels_last)
    target = targets_of((image[:, 0] * len(outputs.names)).byte(), outputs)  # noise, too
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def step() -> None:
        with autocast(device, protocol.precision):
            logits = _forward(configuration.architecture, model, image)
        optimizer.zero_grad()
        refuse_other_logits(logits, image, outputs, configuration.architecture)
        loss(logits.float(), target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    with reproducible(machine.threads):
        began, used = time.perf_counter(), time.process_time()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            step()
        seconds = _seconds_of(step, first=time.perf_counter() - began)
        used = (time.process_time() - used) / (time.perf_counter() - began)
    weight_bytes = sum(tensor.nbytes for tensor in model.state_dict().values())
    activation_bytes = sum(kept.values()) * protocol.batch_size // batch_size
    share = used if device.type == "cpu" and machine.threads == 1 else None
    return Step(seconds / batch_size, 4 * weight_bytes + activation_bytes, weight_bytes, share)


def _forward(architecture: str, model: torch.nn.Module, image: Tensor) -> Tensor:
    """The network's output; one that is fixed at other channels than the images' is refused."""
    try:
        return model(image)  # type: ignore[no-any-return]
    except Exception:
        refuse_fixed_channels(architecture, model, image)
        raise


def _seconds_of(step: Callable[[], None], first: float) -> float:
    """Return the seconds of a step; if the first, slow to warm up, was long, that is measure enough."""
    if first >= TIMING_SECONDS:
        return first
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < TIMING_SECONDS:
        step()
        done += 1
    return (time.perf_counter() - start) / done
