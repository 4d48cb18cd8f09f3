"""The HTTP interface: what may come in, what goes out, and one line of log for every request."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

import segstudy
from segstudy.allocator import give_back
from segstudy.cards import Card
from segstudy.images import ImageError
from segstudy.measures import Measures, Polygon
from segstudy.predictor import Predictor, Settings
from segstudy.serving.guard import Guard
from segstudy.serving.limits import DEFAULT, Limits
from segstudy.serving.service import MEDIA, Answer, Asked, Service, View

IMAGES = (
    *("image/png", "image/jpeg", "image/bmp", "image/tiff", "image/gif", "image/webp"),
    *("image/x-portable-pixmap", "application/octet-stream"),
)
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
    """That the server is there."""

    status: str
    version: str
    in_work: int


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
    service = Service(predictor, threads, limits.pixels)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="segstudy",
        summary=f"Segments images with {predictor.networks[0].name}. Not a medical device.",
        version=segstudy.__version__,
        lifespan=life,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )
    gate = Gate(limits)
    allowed = [Depends(bearer(token))] if token else []

    @app.get("/health", responses=problem(400))
    async def health() -> Health:
        """That the server is there, and how many images it has in work."""
        return Health(status="ok", version=segstudy.__version__, in_work=gate.in_work)

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
            **problem(400, 406, 408, 413, 415, 422, 503, *([401] if token else [])),
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
            content = await gate.body(request)
            work = place.hold(service.segment(content, asked))
            try:
                answer = await asyncio.wait_for(asyncio.shield(work), limits.answer_s)
            except ImageError as error:
                raise HTTPException(413 if error.kind == "oversized" else 422, error.detail) from None
            except TimeoutError:
                work.cancel()  # what has not begun is dropped
                raise HTTPException(503, "took too long; try again later", {"Retry-After": "5"}) from None
        request.state.pixels = answer.height * answer.width
        return _response(answer, wanted)

    @app.exception_handler(RequestValidationError)
    async def wrong_query(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg']}"}, 422)

    for path, name in PAGE.items():
        _add_page(app, path, name)
    app.add_middleware(Guard, local_only=token is None, limits=limits)
    return app


IDLE_S = 2.0
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
        406, f"{accept[:100]}: not to be had; ask for application/json, image/png or image/jpeg"
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


class Place:
    """The room of one image.

    Attributes:
        work: on the image, once it has begun.
    """

    work: "asyncio.Task[Answer] | None" = None

    def hold(self, work: Coroutine[Any, Any, Answer]) -> "asyncio.Task[Answer]":
        """Begin the work."""
        self.work = asyncio.create_task(work)
        return self.work


class Gate:
    """Lets in as many images as there is room for, and no larger or slower ones than the limits allow."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.in_work = 0

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """Room for one image, until its work is done.

        Raises:
            HTTPException: there is none.
        """
        if self.in_work >= self.limits.queue:
            raise HTTPException(503, "too many images in work; try again later", {"Retry-After": "1"})
        self.in_work += 1
        place = Place()
        try:
            yield place
        finally:
            if place.work is None or place.work.done():
                self.leave()
            else:  # given up, but threads cannot be stopped: the image takes its room until they are done
                place.work.add_done_callback(self.leave)

    def leave(self, work: "asyncio.Future[Answer] | None" = None) -> None:
        """Give the room of an image back, and after the last one the memory of all."""
        self.in_work -= 1
        if not self.in_work:  # and none comes for a while
            asyncio.get_running_loop().call_later(IDLE_S, self._tidy)
        if work is not None and not work.cancelled():
            work.exception()  # nobody waits for it any more

    def _tidy(self) -> None:
        if not self.in_work:
            give_back()

    async def body(self, request: Request) -> bytes:
        """The image that is sent.

        Raises:
            HTTPException: of a wrong type, too large or too slow.
        """
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media not in IMAGES:
            raise HTTPException(415, f"send the image itself, with a Content-Type of {', '.join(IMAGES)}")
        too_large = HTTPException(
            413, f"more than {self.limits.bytes / 1e6:g} MB; send a smaller file", {"Connection": "close"}
        )
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.limits.bytes:
            raise too_large
        pieces = bytearray()
        try:
            async with asyncio.timeout(self.limits.receive_s):
                async for piece in request.stream():
                    pieces += piece
                    if len(pieces) > self.limits.bytes:
                        raise too_large
        except TimeoutError:
            detail = f"not received within {self.limits.receive_s:g} s; try again"
            raise HTTPException(408, detail, {"Connection": "close"}) from None
        return bytes(pieces)


def _add_page(app: FastAPI, path: str, name: str) -> None:
    content = files("segstudy.serving").joinpath("page", name).read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
    kind = PAGE_TYPES[name.rpartition(".")[2]]

    @app.get(f"/{path}", include_in_schema=False)
    async def page() -> Response:
        return PlainTextResponse(content, media_type=kind, headers=headers)
