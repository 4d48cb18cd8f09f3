"""``/segment``: from an image that is sent to its mask, measurements or picture."""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.params import Depends
from fastapi.responses import JSONResponse, Response

from segstudy.core.errors import UserError
from segstudy.core.outputs import THRESHOLD, Outputs
from segstudy.core.suggestions import did_you_mean
from segstudy.data.images import ImageError
from segstudy.data.pixel_budget import BusyError
from segstudy.deploy.predict.clean_up import can_clean_up
from segstudy.deploy.predict.predictor import NO_THRESHOLD, Settings, refuse_unfit
from segstudy.deploy.serving.accept import best_of
from segstudy.deploy.serving.admission import Admission, Slot
from segstudy.deploy.serving.answers import MEDIA, View
from segstudy.deploy.serving.bodies import BINARY, BODIES, Body
from segstudy.deploy.serving.schemas import Segmented, SegmentedClasses, problems
from segstudy.deploy.serving.service import Answer, Asked, Service

SENT = {
    "content": {media: kind.described for kind in BODIES for media in kind.media},
    "required": True,
}
PICTURES: dict[int | str, dict[str, Any]] = {
    200: {"content": {media: {"schema": BINARY} for media in ("image/png", "image/jpeg")}}
}
JSON = "application/json"


def add_segment(routes: APIRouter, service: Service, admission: Admission, access: Sequence[Depends]) -> None:
    """Add ``/segment``.

    Args:
        routes: to add it to.
        service: what segments.
        admission: what lets images in.
        access: the check of a token, if one is required.
    """
    errors = problems(400, 403, 406, 408, 413, 415, 422, 500, 503, *([401] if access else []))
    outputs = service.predictor.outputs
    several, cleaned = outputs.task != "binary", can_clean_up(outputs)

    @routes.post(
        "/segment",
        dependencies=access,
        response_model=SegmentedClasses if several else Segmented,
        responses={**PICTURES, **errors},
        openapi_extra={"requestBody": SENT},
    )
    async def segment(
        request: Request,
        threshold: Annotated[
            float,
            Query(
                gt=0,
                lt=1,
                description="The threshold of the probability.",
                include_in_schema=outputs.has_threshold,
            ),
        ] = service.predictor.threshold or THRESHOLD,
        view: Annotated[View, Query(description="The kind of image, if the answer is an image.")] = "mask",
        largest_component: Annotated[
            bool,
            Query(description="Keep only the largest connected component.", include_in_schema=cleaned),
        ] = False,
        fill_holes: Annotated[
            bool, Query(description="Fill the holes in the mask.", include_in_schema=cleaned)
        ] = False,
        class_name: Annotated[
            str | None,
            Query(
                alias="class",
                description="The class that the answer is of; without it, of all classes.",
                json_schema_extra={"enum": list(outputs.names)},
                include_in_schema=several,
            ),
        ] = None,
    ) -> Response:
        """Segment one image, sent as a file, as a form with one file, or as JSON with base64.

        The answer depends on `Accept`. `application/json` (the default): polygons and measurements.
        `image/png`: the mask, its numbers or the probability. `image/jpeg`: the overlay or the outline.
        """
        _refuse_unknown(request, segment, outputs)
        wanted = view_of(",".join(request.headers.getlist("accept")), view)
        settings = Settings(largest_component=largest_component, fill_holes=fill_holes)
        try:
            refuse_unfit(settings, outputs)
        except UserError as error:
            raise HTTPException(422, str(error).removeprefix("--").replace("-", "_", 1)) from None
        number = None if class_name is None else _number(class_name, outputs)
        cut = threshold if outputs.has_threshold else None
        answer = await _answered(request, service, admission, Asked(cut, wanted, settings, number))
        request.state.pixels = answer.height * answer.width
        return _response(answer, wanted)


async def _answered(request: Request, service: Service, admission: Admission, asked: Asked) -> Answer:
    """Receive the image and segment it, within the limits.

    Raises:
        HTTPException: not received, not an image, or not done in time.
    """
    with admission.slot() as slot:
        body = await admission.body(request, slot)
        work = slot.hold(_segmented(service, slot, body, asked))
        try:
            return await asyncio.wait_for(asyncio.shield(work), service.limits.answer_s)
        except ImageError as error:
            raise HTTPException(413 if error.kind == "oversized" else 422, error.detail) from None
        except (TimeoutError, BusyError):
            work.cancel()  # what has not begun is dropped
            smaller = "" if service.predictor.windowing is None else "send a smaller image, or "
            raise HTTPException(
                503, f"took too long; {smaller}try again later", {"Retry-After": "5"}
            ) from None


async def _segmented(service: Service, slot: Slot, body: Body, asked: Asked) -> Answer:
    content = await service.in_thread(body.take)
    slot.num_bytes = len(content)
    return await service.segment(content, asked)


def _refuse_unknown(request: Request, route: Callable[..., Any], outputs: Outputs) -> None:
    """Refuse options that there are not: a misspelled threshold must not pass unnoticed.

    Raises:
        HTTPException: with the nearest name, or why the classes have no threshold.
    """
    options = [name for name in inspect.signature(route).parameters if name not in ("request", "class_name")]
    options += [] if outputs.task == "binary" else ["class"]
    if not outputs.has_threshold and "threshold" in request.query_params:
        raise HTTPException(422, f"threshold: {NO_THRESHOLD}; leave it out")
    for name in request.query_params:
        if name not in options:
            raise HTTPException(
                422, f"{name[:60]}: is not an option of /segment; {did_you_mean(name[:60], options)}"
            )


def _number(name: str, outputs: Outputs) -> int:
    """Return the number of the class of this name.

    Raises:
        HTTPException: there is none.
    """
    if name not in outputs.names:
        raise HTTPException(422, f"class: {name[:60]!r} is none of {', '.join(outputs.names)}")
    return outputs.names.index(name)


def view_of(accept: str, view: View) -> View | None:
    """Which picture to send, or None for JSON: what the caller's Accept header prefers.

    Raises:
        HTTPException: there is none of what it names.
    """
    views: dict[str, View | None] = {JSON: None, MEDIA[view]: view}
    if view == "mask":
        views["image/jpeg"] = "overlay"
    media = best_of(accept, list(views))
    if media is None:
        detail = f"{accept[:100]}: not available; ask for application/json, image/png or image/jpeg"
        raise HTTPException(406, detail)
    return views[media]


def _response(answer: Answer, view: View | None) -> Response:
    if isinstance(answer.content, bytes):
        assert view is not None
        return Response(answer.content, media_type=MEDIA[view])
    return JSONResponse(answer.content)
