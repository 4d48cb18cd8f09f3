"""The server of a model with several classes: measurements, polygons and pictures by class."""

import asyncio
import io

import httpx
import numpy as np
import pytest
from class_networks import EXCLUSIVE, OVERLAPPING, eye, network
from PIL import Image

from segstudy.deploy.predict.measurements import measured, polygons
from segstudy.deploy.predict.predictor import Predictor
from segstudy.deploy.serving.app import create_app

TASKS = [EXCLUSIVE, OVERLAPPING]


def ask(
    predictor: Predictor, *queries: str, accept: str = "image/png", method: str = "POST"
) -> list[httpx.Response]:
    stream = io.BytesIO()
    Image.fromarray(eye()).save(stream, "PNG")
    app = create_app(predictor, 2)

    async def all_of_them() -> list[httpx.Response]:
        headers = {"Content-Type": "image/png", "Accept": accept}
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
        ):
            return [
                await client.request(method, each, content=stream.getvalue(), headers=headers)
                for each in queries
            ]

    return asyncio.run(all_of_them())


def image(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


@pytest.fixture(params=TASKS, ids=["exclusive", "overlapping"])
def predictor(request) -> Predictor:
    return Predictor([network(request.param)])


def test_each_class_is_measured_and_outlined(predictor):
    (answer,) = ask(predictor, "/segment", accept="application/json")
    said = answer.json()
    mask, probability = predictor(eye())
    outputs = predictor.outputs
    assert (said["width_px"], said["height_px"], said["threshold"]) == (96, 64, predictor.threshold)
    assert [each["name"] for each in said["classes"]] == ["optic disc", "cup"]
    for each, number in zip(said["classes"], outputs.scored, strict=True):
        plane = outputs.plane(mask, number)
        assert each["polygons"] == polygons(plane)
        assert each["measurements"]["area_px"] == plane.sum()
        assert each["measurements"]["confidence"] == measured(plane, probability[number]).confidence


def test_a_mask_or_a_probability_is_of_one_class_or_of_all(predictor):
    mask, probability = predictor(eye())
    outputs = predictor.outputs
    number = outputs.names.index("cup")
    one, prob, every = ask(
        predictor, "/segment?class=cup", "/segment?view=probability&class=cup", "/segment?view=probability"
    )
    assert np.array_equal(np.asarray(image(one)) > 0, outputs.plane(mask, number))
    assert np.array_equal(np.asarray(image(prob)), np.rint(probability[number] * 255))
    assert np.array_equal(np.asarray(image(every)), np.rint(np.concatenate(probability) * 255))


def test_the_whole_mask_has_numbers_or_one_plane_for_each_class(predictor):
    mask, outputs = predictor(eye()).mask, predictor.outputs
    numbers, whole = map(image, ask(predictor, "/segment?view=numbers", "/segment"))
    assert np.array_equal(np.asarray(numbers), mask)
    if outputs.task == "multiclass":
        assert (numbers.mode, whole.mode) == ("L", "P")
        assert np.array_equal(np.asarray(whole), mask)
    else:
        assert np.array_equal(np.asarray(whole) > 0, np.concatenate([outputs.plane(mask, i) for i in (0, 1)]))


def test_pictures_show_all_classes(predictor):
    for view in ("overlay", "outline"):
        (answer,) = ask(predictor, f"/segment?view={view}", accept="image/jpeg")
        assert image(answer).size == (96, 64)


def test_every_answer_can_be_of_one_class(predictor):
    mask, outputs = predictor(eye()).mask, predictor.outputs
    (said,) = ask(predictor, "/segment?class=cup", accept="application/json")
    assert [each["name"] for each in said.json()["classes"]] == ["cup"]
    (numbers,) = ask(predictor, "/segment?view=numbers&class=cup")
    assert np.array_equal(np.asarray(image(numbers)), outputs.plane(mask, outputs.names.index("cup")))
    one, all_of_them = ask(
        predictor, "/segment?view=overlay&class=cup", "/segment?view=overlay", accept="image/jpeg"
    )
    disc = (32, 15)
    assert np.abs(np.asarray(image(one), int)[disc] - eye()[disc]).max() < 20
    assert np.abs(np.asarray(image(all_of_them), int)[disc] - eye()[disc]).max() > 20


def test_an_unknown_class_is_refused(predictor):
    (answer,) = ask(predictor, "/segment?class=rim")
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"class: 'rim' is none of {', '.join(predictor.outputs.names)}"


def test_exclusive_classes_have_no_threshold():
    exclusive, overlapping = (Predictor([network(each)]) for each in TASKS)
    (refused,) = ask(exclusive, "/segment?threshold=0.4")
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("threshold: the classes of this model exclude each other")
    assert ask(overlapping, "/segment?threshold=0.4")[0].status_code == 200


def test_classes_without_a_background_are_not_cleaned_up():
    (answer,) = ask(Predictor([network("skin=0,disc=1,cup=2")]), "/segment?fill_holes=true")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("fill_holes: the classes of this model")


def test_the_model_says_its_classes_and_their_colours(predictor):
    (answer,) = ask(predictor, "/model", method="GET")
    said = answer.json()
    assert said["task"] == predictor.outputs.task
    assert [each["name"] for each in said["classes"]] == list(predictor.outputs.names)
    assert [each["name"] for each in said["classes"] if each["scored"]] == ["optic disc", "cup"]
    assert len({each["colour"] for each in said["classes"]}) == len(predictor.outputs.names)


def test_only_options_that_there_are_are_described(predictor):
    (answer,) = ask(predictor, "/openapi.json", method="GET")
    options = {each["name"] for each in answer.json()["paths"]["/segment"]["post"]["parameters"]}
    assert ("threshold" in options) == predictor.outputs.has_threshold
    assert "class" in options
