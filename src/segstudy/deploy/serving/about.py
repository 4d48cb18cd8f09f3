"""The routes ``/health`` and ``/model``."""

from collections.abc import Sequence

from fastapi import APIRouter, Response
from fastapi.params import Depends

from segstudy.core.version import __version__
from segstudy.deploy.predict.predictor import Predictor
from segstudy.deploy.predict.result_files import class_rgb
from segstudy.deploy.serving.admission import Admission
from segstudy.deploy.serving.schemas import ClassOut, Health, ModelOut, problems
from segstudy.deploy.serving.service import Service


def add_health(routes: APIRouter, service: Service, admission: Admission) -> None:
    """Add ``/health``, which needs no token."""

    @routes.get("/health", responses={503: {"model": Health}, **problems(400)})
    async def health(response: Response) -> Health:
        """Return the status and the number of images in progress; 503 while a thread is blocked."""
        blocked = service.num_blocked
        response.status_code = 503 if blocked else 200
        return Health(
            status="blocked" if blocked else "ok",
            version=__version__,
            in_work=admission.in_work,
            blocked=blocked,
        )


def add_model(routes: APIRouter, predictor: Predictor, access: Sequence[Depends]) -> None:
    """Add ``/model``.

    Args:
        routes: to add it to.
        predictor: the model.
        access: the check of a token, if one is required.
    """

    @routes.get("/model", dependencies=access, responses=problems(400, *([401] if access else [])))
    async def model() -> ModelOut:
        """Return the card of the model."""
        first, outputs = predictor.networks[0], predictor.outputs
        return ModelOut(
            name=first.name,
            engine=first.engine,
            threshold=predictor.threshold,
            task=outputs.task,
            classes=[
                ClassOut(name=name, colour=_hex(class_rgb(outputs, i)), scored=i in outputs.scored)
                for i, name in enumerate(outputs.names)
            ],
            card=first.card,
            text=first.package.text if first.package else None,
        )


def _hex(colour: tuple[int, int, int]) -> str:
    return f"#{bytes(colour).hex()}"
