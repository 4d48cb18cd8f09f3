"""A bad file stops nothing: images of any shape, and whatever goes wrong inside, are rows of the table."""

import asyncio
import io
import time

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import segstudy
from segstudy.deploy.predict import folder as prediction
from segstudy.deploy.predict.folder import predict_files
from segstudy.deploy.predict.inputs import find_images
from segstudy.deploy.predict.predictor import Predictor
from segstudy.deploy.serving.app import create_app

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
LONG = [(10, 1_100_000), (65_501, 8), (1, 100)]
MORE = [(1_100_000, 10), (8, 65_500), (100, 1), (7, 70_000)]  # in `make test-slow`
KINDS = ("probability", "overlay", "outline")


@pytest.fixture(scope="module")
def predictor(exported_model) -> Predictor:
    return Predictor(exported_model)


def png(height: int, width: int) -> bytes:
    pixels = np.full((height, width, 3), 220, np.uint8)
    pixels[height // 3 : height - height // 3, width // 3 : width - width // 3] = 60
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("height", "width"), [*LONG, *(pytest.param(*shape, marks=pytest.mark.slow) for shape in MORE)]
)
def test_an_image_of_any_shape_is_a_mask_or_a_row_with_its_error(exported_model, tmp_path, height, width):
    for name, shape in (("a", (40, 48)), ("b", (height, width)), ("c", (48, 40))):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.png").write_bytes(png(*shape))
    began = time.process_time()
    for kinds in ((), ("probability",), KINDS):
        rows = segstudy.predict(exported_model, tmp_path / "in", tmp_path / f"out{len(kinds)}", kinds=kinds)
        assert [row["error"] for row in rows[::2]] == ["", ""]
        if min(height, width) < 8:
            assert "each side needs at least 8" in rows[1]["error"]
        elif kinds == KINDS and max(height, width) > 65_500:
            assert rows[1]["error"].startswith(
                "an overlay is a JPEG, which holds at most 65500 pixels a side"
            )
            assert f"{width} x {height}" in rows[1]["error"]
            assert not (tmp_path / f"out{len(kinds)}" / "masks" / "b.png").exists()
        else:
            assert rows[1]["error"] == ""
            with Image.open(tmp_path / f"out{len(kinds)}" / "masks" / "b.png") as mask:
                assert mask.size == (width, height)
                assert np.count_nonzero(np.asarray(mask)) == int(rows[1]["area_px"])
    assert time.process_time() - began < 60


@pytest.mark.slow
@pytest.mark.parametrize(
    ("height", "width"),
    [
        (10, 1_100_000),
        (1, 100),
        *(pytest.param(*shape, marks=pytest.mark.slow) for shape in ((65_501, 8), (8, 65_500))),
    ],
)
def test_every_view_of_the_server_answers(predictor, height, width):
    content = png(height, width)

    async def ask() -> list[httpx.Response]:
        app = create_app(predictor, 2)
        base = {"transport": httpx.ASGITransport(app), "base_url": "http://localhost", "timeout": 120}
        async with httpx.AsyncClient(**base) as client, app.router.lifespan_context(app):
            return [
                await client.post(f"/segment{query}", content=content, headers={**KIND, "Accept": accept})
                for accept, query in VIEWS
            ]

    found = asyncio.run(ask())
    if height == 1:
        assert {each.status_code for each in found} == {422}
        return
    assert [each.status_code for each in found[:3]] == [200] * 3
    assert found[0].json()["width_px"] == width
    for each in found[1:3]:
        assert Image.open(io.BytesIO(each.content)).size == (width, height)
    expected = 422 if max(height, width) > 65_500 else 200
    assert [each.status_code for each in found[3:]] == [expected] * 2
    if expected == 422:
        assert "65500 pixels a side" in found[3].json()["detail"]


KIND = {"Content-Type": "image/png"}
VIEWS = (
    ("application/json", ""),
    ("image/png", "?view=mask"),
    ("image/png", "?view=probability"),
    ("image/jpeg", "?view=overlay"),
    ("image/jpeg", "?view=outline"),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(height=st.integers(1, 300), width=st.integers(1, 300), turned=st.booleans(), grey=st.booleans())
def test_small_shapes_of_every_kind(predictor, tmp_path_factory, height, width, turned, grey):
    folder = tmp_path_factory.mktemp("shape")
    image = Image.open(io.BytesIO(png(height, width))).convert("L" if grey else "RGB")
    image.rotate(90 if turned else 0, expand=True).save(folder / "x.png")
    (row,) = predict_files(predictor, find_images([folder]), folder / "out", KINDS)
    assert bool(row["error"]) == (min(height, width) < 8)


@pytest.mark.parametrize(
    "error",
    [AssertionError("x"), TypeError("y"), KeyError("z"), RuntimeError("r"), MemoryError(), OSError("o")],
)
def test_whatever_an_image_raises_is_its_own_row(predictor, tmp_path, monkeypatch, error):
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(png(40, 48))
    real = prediction.encoded
    calls: list[str] = []

    def failing(kind, *arrays):
        calls.append(kind)
        if len(calls) == 1:
            raise error
        return real(kind, *arrays)

    monkeypatch.setattr(prediction, "encoded", failing)
    first, second = prediction.predict_files(predictor, find_images([tmp_path]), tmp_path / "o")
    assert first["error"].startswith(type(error).__name__)
    assert second["error"] == ""
