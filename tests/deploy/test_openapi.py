"""Schemathesis calls the server with everything that its description allows, and with what it does not."""

import base64
import io

import numpy as np
import pytest
import schemathesis
from class_networks import EXCLUSIVE, OVERLAPPING, network
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medical_writers import dicom
from PIL import Image
from schemathesis import GenerationMode

from segstudy.deploy.predict.predictor import Predictor
from segstudy.deploy.serving.app import create_app
from segstudy.deploy.serving.bodies import IMAGES

pytestmark = pytest.mark.filterwarnings("ignore")

HEADERS = {"Host": "localhost"}
KINDS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/x-portable-pixmap": "PPM",
    "application/dicom": "DICOM",
    "application/octet-stream": "PNG",
}


def pictures(kind: str) -> st.SearchStrategy[bytes]:
    def made(height: int, width: int, seed: int) -> bytes:
        stream = io.BytesIO()
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        if kind == "DICOM":
            dicom(pixels).save_as(stream, enforce_file_format=True)
        else:
            Image.fromarray(pixels).save(stream, kind)
        return stream.getvalue()

    return st.builds(made, st.integers(8, 90), st.integers(8, 90), st.integers(0, 9))


assert KINDS.keys() == set(IMAGES)
for _media, _kind in KINDS.items():
    schemathesis.openapi.media_type(_media, pictures(_kind))
# JSON holds a picture in the place of any bytes; a form as its encoding says.
schemathesis.openapi.format("byte", pictures("PNG").map(lambda content: base64.b64encode(content).decode()))


@pytest.fixture(
    scope="module",
    params=[
        "one foreground",
        *(pytest.param(classes, marks=pytest.mark.slow) for classes in (EXCLUSIVE, OVERLAPPING)),
    ],
)
def described(request, exported_model):
    several = request.param != "one foreground"
    app = create_app(Predictor([network(request.param)] if several else exported_model), 2)
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers=HEADERS)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", ["/health", "/model", "/segment"])
def test_the_server_keeps_to_its_description(described, path, mode):
    (operation,) = (each.ok() for each in described.get_all_operations() if each.ok().path == path)
    if mode is GenerationMode.NEGATIVE and path != "/segment":
        return  # nothing to get wrong: they take no parameters

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def holds(case):
        case.call_and_validate(headers=HEADERS)

    holds()


def test_every_way_to_send_an_image_is_described(described):
    (operation,) = (each.ok() for each in described.get_all_operations() if each.ok().path == "/segment")
    content = operation.definition.raw["requestBody"]["content"]
    assert content.keys() == {*IMAGES, "multipart/form-data", "application/json"}


def test_all_of_the_interface_is_described(described):
    assert {each.ok().path for each in described.get_all_operations()} == {"/health", "/model", "/segment"}
