"""What the server answers, as the description of its interface has it."""

from typing import Any, Literal

from pydantic import BaseModel

from segstudy.deploy.predict.measurements import Measures, Polygon
from segstudy.store.card import Card


class Segmented(BaseModel):
    """What was found in an image."""

    width_px: int
    height_px: int
    threshold: float
    measurements: Measures
    polygons: list[Polygon]


class Health(BaseModel):
    """That the server is there and well: images in work, and threads that are blocked by one."""

    status: Literal["ok", "blocked"]
    version: str
    in_work: int
    blocked: int


class ModelOut(BaseModel):
    """The model that answers."""

    name: str
    engine: str
    threshold: float
    card: Card
    text: str | None


class Problem(BaseModel):
    """What is wrong with a request, and what to do."""

    detail: str


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of an endpoint, for its description."""
    return {status: {"model": Problem} for status in statuses}
