"""The options of a study and of a machine, which several commands have."""

from dataclasses import asdict, dataclass, field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from segstudy.cli.terminal import choices_text
from segstudy.core.table_keys import keys_of
from segstudy.training.executors import EXECUTORS

_OTHERS = "file.py:Name, package.module:Name, the name of a plug-in"
_ARCHITECTURES = ", ".join([*keys_of("segstudy.models", "MODELS"), _OTHERS])
_LOSSES = ", ".join([*keys_of("segstudy.losses", "LOSSES"), _OTHERS])
_MASKS = "The rule for mask values, such as background=0. By default, it is found from all masks."
CLASSES = (
    "The names of several classes with their mask values, such as background=0,disc=1,cup=2; names alone, "
    "such as disc,cup, if classes may overlap and have masks in a folder each."
)
IGNORE = "The mask values of pixels that count nowhere, such as 255 or 254+255."
RESIZE = (
    "How images become the network's input: squash or pad to --image-size, or tiles of that size at the "
    "images' own resolution."
)
CHANNELS = "The number of channels of the images, if it is not 3: 1 for grey images, or the bands of a TIFF."
_INTENSITY = (
    "The image values that become 0 to 255, such as 0..4095. By default, they are found from all images."
)


@Parameter(name="*")
@dataclass(frozen=True)
class StudyFlags:
    """What overrides a study. Comma lists make factors: --loss bce,dice --set lr=1e-3,1e-4."""

    protocol: Annotated[
        str | None, Parameter(help="The initial values of all fields: quick, classic or thorough.")
    ] = None
    architecture: Annotated[str | None, Parameter(help=f"One or more of: {_ARCHITECTURES}.")] = None
    loss: Annotated[
        str | None, Parameter(help=f"One or more of: {_LOSSES}; or weighted sums, as bce+0.5*dice.")
    ] = None
    batch_size: Annotated[str | None, Parameter(help="The number of images per training step.")] = None
    seeds: Annotated[int | None, Parameter(help="The number of runs per configuration: seeds 0 to N-1.")] = (
        None
    )
    folds: Annotated[int | None, Parameter(help="Folds instead of one split: each image is tested once.")] = (
        None
    )
    repeats: Annotated[
        int | None, Parameter(help="The number of sets of folds, each dealt in another order. Needs --folds.")
    ] = None
    epochs: Annotated[str | None, Parameter(help="The number of passes over the training images.")] = None
    image_size: Annotated[
        str | None, Parameter(help="The size for the networks in pixels: N, or height x width as HxW.")
    ] = None
    width: Annotated[str | None, Parameter(help="The number of channels of the first stage.")] = None
    classes: Annotated[str | None, Parameter(help=CLASSES)] = None
    ignore: Annotated[str | None, Parameter(help=IGNORE)] = None
    masks: Annotated[str | None, Parameter(help=_MASKS)] = None
    channels: Annotated[int | None, Parameter(help=CHANNELS)] = None
    resize: Annotated[str | None, Parameter(help=RESIZE)] = None
    intensity: Annotated[str | None, Parameter(help=_INTENSITY)] = None
    set_: Annotated[
        list[str] | None,
        Parameter(
            name="--set",
            help="Any other field of the study file (--set optimizer=sgd --set lr=1e-2,1e-3).",
            negative=(),
        ),
    ] = None
    data: Annotated[Path | None, Parameter(help="The folder of the data set, if it was moved.")] = None
    split: Annotated[
        str | None, Parameter(help="official, shares such as 50/25/25, all (with --folds), or a split.json.")
    ] = None
    exclude: Annotated[
        Path | None, Parameter(help="A file with the ids of samples to leave out, one per line.")
    ] = None
    accept_duplicates: Annotated[
        bool | None,
        Parameter(help="Train even if near-duplicates of an image are in several subsets.", negative=()),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True)
class MachineFlags:
    """Where and how to train. No option here is part of a run's key."""

    executor: Annotated[
        str | None, Parameter(help=f"How runs are trained. {choices_text(EXECUTORS.values())}.")
    ] = None
    workers: Annotated[int, Parameter(help="The number of runs in parallel. 0: chosen for this machine.")] = 0
    threads: Annotated[
        int, Parameter(help="The number of CPU threads per run. 0: chosen for this machine.")
    ] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], Parameter(help="The device for the training.")
    ] = "auto"
    checkpoint_every: Annotated[
        int,
        Parameter(
            help="Save a state every N epochs. After a crash, a run continues from its last state. "
            "0: as often as takes little time, at least once a minute."
        ),
    ] = 0
    same_hardware: Annotated[
        bool,
        Parameter(
            help="Refuse to train where device, processor, threads or libraries differ from those of the "
            "finished runs.",
            negative=(),
        ),
    ] = False
    executor_option: Annotated[
        list[str] | None,
        Parameter(help="An option of a plug-in's executor, as NAME=VALUE; may be repeated.", negative=()),
    ] = None


def _executor_flags() -> type:
    """Return the flags of our executors' own options, made from their records."""
    fields = [
        (
            option.name,
            Annotated[type(option.default) | None, Parameter(help=f"With {each.name}. {option.description}")],
            field(default=None),
        )
        for each in EXECUTORS.values()
        for option in each.options
    ]
    made = make_dataclass("ExecutorFlags", fields, frozen=True, namespace={"__module__": __name__})
    return Parameter(name="*")(made)


if TYPE_CHECKING:

    class ExecutorFlags:
        """Options of executors; ``_executor_flags`` makes the class."""
else:
    ExecutorFlags = _executor_flags()


def options_of(flags: StudyFlags, machine: MachineFlags, executing: ExecutorFlags) -> dict[str, Any]:
    """Flags as keyword arguments of `segstudy.run`; comma lists become lists."""
    from segstudy.cli.options import executor_options, study_arguments  # what `--help` does without

    given, where = asdict(flags), asdict(machine)
    settings = given.pop("set_") or ()
    own = executor_options(vars(executing), where.pop("executor_option") or ())
    return {**study_arguments(given, settings), **where, "executor_options": own}
