"""The server with a model whose images are not resized: their windows wait in one queue."""

import asyncio
import io
import time

import httpx
import numpy as np
import pytest
from class_networks import EXCLUSIVE, OVERLAPPING, eye, network
from PIL import Image
from tiled_models import OVERLAP, picture, tiled_model

from segstudy.core.network_outputs import OutputError
from segstudy.deploy.engines.base import Network
from segstudy.deploy.predict.measurements import polygons
from segstudy.deploy.predict.predictor import Predictor
from segstudy.deploy.serving.app import create_app
from segstudy.deploy.serving.limits import Limits

TILED = {"resize": "tiles", "overlap": OVERLAP}


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def calls(predictor: Predictor, *requests: tuple[bytes, str], limits: Limits | None = None) -> list:
    """Answers to images with their options, all sent at once; those with a view as pictures."""
    app = create_app(predictor, 2, limits or Limits(), None)

    async def all_of_them() -> list:
        async with (
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
            app.router.lifespan_context(app),
        ):
            return await asyncio.gather(
                *(
                    client.post(
                        f"/segment{query}",
                        content=content,
                        headers={
                            "Content-Type": "image/png",
                            "Accept": "image/*" if "view" in query else "application/json",
                        },
                    )
                    for content, query in requests
                )
            )

    return asyncio.run(all_of_them())


def test_a_request_gets_the_mask_that_the_predictor_finds(tmp_path) -> None:
    predictor = Predictor(tiled_model(tmp_path / "model"), engine="torch", precision="float32")
    expected = predictor(picture(75, 101))
    said, mask, overlay = calls(
        predictor,
        (png(picture(75, 101)), ""),
        (png(picture(75, 101)), "?view=mask"),
        (png(picture(75, 101)), "?view=overlay"),
    )
    assert (said.json()["height_px"], said.json()["width_px"]) == (75, 101)
    assert said.json()["polygons"] == polygons(expected.mask)
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(mask.content))), 255 * expected.mask.astype(np.uint8)
    )
    assert Image.open(io.BytesIO(overlay.content)).size == (101, 75)


@pytest.mark.parametrize("classes", [EXCLUSIVE, OVERLAPPING])
def test_every_class_has_its_probability_at_native_size(classes: str) -> None:
    predictor = Predictor([network(classes, **TILED)])
    (answer,) = calls(predictor, (png(eye()), "?view=probability"))
    found = np.asarray(Image.open(io.BytesIO(answer.content)))
    expected = np.concatenate(list(predictor(eye()).probability))
    assert np.abs(found - np.rint(expected * 255)).max() <= 1


def test_windows_of_many_requests_share_the_queue_and_keep_their_masks() -> None:
    sizes, plain = [], network(EXCLUSIVE, **TILED)

    def forward(images):
        sizes.append(len(images))
        time.sleep(0.002)
        return plain.forward(images)

    predictor = Predictor([Network(plain.card, "x", "y", forward)])
    images = [eye(40 + 7 * i, 150 - 9 * i) for i in range(6)]
    answers = calls(predictor, *((png(each), "?view=numbers") for each in images))
    for image, answer in zip(images, answers, strict=True):
        found = np.asarray(Image.open(io.BytesIO(answer.content)))
        assert np.array_equal(found, predictor(image).mask)
    assert max(sizes) == predictor.num_together
    before = len(sizes)
    calls(predictor, (png(eye(400, 400)), ""))
    assert sum(sizes[before:]) == len(predictor.windowing.of((400, 400)))


def test_an_image_that_takes_too_long_is_given_up_and_its_other_windows_are_not_computed() -> None:
    seen, plain = [], network(EXCLUSIVE, **TILED)

    def forward(images):
        seen.append(len(images))
        time.sleep(0.05)
        return plain.forward(images)

    predictor = Predictor([Network(plain.card, "x", "y", forward)])
    (large,) = calls(predictor, (png(eye(1000, 1000)), ""), limits=Limits(answer_s=0.5))
    assert large.status_code == 503
    assert large.json()["detail"] == "took too long; send a smaller image, or try again later"
    assert sum(seen) < len(predictor.windowing.of((1000, 1000))) / 2


def test_a_window_without_probabilities_is_an_error_of_its_image_alone() -> None:
    plain = network(EXCLUSIVE, **TILED)

    def forward(images):
        if (images == 255).all(axis=(1, 2, 3)).any():
            raise OutputError("no numbers")
        return plain.forward(images)

    white = np.full((90, 90, 3), 255, np.uint8)
    bad, good = calls(Predictor([Network(plain.card, "x", "y", forward)]), (png(white), ""), (png(eye()), ""))
    assert (bad.status_code, good.status_code) == (500, 200)


def test_an_image_with_more_pixels_than_allowed_is_refused_before_it_is_decoded() -> None:
    (answer,) = calls(
        Predictor([network(EXCLUSIVE, **TILED)]), (png(eye(200, 200)), ""), limits=Limits(pixels=30_000)
    )
    assert answer.status_code == 413
