"""The HTTP interface: what may come in, what goes out, and one line of log for every request."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from segstudy.core.outputs import OutputError
from segstudy.core.version import __version__
from segstudy.data.images import ImageError
from segstudy.data.pixel_budget import BusyError
from segstudy.deploy.predict.measurements import Measures, Polygon
from segstudy.deploy.predict.predictor import Predictor, Settings
from segstudy.deploy.serving.gate import IMAGES, Gate
from segstudy.deploy.serving.guard import Guard
from segstudy.deploy.serving.limits import DEFAULT, Limits
from segstudy.deploy.serving.service import MEDIA, Answer, Asked, Service, View
from segstudy.store.card import Card

# Nothing but what this server sends itself: a page that talks to nobody else.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = {"": "index.html", "page.css": "page.css", "page.js": "page.js"}
PAGE_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


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


def problem(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of an endpoint, for its description."""
    return {status: {"model": Problem} for status in statuses}


def create_app(
    predictor: Predictor, threads: int, limits: Limits = DEFAULT, token: str | None = None
) -> FastAPI:
    """The application for one model.

    Args:
        predictor: the model.
        threads: images decoded and encoded at a time.
        limits: on each request.
        token: that callers have to show; None where only this machine can call.
    """
    service = Service(predictor, threads, limits)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="segstudy",
        summary=f"Segments images with {predictor.networks[0].name}. Not a medical device.",
        version=__version__,
        lifespan=life,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )
    app.state.work, app.state.budget = service.work, service.budget
    gate = Gate(limits)
    allowed = [Depends(bearer(token))] if token else []

    @app.get("/health", responses={503: {"model": Health}, **problem(400)})
    async def health(response: Response) -> Health:
        """That the server is there, how many images it has in work, and 503 while a thread is blocked."""
        blocked = service.num_blocked
        response.status_code = 503 if blocked else 200
        return Health(
            status="blocked" if blocked else "ok",
            version=__version__,
            in_work=gate.in_work,
            blocked=blocked,
        )

    @app.get("/model", dependencies=allowed, responses=problem(400, *([401] if token else [])))
    async def model() -> ModelOut:
        """The card of the model that answers."""
        first = predictor.networks[0]
        text = first.package.text if first.package else None
        return ModelOut(
            name=first.name, engine=first.engine, threshold=predictor.threshold, card=first.card, text=text
        )

    @app.post(
        "/segment",
        dependencies=allowed,
        response_model=Segmented,
        responses={
            200: {"content": {media: {"schema": BINARY} for media in ("image/png", "image/jpeg")}},
            **problem(400, 406, 408, 413, 415, 422, 500, 503, *([401] if token else [])),
        },
        openapi_extra={
            "requestBody": {"required": True, "content": {media: {"schema": BINARY} for media in IMAGES}}
        },
    )
    async def segment(
        request: Request,
        threshold: Annotated[
            float, Query(gt=0, lt=1, description="of the probability")
        ] = predictor.threshold,
        view: Annotated[View, Query(description="which picture, where one is asked for")] = "mask",
        largest_component: Annotated[bool, Query(description="keep only the largest part")] = False,
        fill_holes: Annotated[bool, Query(description="fill holes")] = False,
    ) -> Response:
        """Segment one image, sent as it is.

        With `Accept: application/json` (or none) polygons and measurements come back, with `image/png` the
        mask or the probability, with `image/jpeg` an overlay or outline.
        """
        wanted = _view(request.headers.get("accept", "*/*"), view)
        settings = Settings(largest_component=largest_component, fill_holes=fill_holes)
        asked = Asked(threshold, wanted, settings)
        with gate.place() as place:
            content = await gate.body(request, place)
            work = place.hold(service.segment(content, asked))
            try:
                answer = await asyncio.wait_for(asyncio.shield(work), limits.answer_s)
            except ImageError as error:
                raise HTTPException(413 if error.kind == "oversized" else 422, error.detail) from None
            except (TimeoutError, BusyError):
                work.cancel()  # what has not begun is dropped
                raise HTTPException(503, "took too long; try again later", {"Retry-After": "5"}) from None
        request.state.pixels = answer.height * answer.width
        return _response(answer, wanted)

    @app.exception_handler(RequestValidationError)
    async def wrong_query(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg']}"}, 422)

    @app.exception_handler(OutputError)
    async def no_probabilities(_: Request, error: OutputError) -> Response:
        return JSONResponse({"detail": f"{error} for this image: nothing is made of that"}, 500)

    for path, name in PAGE.items():
        _add_page(app, path, name)
    app.add_middleware(Guard, local_only=token is None, limits=limits)
    return app


BINARY = {"type": "string", "format": "binary"}


def _view(accept: str, view: View) -> View | None:
    """Which picture to send, or None for JSON: the first of the caller's types that there is.

    Raises:
        HTTPException: there is none of them.
    """
    for each in accept.split(","):
        media = each.partition(";")[0].strip().lower()
        if media in ("application/json", "*/*", "application/*"):
            return None
        if media in (MEDIA[view], "image/*"):
            return view
        if media == "image/jpeg" and view == "mask":
            return "overlay"
    raise HTTPException(
        406, f"{accept[:100]}: not available; ask for application/json, image/png or image/jpeg"
    )


def _response(answer: Answer, view: View | None) -> Response:
    if isinstance(answer.content, bytes):
        assert view is not None
        return Response(answer.content, media_type=MEDIA[view])
    return JSONResponse(answer.content)


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


def _add_page(app: FastAPI, path: str, name: str) -> None:
    content = files("segstudy.deploy.serving").joinpath("page", name).read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
    kind = PAGE_TYPES[name.rpartition(".")[2]]

    @app.get(f"/{path}", include_in_schema=False)
    async def page() -> Response:
        return PlainTextResponse(content, media_type=kind, headers=headers)
