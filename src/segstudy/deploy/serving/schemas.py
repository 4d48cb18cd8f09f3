"""The answers of the server, as in the description of its interface."""

from typing import Any, Literal

from pydantic import BaseModel

from segstudy.deploy.predict.measurements import Measures, Polygon
from segstudy.store.card import Card


class Segmented(BaseModel):
    """The result for one image."""

    width_px: int
    height_px: int
    threshold: float
    measurements: Measures
    polygons: list[Polygon]


class Health(BaseModel):
    """The status of the server: images in progress, and threads that are blocked by an image."""

    status: Literal["ok", "blocked"]
    version: str
    in_work: int
    blocked: int


class ModelOut(BaseModel):
    """The model of the server, with its card."""

    name: str
    engine: str
    threshold: float
    card: Card
    text: str | None


class Problem(BaseModel):
    """An error: what is wrong with the request, and what to do."""

    detail: str


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of an endpoint, for its description."""
    return {status: {"model": Problem} for status in statuses}
