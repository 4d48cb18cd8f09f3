"""The server: what comes back for good images, and a clear refusal of everything else."""

import asyncio
import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import bombs
import httpx
import numpy as np
import pytest
from PIL import Image

from segstudy.core.errors import UserError
from segstudy.deploy.engines.base import Network
from segstudy.deploy.predict.load import open_model
from segstudy.deploy.predict.measurements import measured, polygons
from segstudy.deploy.predict.predictor import Predictor
from segstudy.deploy.serving.app import create_app
from segstudy.deploy.serving.limits import Limits
from segstudy.deploy.serving.server import serve

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def exported(exported_model: Path) -> Path:
    return exported_model


def picture(height: int = 60, width: int = 80, kind: str = "PNG", seed: int = 0) -> bytes:
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(seed)
    disc = np.hypot(y - height / 2, x - width / 2) < min(height, width) / 3
    pixels = np.where(disc[..., None], (120, 70, 50), (220, 180, 150)) + rng.normal(0, 8, (height, width, 3))
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, kind)
    return stream.getvalue()


def client(predictor: Predictor, limits: Limits | None = None, token: str | None = None) -> httpx.AsyncClient:
    app = create_app(predictor, 2, limits or Limits(), token)
    client.app = app  # type: ignore[attr-defined]
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


def calls(
    predictor: Predictor, *requests: dict, limits: Limits | None = None, token: str | None = None
) -> list:
    """Answers to requests that are all sent at once."""

    async def all_of_them() -> list:
        async with client(predictor, limits, token) as each, client.app.router.lifespan_context(client.app):
            return await asyncio.gather(*(each.request(**request) for request in requests))

    return asyncio.run(all_of_them())


def post(content: bytes = b"", query: str = "", **headers: str | bytes) -> dict:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "method": "POST",
        "url": f"/segment{query}",
        "content": content,
        "headers": {"Content-Type": "image/png", **names},
    }


def test_json_says_what_the_predictor_finds(exported):
    predictor = Predictor(exported)
    content = picture()
    (answer,) = calls(predictor, post(content))
    mask, probability = predictor(np.asarray(Image.open(io.BytesIO(content))))
    said = answer.json()
    assert answer.status_code == 200
    assert said["measurements"] == json.loads(json.dumps(vars_of(measured(mask, probability))))
    assert said["polygons"] == polygons(mask)
    assert (said["height_px"], said["width_px"]) == mask.shape


def vars_of(measures) -> dict:
    from dataclasses import asdict

    return asdict(measures)


def test_pictures_come_by_accept_and_view(exported):
    predictor = Predictor(exported)
    content = picture()
    mask, probability = predictor(np.asarray(Image.open(io.BytesIO(content))))
    found = calls(
        predictor,
        post(content, Accept="image/png"),
        post(content, "?view=probability", Accept="image/png"),
        post(content, "?view=overlay", Accept="image/jpeg"),
        post(content, "?view=outline", Accept="image/*"),
        post(content, "?threshold=0.9", Accept="image/png"),
        post(content, Accept="text/html"),
        post(content, "?view=probability", Accept="image/jpeg"),
    )
    assert [each.status_code for each in found] == [200] * 5 + [406] * 2
    kinds = [each.headers["content-type"] for each in found[:5]]
    assert kinds == ["image/png", "image/png", "image/jpeg", "image/jpeg", "image/png"]
    opened = [np.asarray(Image.open(io.BytesIO(each.content))) for each in found[:5]]
    assert np.array_equal(opened[0] > 0, mask)
    assert np.abs(opened[1] / 255 - probability).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(opened[1] >= 128, mask)  # what the page does with its slider at .5
    assert opened[2].shape == (*mask.shape, 3)
    assert np.array_equal(opened[4] > 0, probability >= 0.9)


def test_all_views_of_a_large_photograph_show_one_mask(exported):
    """JPEGs are decoded at reduced scale on their way to the network, whatever is sent back."""
    content = picture(1600, 1200, "JPEG")
    jpeg = {"Content_Type": "image/jpeg"}
    mask, outlined, said = calls(
        Predictor(exported),
        post(content, Accept="image/png", **jpeg),
        post(content, "?view=outline", Accept="image/jpeg", **jpeg),
        post(content, **jpeg),
    )
    found = np.asarray(Image.open(io.BytesIO(mask.content))) > 0
    assert found.sum() == said.json()["measurements"]["area_px"]
    assert np.asarray(Image.open(io.BytesIO(outlined.content))).shape == (*found.shape, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_segmented_upright(exported, orientation, tmp_path):
    upright = Image.open(io.BytesIO(picture(60, 90)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    upright.save(stream, "JPEG", quality=95, exif=exif)
    path_like = tmp_path / "turned.jpg"
    path_like.write_bytes(stream.getvalue())
    predictor = Predictor(exported)
    (answer,) = calls(predictor, post(stream.getvalue(), Accept="image/png", Content_Type="image/jpeg"))
    found = np.asarray(Image.open(io.BytesIO(answer.content))) > 0
    assert np.array_equal(found, predictor(path_like).mask)


def test_images_that_wait_share_a_batch_and_keep_their_own_masks(exported):
    card = open_model(exported)[0].card
    sizes: list[int] = []

    def slow(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        time.sleep(0.05)
        return (images[..., 0] / 255).astype(np.float32)

    predictor = Predictor([Network(card, "slow", "test", slow)])
    contents = [picture(40 + 2 * i, 60, seed=i) for i in range(24)]
    found = calls(predictor, *(post(each, Accept="image/png") for each in contents))
    assert max(sizes) > 1
    assert sum(sizes) == 24
    for content, answer in zip(contents, found, strict=True):
        expected = predictor(np.asarray(Image.open(io.BytesIO(content)))).mask
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))) > 0, expected)


def bomb() -> bytes:
    """A PNG of 40,000 x 40,000 pixels in some kilobytes."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def test_what_cannot_be_used_is_refused_with_a_reason(exported):
    limits = Limits(bytes=100_000, pixels=20_000)
    found = calls(
        Predictor(exported),
        post(b""),
        post(b"no image"),
        post(picture()[:500]),
        post(bomb()),
        post(picture(200, 200)),
        post(picture(4, 4)),
        post(bytes(200_000)),
        post(picture(), Content_Type="text/plain"),
        post(picture(), "?threshold=2"),
        post(picture(), "?view=nothing"),
        {"method": "GET", "url": "/segment"},
        {"method": "GET", "url": "/health", "headers": {"Host": "elsewhere.example"}},
        limits=limits,
    )
    assert [each.status_code for each in found] == [
        422,
        422,
        422,
        413,
        413,
        422,
        413,
        415,
        422,
        422,
        405,
        400,
    ]
    assert all("detail" in each.json() for each in found)


def test_a_token_is_asked_for_and_compared(exported):
    shown = {"Authorization": f"Bearer {TOKEN}"}
    found = calls(
        Predictor(exported),
        post(picture()),
        post(picture(), Authorization="Bearer wrong"),
        post(picture(), Authorization="Bearer ümlaut".encode()),
        post(picture(), **shown),
        {"method": "GET", "url": "/model"},
        {"method": "GET", "url": "/model", "headers": shown},
        {"method": "GET", "url": "/health"},
        {"method": "GET", "url": "/health", "headers": {"Host": "our.server.example"}},
        token=TOKEN,
    )
    assert [each.status_code for each in found] == [401, 401, 401, 200, 401, 200, 200, 200]


def test_a_full_queue_is_said(exported):
    card = open_model(exported)[0].card

    def slow(images: np.ndarray) -> np.ndarray:
        time.sleep(0.3)
        return np.zeros(images.shape[:3], np.float32)

    predictor = Predictor([Network(card, "slow", "test", slow)])
    found = calls(predictor, *(post(picture()) for _ in range(8)), limits=Limits(queue=3))
    statuses = sorted(each.status_code for each in found)
    assert statuses == [200] * 3 + [503] * 5
    assert all("retry-after" in each.headers for each in found if each.status_code == 503)


def test_what_takes_too_long_is_given_up(exported):
    card = open_model(exported)[0].card

    def slow(images: np.ndarray) -> np.ndarray:
        time.sleep(0.5)
        return np.zeros(images.shape[:3], np.float32)

    (answer,) = calls(
        Predictor([Network(card, "slow", "test", slow)]), post(picture()), limits=Limits(answer_s=0.1)
    )
    assert answer.status_code == 503


def test_what_was_given_up_is_not_computed(exported):
    card = open_model(exported)[0].card
    computed: list[int] = []

    def slow(images: np.ndarray) -> np.ndarray:
        computed.append(len(images))
        time.sleep(0.5)
        return np.zeros(images.shape[:3], np.float32)

    predictor = Predictor([Network(card, "slow", "test", slow)])
    found = calls(predictor, *(post(picture()) for _ in range(20)), limits=Limits(answer_s=0.2))
    assert {each.status_code for each in found} == {503}
    assert sum(computed) < 20


def test_a_blocked_thread_is_not_healthy(exported):
    card = open_model(exported)[0].card
    blocked = threading.Event()

    def stuck(images: np.ndarray) -> np.ndarray:
        blocked.wait(20)
        return np.zeros(images.shape[:3], np.float32)

    async def all_of_it() -> list:
        predictor = Predictor([Network(card, "stuck", "test", stuck)])
        limits = Limits(answer_s=0.2)
        async with client(predictor, limits) as each, client.app.router.lifespan_context(client.app):
            health = [await each.get("/health")]
            answer = await each.request(**post(picture()))
            await asyncio.sleep(0.1)
            health.append(await each.get("/health"))
            blocked.set()
            await asyncio.sleep(0.2)
            health.append(await each.get("/health"))
        return [answer.status_code, *((found.status_code, found.json()["blocked"]) for found in health)]

    assert asyncio.run(all_of_it()) == [503, (200, 0), (503, 1), (200, 0)]


def test_images_wait_for_room_and_not_for_ever(exported):
    """A decoder that does not come back has all the room; the next image is given up in its time."""
    predictor = Predictor(exported)
    app = create_app(predictor, 2, Limits(pixels=1e6, answer_s=0.3))
    budget = app.state.budget

    async def one() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        calling = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        async with calling as each, app.router.lifespan_context(app):
            return await each.request(**post(picture()))

    with budget.take(budget.pixels):
        answer = asyncio.run(one())
    assert answer.status_code == 503
    assert "too long" in answer.json()["detail"]
    assert asyncio.run(one()).status_code == 200


def test_limits_make_sense():
    for wrong, said in (
        ({"queue": 0}, "--queue must be above 0 and finite, got 0"),
        ({"bytes": float("nan")}, "--max-mb must be above 0 and finite, got nan"),
        ({"pixels": -2e6}, "--max-megapixels must be above 0 and finite, got -2"),
        ({"receive_s": -1}, "--receive-s must be above 0 and finite, got -1"),
        ({"answer_s": float("inf")}, "--answer-s must be above 0 and finite, got inf"),
    ):
        with pytest.raises(UserError, match=said):
            Limits(**wrong)
    with pytest.raises(UserError, match="at most 100"):
        Limits(pixels=2e8)


@pytest.mark.parametrize("host", ["localhost:1:2", "[::1]x", "x@localhost", "127.0.0.1.example", ""])
def test_a_host_that_only_looks_local(exported, host):
    (answer,) = calls(Predictor(exported), {"method": "GET", "url": "/health", "headers": {"Host": host}})
    assert answer.status_code == 400


def test_the_page_may_talk_to_nobody_else(exported):
    found = calls(
        Predictor(exported), *({"method": "GET", "url": url} for url in ("/", "/page.js", "/page.css"))
    )
    for each in found:
        assert each.status_code == 200
        assert "connect-src 'self'" in each.headers["content-security-policy"]
        assert each.headers["x-content-type-options"] == "nosniff"
        assert "http://" not in each.text
        assert "https://" not in each.text
    assert "Not a medical device" in found[0].text


def test_addresses_for_others_need_a_token(exported):
    predictor = Predictor(exported)
    with pytest.raises(UserError, match="needs a token"):
        serve(predictor, 1, host="0.0.0.0")
    for token in ("short", "ümlaut-ümlaut-ümlaut"):
        with pytest.raises(UserError, match="16 or more"):
            serve(predictor, 1, host="0.0.0.0", token=token)
    with pytest.raises(UserError, match="0 to 65535"):
        serve(predictor, 1, port=99_999)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="choose another --host or --port"):
            serve(predictor, 1, port=taken.getsockname()[1])


@contextlib.contextmanager
def started(command: list[str], folder: Path) -> Iterator[tuple[subprocess.Popen, int, Path]]:
    """A server in a process of its own, its port and its log."""
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        deadline = time.monotonic() + 120
        while "127.0.0.1:" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process, int(log.read_text().split("127.0.0.1:")[1].split("/")[0]), log
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def server(exported, tmp_path) -> Iterator[tuple[subprocess.Popen, int, Path]]:
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "segstudy", "serve", str(exported), "--port", "0", "--max-mb", "1"]
    with started([*command, "--queue", "64"], tmp_path) as found:
        yield found


def slow_sender(port: int, length: int = 100_000) -> socket.socket:
    """A connection that has sent a request's headers, and the first byte of its body."""
    line = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = f"POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n"
    line.sendall(f"{head}Content-Type: image/png\r\n\r\nx".encode())
    return line


def segmented(port: int) -> int:
    headers = {"Content-Type": "image/png"}
    url = f"http://127.0.0.1:{port}/segment"
    return httpx.post(url, content=picture(), headers=headers, timeout=60).status_code


@pytest.mark.slow
def test_600_idle_connections_lock_nobody_out(server):
    _, port, log = server
    idle = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(600)]
    for each in idle[::2]:
        with contextlib.suppress(OSError):
            each.sendall(b"GET /health HTTP/1.1\r\nHost: loc")  # and no more
    assert [segmented(port) for _ in range(5)] == [200] * 5
    idle += [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(600)]
    assert [segmented(port) for _ in range(5)] == [200] * 5
    began = time.monotonic()
    for each in idle:
        with contextlib.suppress(ConnectionError):
            assert each.recv(1) == b""  # closed, at last by its time
        each.close()
    assert time.monotonic() - began < 20
    assert segmented(port) == 200
    deadline = time.monotonic() + 20
    while "connections closed" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    counts = [line for line in lines if line.get("event") == "connections closed"]
    assert sum(sum(line.get(why, 0) for why in ("gave way", "idle")) for line in counts) >= 600


def test_slow_bodies_lock_nobody_out(exported, tmp_path):
    command = [sys.executable, "-m", "segstudy", "serve", str(exported), "--port", "0", "--queue", "4"]
    with started(command, tmp_path) as (_, port, _log):
        slow = [slow_sender(port) for _ in range(4)]
        time.sleep(1.5)
        assert [segmented(port) for _ in range(3)] == [200] * 3
        slow += [slow_sender(port) for _ in range(40)]
        time.sleep(1.5)
        assert [segmented(port) for _ in range(3)] == [200] * 3
        first = slow[0].recv(100)
        assert b" 408 " in first or first == b""
        for each in slow:
            each.close()


def test_all_that_a_server_says_is_json(server):
    process, port, log = server
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
        assert b" 400 " in line.recv(1000)
    assert segmented(port) == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    said = [line for line in log.read_text().splitlines() if "serving at" not in line]
    lines = [json.loads(line) for line in said]
    assert {"warning"} <= {line.get("level") for line in lines}
    assert all("time" in line for line in lines)


def test_a_thread_that_never_comes_back_does_not_keep_the_server(exported, tmp_path):
    code = f"""
import sys, time
from segstudy.deploy.engines.base import Network
from segstudy.deploy.predict.load import open_model
from segstudy.deploy.predict.predictor import Predictor
from segstudy.deploy.serving.limits import Limits
from segstudy.deploy.serving.server import serve
from pathlib import Path
card = open_model(Path({str(exported)!r}))[0].card
stuck = Network(card, "stuck", "test", lambda images: time.sleep(1000))
limits = Limits(receive_s=1, answer_s=1)
serve(Predictor([stuck]), 1, port=0, limits=limits, ready=lambda url: print(url, file=sys.stderr))
"""
    with started([sys.executable, "-c", code], tmp_path) as (process, port, log):
        assert segmented(port) == 503
        time.sleep(0.5)
        health = httpx.get(f"http://127.0.0.1:{port}/health")
        assert (health.status_code, health.json()["status"]) == (503, "blocked")
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(30) == 1
        assert time.monotonic() - began < 15
        assert "ended by force" in log.read_text()


@pytest.mark.parametrize("name", ["JPEG of 5,000 scans", "JPEG of 100,000 scans", "TIFF of 2,000,000 strips"])
def test_a_bomb_is_refused_at_once_and_takes_no_thread(exported, name):
    start = time.monotonic()
    with contextlib.closing(io.BytesIO(bombs.BOMBS[name]())) as content:
        found = calls(Predictor(exported), *(post(content.getvalue()) for _ in range(4)), post(picture()))
    assert [each.status_code for each in found] == [422] * 4 + [200]
    assert all("asks for more work" in each.json()["detail"] for each in found[:4])
    assert time.monotonic() - start < 30


@pytest.mark.slow
def test_asked_to_stop_it_answers_what_it_accepted(server):
    process, port, log = server
    content = picture(1500, 1500, "JPEG")
    answered: list[int] = []

    def ask() -> None:
        with contextlib.suppress(httpx.ConnectError):
            answer = httpx.post(
                f"http://127.0.0.1:{port}/segment",
                content=content,
                headers={"Content-Type": "image/jpeg"},
                timeout=60,
            )
            answered.append(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for each in threads:
        each.start()
    deadline = time.monotonic() + 30
    while httpx.get(f"http://127.0.0.1:{port}/health").json()["in_work"] < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    for each in threads:
        each.join()
    assert process.wait(60) == 0
    assert answered
    assert set(answered) == {200}
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert sum(line["path"] == "/segment" for line in lines) == len(answered)
    assert set(lines[0]) == {"time", "method", "path", "status", "ms", "sent_bytes", "pixels"}


def test_a_body_longer_than_it_said_or_endless_is_cut_off(server):
    _, port, _ = server
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", "/segment")
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", str(10**9))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", "/segment")
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    with contextlib.suppress(OSError):
        for _ in range(64):
            connection.send(b"10000\r\n" + bytes(65536) + b"\r\n")
    status = None
    with contextlib.suppress(OSError, http.client.HTTPException):
        status = connection.getresponse().status
    assert status in (413, None)
    assert httpx.get(f"http://127.0.0.1:{port}/health").json()["in_work"] == 0
