"""The answers of the server, as in the description of its interface."""

from typing import Any, Literal

from pydantic import BaseModel

from segstudy.core.outputs import Task
from segstudy.deploy.predict.measurements import Measures, Polygon
from segstudy.store.card import Card


class Segmented(BaseModel):
    """The result for one image."""

    width_px: int
    height_px: int
    threshold: float
    measurements: Measures
    polygons: list[Polygon]


class SegmentedClass(BaseModel):
    """One class of an image."""

    name: str
    measurements: Measures
    polygons: list[Polygon]


class SegmentedClasses(BaseModel):
    """The result for one image, of a model with several classes: each but the background.

    Classes that exclude each other have no threshold.
    """

    width_px: int
    height_px: int
    threshold: float | None
    classes: list[SegmentedClass]


class ClassOut(BaseModel):
    """A class, with its colour in masks and pictures.

    The background and what is not measured has `scored` false. Numbers in masks count from 0, in this order.
    """

    name: str
    colour: str
    scored: bool


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
    threshold: float | None
    task: Task
    classes: list[ClassOut]
    card: Card
    text: str | None


class Problem(BaseModel):
    """An error: what is wrong with the request, and what to do."""

    detail: str


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of an endpoint, for its description."""
    return {status: {"model": Problem} for status in statuses}
