"""Planning and running a study from Python: ``segstudy.run(...)`` is the command ``segstudy run``.

PyTorch is imported by the functions that need it, because the import takes seconds.

Every field of a study is an argument of three functions, written out so that editors, ``help`` and type
checkers know them. ``tests/api/test_arguments.py`` checks that they are the fields of ``config.Protocol``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segstudy.api.study import Study
from segstudy.config import study_file
from segstudy.config.runs import Run
from segstudy.core.arguments import checked_call
from segstudy.core.locks import is_held
from segstudy.core.plain_text import plain_console
from segstudy.core.progress import Stage, silent
from segstudy.study.look_requests import requested
from segstudy.study.options import described
from segstudy.study.trackers import chosen_trackers
from segstudy.study.trackers.terminal import Display
from segstudy.study.up_to_date import settled

if TYPE_CHECKING:
    from segstudy.study.choices import Choice
    from segstudy.study.estimate import Estimate
    from segstudy.study.machine import Machine
    from segstudy.study.plan import Plan

# One value for all configurations, or several: a factor.
Words = str | Sequence[str] | None
Ints = int | Sequence[int] | None
Numbers = float | Sequence[float] | None
Sizes = int | str | Sequence[int | str | tuple[int, int]] | None
Foregrounds = int | str | Sequence[int] | Sequence[str] | Sequence[Sequence[int]] | None
Classes = str | Sequence[str] | Mapping[str, int | str | Sequence[int | str]] | None
Weights = str | Sequence[str] | Sequence[float] | None
Values = int | str | Sequence[int | str] | None


@checked_call
def run(  # noqa: PLR0913 (an option each)
    study: str | Path | None = None,
    *,
    protocol: str | None = None,
    architecture: Words = None,
    loss: Words = None,
    seeds: int | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    image_size: Sizes = None,
    resize: Words = None,
    overlap: Ints = None,
    classes: Classes = None,
    class_weights: Weights = None,
    ignore: Values = None,
    foreground: Foregrounds = None,
    masks: str | None = None,
    channels: int | None = None,
    intensity: str | None = None,
    split: str | Path | Sequence[str] | None = None,
    split_file: str | Path | None = None,
    split_seed: Ints = None,
    train_frac: Numbers = None,
    width: Ints = None,
    batch_size: Ints = None,
    micro_batch: Ints = None,
    budget: Words = None,
    epochs: Ints = None,
    steps: Ints = None,
    optimizer: Words = None,
    lr: Numbers = None,
    momentum: Numbers = None,
    weight_decay: Numbers = None,
    scheduler: Words = None,
    plateau_on: Words = None,
    plateau_factor: Numbers = None,
    plateau_threshold: Numbers = None,
    plateau_patience: Ints = None,
    augmentation: Words = None,
    select: Words = None,
    precision: Words = None,
    record_test: bool | Sequence[bool] | None = None,
    nsd_tolerance: float | None = None,
    data: str | Path | None = None,
    reader: str | None = None,
    name: str | None = None,
    exclude: str | Path | Sequence[str] | None = None,
    accept_duplicates: bool | None = None,
    margin: float | None = None,
    fields: Mapping[str, Any] | None = None,
    device: str = "auto",
    threads: int = 0,
    workers: int = 0,
    executor: str | None = None,
    checkpoint_every: int = 0,
    same_hardware: bool = False,
    executor_options: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    tracker: str | Sequence[str] = "terminal",
    retry: bool = False,
    images: bool = True,
    until_settled: bool = False,
    max_hours: float | None = None,
    max_seeds: int | None = None,
    yes: bool = False,
    confirm: Callable[["Estimate"], bool] | None = None,
    choose: Callable[[Sequence["Choice"]], "Choice | None"] | None = None,
    display: Display | None = None,
) -> Study:
    """Train every run of a study that is not stored yet, then write the report.

    Every field of the protocol is an argument. A list of values makes a factor, ``lr=[1e-2, 1e-3]``: each is
    trained with each of the others. Of ``foreground`` a list of numbers is the classes that count together,
    as in a study file: ``[1, 2]`` and ``"1+2"`` are one value, ``["1", "2"]`` are two.

    Args:
        study: a study file, a data set's folder or a study's folder; None for the synthetic set and the
            quick protocol.
        protocol: ``quick``, ``classic`` or ``thorough``: the initial values of the fields.
        architecture: a name in ``segstudy.models.MODELS``, such as ``unet``, or ``my.py:MyNet``.
        loss: a name in ``segstudy.losses.LOSSES``, such as ``dice``, a weighted sum of them, such as
            ``bce+0.5*dice``, or ``my.py:my_loss``.
        seeds: runs of each configuration, with seeds 0 to N-1.
        folds: number of folds, at least 3; 0: one split.
        repeats: number of sets of folds, with ``split_seed`` to ``split_seed + repeats - 1``.
        image_size: pixels, ``128`` or ``"96x128"`` (height x width).
        resize: ``squash`` to the size, or ``pad``; ``tiles`` of that size at the images' own resolution.
        overlap: pixels that tiles share; a quarter of a tile if left out.
        classes: names of several classes with their mask values, ``"background=0,disc=1,cup=2"`` or
            ``{"background": 0, "disc": 1, "cup": 2}``; names alone, ``["disc", "cup"]``, of classes that may
            overlap, with masks in a folder each.
        class_weights: of the classes in the loss: ``none``, ``balanced``, or one each as ``"1+2+5"``.
        ignore: mask values of pixels that count nowhere.
        foreground: values of a multi-class mask that count.
        masks: what mask values mean: ``auto``, or a rule such as ``background=0``.
        channels: the number of channels of the images, if it is not 3: 1 for grey images.
        intensity: image values that become 0 to 255: ``auto``, ``full`` or a range such as ``0..4095``.
        split: ``auto``, ``official``, shares as ``50/25/25``, or a ``split.json``.
        split_file: a ``split.json`` with the subsets.
        split_seed: seed of the split, on which the subset of each sample depends alone.
        train_frac: share of the training images that is used; smaller shares are nested in larger ones.
        width: channels of the first stage.
        batch_size: images per step.
        micro_batch: images per forward pass, if a whole batch does not fit into memory.
        budget: what is equal for all: ``epochs`` or ``steps``.
        epochs: passes over the training images.
        steps: updates, where the budget is steps.
        optimizer: ``adam``, ``adamw`` or ``sgd``.
        lr: learning rate.
        momentum: of sgd.
        weight_decay: of the optimizer.
        scheduler: ``plateau``, ``cosine``, ``onecycle`` or ``none``.
        plateau_on: ``val_loss`` or ``val_iou``: the score that must improve.
        plateau_factor: by which the rate is multiplied on a plateau.
        plateau_threshold: relative improvement that counts.
        plateau_patience: epochs without improvement before the rate is reduced.
        augmentation: ``none``, ``flips`` or ``full``.
        select: ``val_iou`` or ``last``: which epoch's weights are kept.
        precision: ``float32``, ``bfloat16``, ``float16`` or ``auto``.
        record_test: record test loss and IoU every epoch, for diagnosis only.
        nsd_tolerance: of the normalised surface distance, as a share of the image's diagonal.
        data: where the data set lies, if not where the study says.
        reader: how to read it; detected if left out.
        name: names the study's folder.
        exclude: ids to leave out, or a file with one a line.
        accept_duplicates: train though near-duplicates of an image lie in several parts.
        margin: of IoU: smaller differences count as practically equal; fix it before the first run.
        fields: the same fields by their names, where these are known at run time only.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``; like all that follows, not part of a run's key.
        threads: CPU threads of each run; 0 leaves it to this machine.
        workers: runs in parallel; 0 leaves it to this machine.
        executor: a key of ``EXECUTORS``: ``serial``, ``processes`` or ``ray``.
        checkpoint_every: epochs from one saved state to the next: at most as many are lost; 0: see
            ``training.resume.is_due``.
        same_hardware: refuse to train where bits could differ from those of the runs that are there.
        executor_options: options of the executor, by name, such as ``{"gpus_per_run": 0.25}`` for ``ray``.
        out: the study's folder; derived from its name if left out.
        tracker: where progress is shown or logged, names of ``TRACKERS``; several as a list.
        retry: also runs that diverged before.
        images: whether the report may show pictures of the data.
        until_settled: a sequential study: add seeds in stages, and stop what is beaten at planned looks.
            ``seeds`` are those of the first look. The looks are planned before the first run and kept.
        max_hours: of a sequential study: stop for now after so many hours; the same call continues.
        max_seeds: of a sequential study: seeds of the last look.
        yes: continue even if the study will take more than two hours.
        confirm: called instead with the estimate; False stops before anything is written.
        choose: called if ``confirm`` did not agree; returns one of the shorter studies, the quickest first,
            or the last, which is the whole study; None for none of them.
        display: where the tracker ``terminal`` and what is planned are printed.

    Raises:
        UserError: a wrong call, study file or data set, or another process at work on this study; nothing is
            written then. More than two hours ahead, and neither ``yes`` nor a ``confirm`` that agrees. A disk
            that is full or cannot be written.
        Stopped: a signal asked to stop; what was trained is saved, and the same call continues from there.
    """
    options = dict(locals())
    trackers = tuple(chosen_trackers(tracker))
    asked, folder = described(study, options)
    asked, sequential = requested(asked, folder, study, options)
    display = display or Display(plain_console())
    quick = sequential is None and _leaves_all_to_the_machine(options)
    overview = settled(asked, folder, images) if quick else None
    if overview is not None and not is_held(folder.lock):
        display.plan(overview, 0)
        return Study(folder.path)
    from segstudy.study.run import Call, train_missing

    call = Call(study, options, asked, folder, retry, images, trackers, sequential)
    trained = train_missing(call, (lambda _: True) if yes else confirm, choose, display)
    return Study(trained.path)


def _leaves_all_to_the_machine(options: Mapping[str, Any]) -> bool:
    """Whether the call sets nothing about the machine that planning would check."""
    numbers = ("threads", "workers", "checkpoint_every")
    by_number = all(int(options.get(name) or 0) >= 0 for name in numbers)
    by_name = options.get("executor") is None and options.get("device") in (None, "auto")
    by_option = not (options.get("same_hardware") or options.get("executor_options"))
    return by_number and by_name and by_option


@checked_call
def plan(  # noqa: PLR0913 (an option each)
    study: str | Path | None = None,
    *,
    protocol: str | None = None,
    architecture: Words = None,
    loss: Words = None,
    seeds: int | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    image_size: Sizes = None,
    resize: Words = None,
    overlap: Ints = None,
    classes: Classes = None,
    class_weights: Weights = None,
    ignore: Values = None,
    foreground: Foregrounds = None,
    masks: str | None = None,
    channels: int | None = None,
    intensity: str | None = None,
    split: str | Path | Sequence[str] | None = None,
    split_file: str | Path | None = None,
    split_seed: Ints = None,
    train_frac: Numbers = None,
    width: Ints = None,
    batch_size: Ints = None,
    micro_batch: Ints = None,
    budget: Words = None,
    epochs: Ints = None,
    steps: Ints = None,
    optimizer: Words = None,
    lr: Numbers = None,
    momentum: Numbers = None,
    weight_decay: Numbers = None,
    scheduler: Words = None,
    plateau_on: Words = None,
    plateau_factor: Numbers = None,
    plateau_threshold: Numbers = None,
    plateau_patience: Ints = None,
    augmentation: Words = None,
    select: Words = None,
    precision: Words = None,
    record_test: bool | Sequence[bool] | None = None,
    nsd_tolerance: float | None = None,
    data: str | Path | None = None,
    reader: str | None = None,
    name: str | None = None,
    exclude: str | Path | Sequence[str] | None = None,
    accept_duplicates: bool | None = None,
    margin: float | None = None,
    fields: Mapping[str, Any] | None = None,
    device: str = "auto",
    threads: int = 0,
    workers: int = 0,
    executor: str | None = None,
    checkpoint_every: int = 0,
    same_hardware: bool = False,
    executor_options: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    stage: Stage = silent,
) -> "tuple[Plan, list[Run], Estimate, Machine]":
    """Return what ``run`` would do with the same arguments; writes nothing.

    ``stage`` is called with what is being done, and how much of it is done.

    Returns:
        The plan, the runs left, their cost and the machine.

    Raises:
        UserError: a wrong call, study file or data set.
    """
    options = dict(locals())
    from segstudy.study.estimate import estimate
    from segstudy.study.look_plans import needed, seed_plan_for
    from segstudy.study.run import planned

    asked, folder = described(study, options)
    asked, sequential = requested(asked, folder, study, options)
    made, machine, missing = planned(asked, folder, options, stage=stage)
    made, missing = needed(made, missing, seed_plan_for(made, folder, sequential))
    ahead = estimate(made, missing, machine, fit_memory=not workers, stage=stage)
    return made, missing, ahead, replace(machine, workers=ahead.workers)


@checked_call
def init(  # noqa: PLR0913 (an option each)
    study: str | Path | None = None,
    *,
    protocol: str | None = None,
    architecture: Words = None,
    loss: Words = None,
    seeds: int | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    image_size: Sizes = None,
    resize: Words = None,
    overlap: Ints = None,
    classes: Classes = None,
    class_weights: Weights = None,
    ignore: Values = None,
    foreground: Foregrounds = None,
    masks: str | None = None,
    channels: int | None = None,
    intensity: str | None = None,
    split: str | Path | Sequence[str] | None = None,
    split_file: str | Path | None = None,
    split_seed: Ints = None,
    train_frac: Numbers = None,
    width: Ints = None,
    batch_size: Ints = None,
    micro_batch: Ints = None,
    budget: Words = None,
    epochs: Ints = None,
    steps: Ints = None,
    optimizer: Words = None,
    lr: Numbers = None,
    momentum: Numbers = None,
    weight_decay: Numbers = None,
    scheduler: Words = None,
    plateau_on: Words = None,
    plateau_factor: Numbers = None,
    plateau_threshold: Numbers = None,
    plateau_patience: Ints = None,
    augmentation: Words = None,
    select: Words = None,
    precision: Words = None,
    record_test: bool | Sequence[bool] | None = None,
    nsd_tolerance: float | None = None,
    data: str | Path | None = None,
    reader: str | None = None,
    name: str | None = None,
    exclude: str | Path | Sequence[str] | None = None,
    accept_duplicates: bool | None = None,
    margin: float | None = None,
    fields: Mapping[str, Any] | None = None,
) -> str:
    """Return a study file to start from, as text; its arguments are the study's fields as in ``run``.

    Raises:
        UserError: an invalid call or study file.
    """
    asked, _ = described(study, dict(locals()))
    return study_file.dump(asked, Path.cwd(), comments=True)
