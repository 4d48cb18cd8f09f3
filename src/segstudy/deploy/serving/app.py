"""The HTTP interface: its routes, what stands around them, and who may call."""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from segstudy.core.network_outputs import OutputError
from segstudy.core.version import __version__
from segstudy.deploy.predict.predictor import Predictor
from segstudy.deploy.serving.about import add_health, add_model
from segstudy.deploy.serving.admission import Admission
from segstudy.deploy.serving.limits import DEFAULT, Limits
from segstudy.deploy.serving.middleware import RequestMiddleware
from segstudy.deploy.serving.pages import add_page
from segstudy.deploy.serving.paths import Paths
from segstudy.deploy.serving.segment import add_segment
from segstudy.deploy.serving.service import Service
from segstudy.deploy.serving.site import ALONE, Site


def create_app(
    predictor: Predictor,
    threads: int,
    limits: Limits = DEFAULT,
    token: str | None = None,
    site: Site = ALONE,
) -> FastAPI:
    """The application for one model.

    Args:
        predictor: the model.
        threads: images decoded and encoded at a time.
        limits: on each request.
        token: that callers have to show; None where only this machine can call.
        site: how others reach the server.
    """
    service, admission = Service(predictor, threads, limits), Admission(limits)
    app = _new_app(service, site)
    app.state.busy, app.state.budget = service.busy, service.budget
    routes, access = APIRouter(), [Depends(bearer(token))] if token else []
    add_health(routes, service, admission)
    add_model(routes, predictor, access)
    add_segment(routes, service, admission, access)
    add_page(routes, site.path_prefix)
    app.include_router(routes)
    app.add_exception_handler(RequestValidationError, _wrong_query)
    app.add_exception_handler(OutputError, _no_probabilities)
    app.add_middleware(Paths, prefix=site.path_prefix)
    if site.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=site.cors_origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=("Authorization", "Content-Type"),
            expose_headers=("Retry-After",),
        )
    # The last one added is around all others.
    app.add_middleware(RequestMiddleware, local_only=token is None, limits=limits, site=site)
    return app


def _new_app(service: Service, site: Site) -> FastAPI:
    """An application without routes, which starts and stops the service."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    return FastAPI(
        title="segstudy",
        summary=f"Segments images with {service.predictor.networks[0].name}. Not a medical device.",
        version=__version__,
        lifespan=life,
        root_path=site.path_prefix,
        redirect_slashes=False,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )


async def _wrong_query(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg']}"}, 422)


async def _no_probabilities(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": f"{error} for this image, so there is no result"}, 500)


def bearer(token: str) -> Callable[..., Awaitable[None]]:
    """A check that callers show the token; how long it takes says nothing about the token."""
    scheme = HTTPBearer(auto_error=False)

    async def check(shown: Annotated[HTTPAuthorizationCredentials | None, Depends(scheme)]) -> None:
        given = shown.credentials if shown else ""
        if not hmac.compare_digest(given.encode("latin-1", "replace"), token.encode()):
            raise HTTPException(
                401, "a token is needed: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"}
            )

    return check
