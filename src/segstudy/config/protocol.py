"""The protocol of a study, its factors and the grids they span."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from segstudy.core import intensity, mask_rules
from segstudy.core.class_weights import refuse_other_weights, spelled_weights
from segstudy.core.classes import MaskClass, is_background, parse_classes, spelled_classes
from segstudy.core.intensity import COLOURS, Scale
from segstudy.core.mask_rules import MaskMeaning
from segstudy.core.schema import Frozen, Positive, Size
from segstudy.core.windowing import IN_KEYS, Windowing, default_overlap

if TYPE_CHECKING:  # numpy: `segstudy status` does without
    from segstudy.core.outputs import Outputs

OF_CLASSES = ("auto", "larger", "indices")  # rules of masks that say nothing against classes
Fraction = Annotated[float, Field(gt=0, lt=1)]


def _values(value: object) -> object:
    """Convert ``1``, ``"1"`` and ``"1+2"`` to tuples: the command line's comma already separates levels."""
    match value:
        case bool():
            return value
        case int():
            return (value,)
        case str():
            return tuple(value.lower().split("+"))
    return value


Value = Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
Values = Annotated[tuple[Value, ...], Field(min_length=1), BeforeValidator(_values)]
Classes = Annotated[str, BeforeValidator(spelled_classes)]
ClassWeights = Annotated[str | None, BeforeValidator(spelled_weights)]
Channels = Annotated[
    int,
    Field(ge=1, le=intensity.MAX_CHANNELS),
    AfterValidator(lambda number: None if number == COLOURS else number),
]
Masks = Annotated[str, AfterValidator(mask_rules.spelled)]
Intensity = Annotated[str, AfterValidator(intensity.spelled)]


class Protocol(Frozen):
    """Everything that is held equal between configurations; any field can also be a factor.

    The defaults are the original study's, the ``classic`` protocol.
    """

    image_size: Size = Field(
        (256, 256), description="height and width of the network's input in pixels: N or HxW"
    )
    resize: Literal["squash", "pad", "tiles"] = Field(
        "squash",
        description="squash: change the proportions; pad: keep them and add borders; tiles: keep the images' "
        "own resolution, in tiles of image_size",
    )
    overlap: int | None = Field(
        None,
        ge=0,
        le=4096,
        description="of tiles: pixels that neighbours share; a quarter of a tile if left out",
    )
    classes: Classes | None = Field(
        None, description="the names of several classes with their mask values: background=0,disc=1,cup=2"
    )
    ignore: Values | None = Field(None, description="the mask values of pixels that count nowhere")
    foreground: Values | None = Field(None, description="the mask values that are foreground")
    masks: Masks = Field("auto", description="the rule for mask values; auto: found from all masks")
    channels: Channels | None = Field(
        None, description="the number of channels of the images, if it is not 3: 1 for grey images"
    )
    intensity: Intensity = Field(
        "auto", description="the image values that become 0 to 255; auto: found from all images"
    )
    split: str = Field(
        "auto", description="50/25/25, official, all (with folds), or auto: official if there is one"
    )
    split_seed: int = Field(0, ge=0, le=2**63 - 1, description="the seed of the random split")
    train_frac: float = Field(
        1.0,
        gt=0,
        le=1,
        description="the share of the training images that is used; smaller shares are nested",
    )
    width: Positive = Field(64, le=4096, description="number of channels of the first stage")
    batch_size: Positive = Field(8, le=65_536, description="images per training step")
    micro_batch: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="images per forward pass, if a whole batch does not fit into memory",
    )
    budget: Literal["epochs", "steps"] = Field("epochs", description="the budget that is equal for all runs")
    epochs: Positive = Field(80, le=1_000_000, description="passes over the training images")
    steps: Positive = Field(1000, le=1_000_000_000, description="training steps, if the budget is steps")
    class_weights: ClassWeights = Field(
        None, description="the weights of several classes in the loss: none, balanced, or numbers as 1+2+5"
    )
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = Field(1e-3, gt=0, le=100, description="learning rate (with onecycle: the highest)")
    momentum: float = Field(0.9, ge=0, lt=1, description="for sgd")
    weight_decay: float = Field(0.0, ge=0, le=10)
    scheduler: Literal["plateau", "cosine", "onecycle", "none"] = "plateau"
    plateau_on: Literal["val_loss", "val_iou"] = Field(
        "val_loss", description="what the plateau scheduler observes"
    )
    plateau_factor: Fraction = 0.5
    plateau_threshold: float = Field(
        0.005, ge=0, lt=1, description="the smallest relative improvement that counts"
    )
    plateau_patience: int = Field(
        3, ge=0, le=1_000_000, description="epochs without improvement before the learning rate is reduced"
    )
    augmentation: Literal["none", "flips", "full"] = Field(
        "none", description="full: flips, rotation, scale and colour"
    )
    select: Literal["val_iou", "last"] = Field("val_iou", description="the epoch whose weights are kept")
    precision: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    record_test: bool = Field(True, description="record test loss and IoU of each epoch, only for diagnosis")
    nsd_tolerance: float = Field(
        0.02, gt=0, lt=1, description="of the normalised surface distance: a share of the image's diagonal"
    )

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        """Refuse mask values with two meanings."""
        if self.classes is not None and self.foreground is not None:
            raise ValueError("classes and foreground exclude each other: leave one of them out")
        named = [value for each in self.mask_classes() for value in each.values] + list(self.foreground or ())
        if both := [value for value in self.ignore or () if value in named]:
            raise ValueError(f"ignore and classes or foreground both name the mask value {both[0]}")
        if self.classes is not None and mask_rules.parse(self.masks).kind not in OF_CLASSES:
            raise ValueError(f"masks={self.masks} and classes exclude each other: leave masks out")
        exclusive = [each.name for each in self.mask_classes() if each.values]
        if self.resize == "pad" and exclusive and not is_background(exclusive[0]):
            raise ValueError(
                "resize=pad needs a class background, which the borders are of; or choose squash"
            )
        return self

    @model_validator(mode="after")
    def _overlap_of_tiles(self) -> Self:
        """Refuse an overlap that leaves windows too small a step."""
        most = min(self.image_size) // 2
        if self.resize == "tiles" and self.overlap is not None and self.overlap > most:
            raise ValueError(
                f"overlap must be at most half of a tile's shorter side ({most} pixels), got {self.overlap}"
            )
        return self

    def windowing(self) -> Windowing | None:
        """How images are cut into windows; None if they are resized."""
        if self.resize != "tiles":
            return None
        overlap = default_overlap(self.image_size) if self.overlap is None else self.overlap
        return Windowing(self.image_size, overlap)

    def mask_classes(self) -> tuple[MaskClass, ...]:
        return () if self.classes is None else parse_classes(self.classes)

    def outputs(self) -> "Outputs":
        """What a network gives, and how masks are decided from it."""
        from segstudy.core.outputs import outputs_of  # as above

        return outputs_of(self.mask_classes(), self.ignore is not None)

    def mask_meaning(self) -> MaskMeaning:
        """The meaning of the masks' values."""
        return MaskMeaning(
            mask_rules.parse(self.masks), self.foreground, self.mask_classes(), self.ignore or ()
        )

    def scale(self) -> Scale:
        """How images are read: their channels, and how the values become 8 bits."""
        return replace(intensity.parse(self.intensity), channels=self.num_channels)

    @property
    def num_channels(self) -> int:
        """The number of channels of the images."""
        return self.channels or COLOURS

    @model_validator(mode="after")
    def _weights_of_classes(self) -> Self:
        """Refuse weights of other classes."""
        if self.class_weights is not None:
            refuse_other_weights(self.class_weights, self.mask_classes())
        return self

    def idle(self) -> set[str]:
        """Return the fields that this protocol does not use, as ``momentum`` of Adam."""
        idle = {"steps"} if self.budget == "epochs" else {"epochs"}
        if self.resize != "tiles":
            idle.add("overlap")
        if self.optimizer != "sgd":
            idle.add("momentum")
        if self.scheduler != "plateau":
            idle |= {name for name in Protocol.model_fields if name.startswith("plateau_")}
        return idle

    def numbers(self) -> dict[str, Any]:
        """Return the fields that can change a run's numbers, without those that it does not use."""
        fields = self.model_dump(mode="json")
        idle = {"split", "split_seed"} | self.idle()  # the split enters through the ids of the subsets
        if self.micro_batch is not None and self.micro_batch >= self.batch_size:
            fields["micro_batch"] = None
        fields["masks"] = self.mask_meaning().key[0]
        fields["intensity"] = self.scale().key
        if (windowing := self.windowing()) is not None:
            fields |= {"resize": IN_KEYS, "overlap": windowing.overlap}
        return {name: value for name, value in fields.items() if name not in idle}


# Without them, scores of two configurations would not be the same number: they are no factors.
SAME_FOR_ALL = ("nsd_tolerance", "classes", "ignore", "channels")
FACTORS = ("architecture", "loss", *Protocol.model_fields)


Level = bool | int | float | str | list[int]


Grid = dict[str, tuple[Level, ...]]


def unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def numbers_of(factor: str, levels: Sequence[Level]) -> tuple[Level, ...]:
    """Return levels of a factor that the command line gave as text as what the field holds: ``"8"`` as 8.

    Text that is no such value stays, for the check of the whole protocol to refuse.
    """
    kind = Protocol.model_fields[factor].annotation if factor in Protocol.model_fields else None
    if kind not in (bool, int, float, int | None):
        return tuple(levels)
    adapter: TypeAdapter[Any] = TypeAdapter(kind)  # type: ignore[arg-type]
    return tuple(_number(adapter, level) if isinstance(level, str) else level for level in levels)


def _number(kind: TypeAdapter[Any], level: str) -> Level:
    try:
        found = kind.validate_python(level)
    except ValidationError:
        return level
    return level if found is None else found
