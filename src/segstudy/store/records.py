"""The JSON files of a study's folder: what their readers rely on, checked once, when they are read."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from segstudy.core.errors import UserError
from segstudy.core.json_files import REPAIR, read_json

WEIGHTS, CARD = "model.safetensors", "model.json"
STORED_ONNX = "model.onnx"  # of networks from a user's own file


class Described(BaseModel):
    """Fields that are relied on; a file may hold more, and what a later version adds does no harm."""

    model_config = ConfigDict(extra="allow", strict=True)


class Identity(Described):
    """What was trained, in a run's record and a failure's."""

    name: str
    architecture: str
    loss: str
    protocol: dict[str, Any]
    seed: int
    fold: int | None


class Description(Described):
    """A run's description, as far as anybody reads it back."""

    data: str
    split: str


class Summary(Described):
    selected_epoch: int
    tuned_threshold: float
    scores: dict[str, dict[str, float | None]]


class Seconds(Described):
    total: float


class SessionRecord(Described):
    """A session of a run that was interrupted."""

    after_epoch: int
    environment: dict[str, Any]


class RunRecord(Identity):
    """``runs/<key>/run.json``."""

    format: int
    key: str
    description: Description
    summary: Summary
    metrics: list[str] = Field([])  # that were computed; older versions did not write them down
    num_parameters: int
    cost: dict[str, float | None] = Field({})
    started: str
    seconds: Seconds
    environment: dict[str, Any]
    resumed: list[SessionRecord] = Field([])


class FailureRecord(Identity):
    """``failures/<key>.json``."""

    reason: str
    detail: str
    remedy: str


class ExternalRecord(Described):
    """``external/<name>/record.json``: masks of another tool, or models on another data set."""

    name: str
    kind: str
    seeds: list[int]


class DataSample(Described):
    """A sample; ``image`` and ``mask`` are hashes of its files, which older versions did not write down."""

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


class DataRecord(Described):
    """``data.json``: the data set as it was when the study was last run."""

    name: str
    reader: str
    fingerprint: str
    samples: list[DataSample]
    findings: list[DataFinding]


class Parts(Described):
    split: str
    split_seed: int
    fold: int | None
    train: list[str]
    validation: list[str]
    test: list[str]


class SplitRecord(Described):
    """``split.json``: the ids of every part and fold."""

    splits: list[Parts]


class NumericsRecord(Described):
    """``numerics.json``: versions of the code that a study was last planned with.

    Attributes:
        architecture, loss: by component, as study.toml spells it; of a user's own file its hash.
    """

    architecture: dict[str, int | str]
    loss: dict[str, int | str]
    preprocessing: int
    training: int
    augmentation: int


class ReportRecord(Described):
    """One look at the test part."""

    when: str
    scored: dict[str, int]


class Reports(RootModel[list[ReportRecord]]):
    """``reports.json``: every report that said more than the one before."""


def read_record(file: Path, kind: type[BaseModel], remedy: str = REPAIR) -> Any:
    """The content of a JSON file, as it stands there.

    Args:
        file: which.
        kind: the fields it must have.
        remedy: what to do when it is damaged.

    Raises:
        UserError: missing, unreadable, no JSON, or without what is relied on.
    """
    return checked(read_json(file, remedy), kind, file, remedy)


def checked(content: Any, kind: type[BaseModel], file: Path, remedy: str = REPAIR) -> Any:
    """The content, if it has the fields of its kind.

    Raises:
        UserError: it lacks some.
    """
    try:
        kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise UserError(f"{file}: damaged ({where}: {first['msg']}); {remedy}") from None
    return content
