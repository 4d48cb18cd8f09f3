"""The JSON files of a study's folder: their required fields, checked once, when they are read."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, ValidationError

from segstudy.core.errors import UserError
from segstudy.core.json_files import REPAIR, read_json
from segstudy.core.metric_names import NSD_TOLERANCE, ClassScores, at_native_size, column
from segstudy.core.schema import is_none
from segstudy.data.split import Split

WEIGHTS, CARD = "model.safetensors", "model.json"
STORED_ONNX = "model.onnx"  # of networks from a user's own file


Record = TypeVar("Record", bound=BaseModel)


class Described(BaseModel):
    """Required fields; a file may have more, so that fields of later versions do no harm."""

    model_config = ConfigDict(extra="allow", strict=True)


class Description(Described):
    """The parts of a run's key that are read again; None where older versions did not store them."""

    data: str | None = None
    split: str | None = None
    numerics: dict[str, int | str] = Field({})


class RunDescription(Description):
    """The description of a finished run."""

    data: str
    split: str


class Identity(Described):
    """The identity of a run: in its record, in that of a failure, and on a model's card."""

    name: str
    architecture: str
    loss: str
    protocol: dict[str, Any]
    seed: int | None
    fold: int | None
    description: Description = Field(Description())


class Summary(Described):
    """The results of a run.

    Attributes:
        selected_epoch: counted from 1.
        tuned_threshold: the best on validation; None where no threshold decides.
        scores: mean of each metric, by subset and column of ``images.parquet``.
        class_scores: the same by subset, class and column of ``classes.parquet``, at native size, over the
            images where the class is present; None in binary studies.
    """

    selected_epoch: int
    tuned_threshold: float | None
    scores: dict[str, dict[str, float | None]]
    class_scores: Annotated[ClassScores, AfterValidator(at_native_size)] | None = None


class Seconds(Described):
    total: float


class SessionRecord(Described):
    """A session of a run that was interrupted."""

    after_epoch: int
    environment: dict[str, Any]


class TrainedRecord(Identity):
    """A trained model; fields that only ``run.json`` has are None if there is only the card."""

    key: str
    summary: Summary
    num_parameters: int | None
    started: str | None
    environment: dict[str, Any]


class RunRecord(TrainedRecord):
    """``runs/<key>/run.json``."""

    format: int
    seed: int
    description: RunDescription
    metrics: list[str] = Field([])  # that were computed; older versions did not store them
    num_parameters: int
    cost: dict[str, float | None] = Field({})
    started: str
    seconds: Seconds
    resumed: list[SessionRecord] = Field([])

    def computed(self, metric: str) -> bool:
        """Whether a metric was computed; early versions stored only the means, by column."""
        if self.metrics:
            return metric in self.metrics
        return column(metric) in self.summary.scores.get("test", {})

    @property
    def environments(self) -> list[dict[str, Any]]:
        """Return the environments of all sessions; older records have none of resumed sessions."""
        return [*(session.environment for session in self.resumed), self.environment]


class FailureRecord(Identity):
    """``failures/<key>.json``; the key is only in the file's name."""

    key: str = ""
    seed: int
    reason: str
    detail: str
    remedy: str


class ExternalData(Described):
    """The data set of the scores; older records have fewer fields."""

    name: str = ""
    fingerprint: str = ""


class ExternalRecord(Described):
    """``external/<name>/record.json``: masks of another tool, or models on another data set."""

    name: str
    kind: str
    seeds: list[int]
    data: ExternalData = Field(ExternalData())


class Completeness(Described):
    """The images without a mask, by seed."""

    missing: dict[str, list[str]] = Field({})


class MasksRecord(ExternalRecord):
    """Masks that another tool made.

    Attributes:
        nsd_tolerance: of the study when they were scored; older records have the one of that time.
        source: the folder they came from; None in older records, as ``foreground`` is.
        classes, ignore: of the study, as ``--classes`` and ``--ignore``; None with one foreground.
    """

    deterministic: bool = False
    foreground: list[int] | None = None
    classes: str | None = Field(None, exclude_if=is_none)
    ignore: list[int | str] | None = Field(None, exclude_if=is_none)
    source: str | None = None
    nsd_tolerance: float = NSD_TOLERANCE
    parts: dict[str, Completeness] = Field({})

    @property
    def missing(self) -> dict[str, list[str]]:
        """Return the test images without a mask, by seed."""
        return self.parts["test"].missing if "test" in self.parts else {}


class OfClass(Described):
    """The scores of a class: the number of images whose mask has it, and the IoU; None if none has it."""

    num_images: int
    iou: dict[str, float | None] | None


ByClass = dict[str, OfClass] | None  # None with one foreground, and in records of older versions


class InDomain(Described):
    """Scores of the same models on their own test subset."""

    data: ExternalData
    num_images: int
    scores: dict[str, Any]
    class_scores: ByClass = Field(None, exclude_if=is_none)


class EvaluationRecord(ExternalRecord):
    """Models of the study on another data set."""

    keys: list[str] = Field([])
    num_images: int
    nsd_tolerance: float = NSD_TOLERANCE
    scores: dict[str, dict[str, Any]]
    class_scores: ByClass = Field(None, exclude_if=is_none)
    in_domain: InDomain


class DataSample(Described):
    """A sample; ``image`` and ``mask`` are hashes of its files, which older versions did not store."""

    id: str
    group: str
    category: str | None
    part: str | None
    image: str | None = None
    mask: str | None = None


class DataFinding(Described):
    severity: str
    kind: str
    where: str
    detail: str


class BestIou(Described):
    """What an image size allows, see ``evaluation.best_iou``.

    Attributes:
        image_size: height and width of the network's input.
        resize: how images get there.
        foreground: values that count, where the study names them.
        mean: of the IoU per image, at native size; an empty mask counts 1, as in every score.
        num_measured: images.
        num_images: that there are to measure; more than ``num_measured`` where masks are large or many.
        num_with_foreground: of those measured, whose true mask has any.
        num_vanished: of those, whose mask has none left at the network's size.
        num_objects: connected areas of foreground of 4 pixels or more, in all masks measured.
        num_objects_vanished: of those, of which no pixel comes back from the network's size.
        classes: of several classes the mean of each over the images that have it, by name; None if none has.
    """

    image_size: list[int]
    resize: str
    foreground: list[int | str] | None
    mean: float
    num_measured: int
    num_images: int
    num_with_foreground: int
    num_vanished: int
    num_objects: int = 0
    num_objects_vanished: int = 0
    classes: dict[str, float | None] | None = Field(None, exclude_if=is_none)

    @property
    def size_text(self) -> str:
        """``96 x 128 px``, height first as everywhere."""
        return f"{' x '.join(map(str, self.image_size))} px"


class DataRecord(Described):
    """``data.json``: the data set as it was when the study was last run."""

    name: str
    reader: str
    fingerprint: str
    samples: list[DataSample]
    findings: list[DataFinding]
    terms: str | None = None
    citation: str | None = None
    group_noun: str = "group"
    best_iou: list[BestIou] = Field([])

    @property
    def groups(self) -> dict[str, str]:
        """Return the group of each sample."""
        return {sample.id: sample.group for sample in self.samples}

    @property
    def categories(self) -> dict[str, str | None]:
        """Return the category of each sample."""
        return {sample.id: sample.category for sample in self.samples}

    @property
    def contents(self) -> dict[str, tuple[str, str]]:
        """Return the hashes of image and mask of each sample that has them."""
        return {s.id: (s.image, s.mask) for s in self.samples if s.image and s.mask}


class Parts(Described):
    split: str
    split_seed: int
    fold: int | None
    train_frac: float = 1.0  # older files have whole splits only
    train: list[str]
    validation: list[str]
    test: list[str]

    @property
    def ids(self) -> Split:
        """Return the ids of each subset."""
        return Split(tuple(self.train), tuple(self.validation), tuple(self.test))


class SplitRecord(Described):
    """``split.json``: the ids of every subset and fold."""

    splits: list[Parts]


class NumericsRecord(Described):
    """``numerics.json``: versions of the code that a study was last planned with.

    Attributes:
        architecture, loss: by component, as study.toml spells it; of a user's own file its hash.
        bfloat16: by architecture: what enters the keys of its runs in that precision besides; 1 does not.
    """

    architecture: dict[str, int | str]
    loss: dict[str, int | str]
    preprocessing: int
    training: int
    augmentation: int
    bfloat16: dict[str, int] = Field({})


class ReportRecord(Described):
    """One report on the test subset."""

    when: str
    scored: dict[str, int]


class Reports(RootModel[list[ReportRecord]]):
    """``reports.json``: every report with more in it than the one before."""


def read_record(file: Path, kind: type[Record], remedy: str = REPAIR) -> Record:
    """Read a JSON file.

    Args:
        file: to read.
        kind: the model of its required fields.
        remedy: what to do when it is damaged.

    Raises:
        UserError: missing, unreadable, not JSON, or without a required field.
    """
    return checked(read_json(file, remedy), kind, file, remedy)


def checked(content: Any, kind: type[Record], file: Path, remedy: str = REPAIR) -> Record:
    """Return the content with the types of its kind; further fields stay in ``model_extra``.

    Raises:
        UserError: it lacks some.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise UserError(f"{file}: damaged ({where}: {first['msg']}); {remedy}") from None
