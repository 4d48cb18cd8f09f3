"""The card of a trained model: its input, its training and its scores.

It is stored beside the weights as ``model.json`` and inside an exported file. Needs no PyTorch.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from segstudy.core.classes import parse_classes, spelled_classes
from segstudy.core.errors import UserError
from segstudy.core.input_files import read_bytes
from segstudy.core.intensity import COLOURS, MAX_CHANNELS, Scale, parse
from segstudy.core.metric_names import ClassScores, at_native_size
from segstudy.core.outputs import Outputs, outputs_of
from segstudy.core.schema import Frozen, Positive, Size, is_none
from segstudy.core.windowing import Windowing

CARD_FORMAT = 1
MAX_CARD_BYTES = 1_000_000

Classes = Annotated[str, BeforeValidator(spelled_classes)]


class Card(Frozen):
    """The description stored with the weights.

    Attributes:
        format: version of the card.
        key: key of the run.
        architecture: name with options; a user's own file is named without its path.
        width: number of channels of the first stage.
        image_size: height and width in pixels of the training images.
        resize: how images are resized to that size; of ``tiles`` they are not, and it is that of a window.
        threshold: threshold of the probability for a mask.
        training: description of the run.
        selected_epoch: the epoch whose weights are stored, counted from 1.
        tuned_threshold: the threshold that is best on validation; None where no threshold decides.
        scores: mean of each metric, by subset and column of ``images.parquet``.
        weights_sha256: SHA-256 of ``model.safetensors``; None in cards of older versions.
        classes: as ``--classes`` spells them; None, and not in the file, with one foreground.
        ignore: values of the training masks' pixels that counted nowhere; None, and not in the file, if all
            counted.
        channels: of the images; None, and not in the file, if they are three.
        overlap: pixels that windows share; None, and not in the file, if images are resized.
        class_scores: mean of each metric at native size over the images where the class is present, by
            subset and class; None, and not in the file, with one foreground.
    """

    format: Literal[1]
    key: str
    architecture: str
    width: Positive
    image_size: Size
    resize: Literal["squash", "pad", "tiles"]
    threshold: float = Field(ge=0, le=1)
    training: dict[str, Any]
    selected_epoch: Positive
    tuned_threshold: Annotated[float, Field(ge=0, le=1)] | None
    scores: dict[str, dict[str, float]]
    weights_sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    classes: Classes | None = Field(None, exclude_if=is_none)
    ignore: tuple[int | str, ...] | None = Field(None, exclude_if=is_none)
    channels: Annotated[int, Field(ge=1, le=MAX_CHANNELS)] | None = Field(None, exclude_if=is_none)
    overlap: Annotated[int, Field(ge=0)] | None = Field(None, exclude_if=is_none)
    class_scores: Annotated[ClassScores, AfterValidator(at_native_size)] | None = Field(
        None, exclude_if=is_none
    )

    @model_validator(mode="after")
    def _overlap_of_tiles(self) -> Self:
        """Refuse a card whose windows are not defined."""
        if (self.resize == "tiles") != (self.overlap is not None):
            raise ValueError("overlap belongs to resize tiles, and to no other")
        if self.overlap is not None and self.overlap > min(self.image_size) // 2:
            raise ValueError("overlap is more than half of a tile")
        return self

    @property
    def windowing(self) -> Windowing | None:
        """How images are cut into windows; None if they are resized."""
        return None if self.overlap is None else Windowing(self.image_size, self.overlap)

    @property
    def outputs(self) -> Outputs:
        """What the network gives, and how masks are decided from it."""
        classes = () if self.classes is None else parse_classes(self.classes)
        return outputs_of(classes, self.ignore is not None)

    @property
    def num_channels(self) -> int:
        """The number of channels of the images."""
        return self.channels or COLOURS

    @property
    def scale(self) -> Scale:
        """Return how images are read: as those that the model was trained with; ``full`` is not written down.

        Raises:
            UserError: a scale of a later version.
        """
        try:
            scale = parse(str(self.training.get("intensity", "full"))).of_model()
        except ValueError as error:
            raise UserError(f"the model's card: {error}; update segstudy") from None
        return replace(scale, channels=self.num_channels)


class Package(Frozen):
    """The description in an exported file: JSON in its metadata under ``segstudy``.

    Attributes:
        format: version of the package.
        card: of the run it was made from.
        name: of the run's configuration and seed.
        preprocessing: version of ``preprocess``, which made the pixels in training and does so in prediction.
        input: of the graph, in words.
        output: of the graph, in words.
        classes: of the mask: of its two values, of its numbers, or of its bits.
        metric: by which the model was selected and is scored.
        data: name, fingerprint, terms and citation of the data it was trained on.
        precision: ``float32`` or ``int8``: of the weights and the arithmetic the file asks for.
        segstudy: version that exported it.
        text: the model card in Markdown.
        has_checksum: whether the file has one, see ``checksums``; files of older versions do not.
    """

    format: Literal[1]
    card: Card
    name: str
    preprocessing: Literal[1, 2]
    input: str
    output: str
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    metric: str
    data: dict[str, Any]
    precision: Literal["float32", "int8"]
    segstudy: str
    text: str
    has_checksum: bool = False


def read_card(file: Path) -> Card:
    """Read a model's card.

    Raises:
        UserError: missing, not JSON, of another format, or with invalid fields.
    """
    try:
        raw = json.loads(read_bytes(file, MAX_CARD_BYTES))
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); a model is a run's folder") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: is not JSON ({error}); copy it again from its run") from None
    if isinstance(raw, dict) and raw.get("format") != CARD_FORMAT:
        raise UserError(f"{file}: format {raw.get('format')!r} is not known to this version; update segstudy")
    try:
        card = Card.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the card"
        raise UserError(f"{file}: {where}: {first['msg']}; copy it again from its run") from None
    return card


def parse_package(text: str, file: Path) -> Package:
    """Read the package in an exported file's metadata.

    Raises:
        UserError: missing, of another format, or with invalid fields.
    """
    try:
        raw = json.loads(text) if len(text) <= MAX_CARD_BYTES else None
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict):
        raise UserError(f"{file}: was not made by `segstudy export`; export the model again")
    if raw.get("format") != CARD_FORMAT:
        raise UserError(f"{file}: format {raw.get('format')!r} is not known to this version; update segstudy")
    try:
        return Package.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its card"
        raise UserError(f"{file}: {where}: {first['msg']}; export the model again") from None
