"""A server under load: 2,000 requests, 32 at a time, one in ten of them hostile; then SIGTERM amid a load.

    python benchmarks/serve_load.py MODEL docs/results/export/serve-load.json

Good requests are made-up photographs of .3 to 12 megapixels (PNG and JPEG), for masks, probabilities and
JSON. Hostile ones: a decompression bomb, JPEGs of 5,000 and 100,000 scans, a TIFF of two million strips, the
largest image of 16-bit RGBA, a truncated file, no image, a body of 1 GB, a slow sender, a wrong token. All
the time 600 connections stand idle, opened again as they are closed. Good ones have to be answered with 200
(so does the largest image), hostile ones with a 4xx; 0 stands for a connection closed before the answer
could be read. Memory has to come back, and the server has to end.
"""

import argparse
import io
import json
import os
import random
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from machine import described, write_result
from PIL import Image
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import bombs

TOKEN = "a token of more than sixteen characters"  # noqa: S105
RECEIVE_S = 5  # within which the server wants a body
SIZES = ((480, 640), (576, 768), (1080, 1920), (2000, 3000), (3000, 4000))
IDLE = 600
HOSTILE = (
    *("bomb", "5,000 scans", "100,000 scans", "2,000,000 strips", "49 megapixels of 16-bit RGBA"),
    *("truncated", "no image", "1 GB", "slow sender", "wrong token"),
)


def photograph(height: int, width: int, seed: int, kind: str) -> bytes:
    """A dark disc on smooth noise."""
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(150, 230, (12, 16, 3), np.uint8)).resize((width, height))
    y, x = np.ogrid[:height, :width]
    disc = np.hypot(y - height * rng.uniform(0.3, 0.7), x - width * rng.uniform(0.3, 0.7)) < height / 4
    stream = io.BytesIO()
    Image.fromarray(np.where(disc[..., None], np.asarray(noise) // 2, noise).astype(np.uint8)).save(
        stream, kind, **({"compress_level": 1} if kind == "PNG" else {"quality": 85})
    )
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG that says it is 40,000 x 40,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def largest(side: int = 7_000) -> bytes:
    """A PNG of 49 megapixels of 16-bit RGBA in 400 KB."""
    header = struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0)
    pixels = zlib.compressobj(9)
    rows = b"".join(pixels.compress(bytes(side * 8 + 1)) for _ in range(side)) + pixels.flush()
    parts = [bombs.chunk(b"IHDR", header), bombs.chunk(b"IDAT", rows), bombs.chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def contents(good: bytes) -> dict[str, bytes]:
    """Of the hostile requests that send a whole file."""
    return {
        "bomb": bomb(),
        "5,000 scans": bombs.BOMBS["JPEG of 5,000 scans"](),
        "100,000 scans": bombs.BOMBS["JPEG of 100,000 scans"](),
        "2,000,000 strips": bombs.BOMBS["TIFF of 2,000,000 strips"](),
        "49 megapixels of 16-bit RGBA": largest(),
        "truncated": good[: len(good) // 2],
        "no image": b"<html>" * 1000,
    }


class Idle:
    """Connections that never ask for anything; those that are closed are opened again."""

    def __init__(self, port: int, count: int) -> None:
        self.port, self.count, self.opened, self.over = port, count, 0, threading.Event()
        self.thread = threading.Thread(target=self._hold, daemon=True)
        self.thread.start()

    def _hold(self) -> None:
        lines: list[socket.socket] = []
        while not self.over.wait(0.2):
            lines = [line for line in lines if not closed(line)]
            while len(lines) < self.count and not self.over.is_set():
                try:
                    lines.append(socket.create_connection(("127.0.0.1", self.port), timeout=5))
                except OSError:
                    break
                self.opened += 1
        for line in lines:
            line.close()

    def stop(self) -> int:
        """Close all; how many were opened over the time."""
        self.over.set()
        self.thread.join()
        return self.opened


def closed(line: socket.socket) -> bool:
    """Whether the other end has closed a connection."""
    line.setblocking(False)
    try:
        gone = line.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        gone = True
    if gone:
        line.close()
    return gone


class Server:
    """``segstudy serve`` in a process of its own."""

    def __init__(self, model: str, folder: Path) -> None:
        self.log = folder / "log"
        words = [
            sys.executable,
            "-m",
            "segstudy",
            "serve",
            model,
            "--port",
            "0",
            "--receive-s",
            str(RECEIVE_S),
        ]
        environment = {**os.environ, "SEGSTUDY_TOKEN": TOKEN}
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(words, stderr=stream, env=environment)
        while not (found := re.search(r"127\.0\.0\.1:(\d+)/", self.log.read_text())):
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        self.port = int(found[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def memory_mb(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss / 2**20)


def hostile(server: Server, kind: str, client: httpx.Client, good: bytes, files: dict[str, bytes]) -> int:
    """The status of the answer; 0 for a connection that was closed without one."""
    headers = {"Content-Type": "image/png", "Authorization": f"Bearer {TOKEN}"}
    if kind in files:
        return client.post("/segment", content=files[kind], headers=headers).status_code
    if kind == "wrong token":
        return client.post(
            "/segment", content=good, headers=headers | {"Authorization": "Bearer x"}
        ).status_code
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
        length = "Content-Length: 100000" if kind == "slow sender" else "Transfer-Encoding: chunked"
        lines = ["POST /segment HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {TOKEN}"]
        line.sendall("\r\n".join([*lines, "Content-Type: image/png", length, "", ""]).encode())
        try:
            if kind == "slow sender":
                for _ in range(3 * RECEIVE_S):
                    line.sendall(b"x")
                    time.sleep(0.5)
            else:
                piece = b"100000\r\n" + bytes(0x100000) + b"\r\n"
                for _ in range(1000):
                    line.sendall(piece)
        except OSError:
            pass
        try:
            first = line.recv(100).decode("latin-1")
        except OSError:
            return 0
    return int(first.split()[1]) if first else 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=32)
    asked = parser.parse_args()
    goods = [
        (size, photograph(*size, seed=i, kind=kind))
        for i, size in enumerate(SIZES)
        for kind in ("PNG", "JPEG")
    ]
    with tempfile.TemporaryDirectory() as folder:
        server = Server(asked.model, Path(folder))
        try:
            result = loaded(server, goods, asked.requests, asked.at_once)
            result["stop"] = stopped_amid(server, goods, asked.at_once)
        finally:
            server.process.kill()
    show(result)
    if asked.out:
        write_result(asked.out, {"machine": described(), "model": asked.model.rpartition("/")[2], **result})


def loaded(server: Server, goods: list[Any], requests: int, at_once: int) -> dict[str, Any]:
    """Everything that happened under load."""
    limits = httpx.Limits(max_connections=at_once)
    client = httpx.Client(base_url=server.url, timeout=120, limits=limits)
    good_headers = {"Authorization": f"Bearer {TOKEN}"}

    def good(number: int) -> tuple[str, int, float, int]:
        size, content = goods[number % len(goods)]
        kind = "image/png" if content[:4] == b"\x89PNG" else "image/jpeg"
        accept, query = [("image/png", ""), ("application/json", ""), ("image/png", "?view=probability")][
            number % 3
        ]
        start = time.perf_counter()
        headers = {**good_headers, "Content-Type": kind, "Accept": accept}
        try:
            status = client.post(f"/segment{query}", content=content, headers=headers).status_code
        except httpx.HTTPError:
            status = 0
        return "good", status, time.perf_counter() - start, size[0] * size[1]

    def bad(number: int) -> tuple[str, int, float, int]:
        kind = HOSTILE[number % len(HOSTILE)]
        start = time.perf_counter()
        return kind, hostile(server, kind, client, goods[0][1], files), time.perf_counter() - start, 0

    files = contents(goods[0][1])
    order = [bad] * (requests // 10) + [good] * (requests - requests // 10)
    random.Random(0).shuffle(order)  # noqa: S311
    for number in range(40):  # warm: every size seen, threads and allocators at their level
        good(number)
    before, peak, over = server.memory_mb(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.05):
            peak = max(peak, server.memory_mb())

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    idle = Idle(server.port, IDLE)
    start = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        found = list(pool.map(lambda pair: pair[1](pair[0]), enumerate(order)))
    seconds = time.perf_counter() - start
    opened = idle.stop()
    over.set()
    watching.join()
    time.sleep(5)
    times = [took for kind, _, took, _ in found if kind == "good"]
    large = [took for kind, _, took, pixels in found if kind == "good" and pixels >= 12e6]
    return {
        "requests": len(order),
        "at_once": at_once,
        "seconds": seconds,
        "good": dict(Counter(status for kind, status, *_ in found if kind == "good")),
        "hostile": {k: dict(Counter(s for kind, s, *_ in found if kind == k)) for k in HOSTILE},
        "p50_s": statistics.median(times),
        "p95_s": statistics.quantiles(times, n=20)[-1],
        "p95_of_12_megapixels_s": statistics.quantiles(large, n=20)[-1],
        "memory_mb": {"before": before, "peak": peak, "after": server.memory_mb()},
        "idle_connections": {"at_once": IDLE, "opened": opened},
        "in_work_after": httpx.get(f"{server.url}/health").json()["in_work"],
    }


def stopped_amid(server: Server, goods: list[Any], at_once: int) -> dict[str, Any]:
    """SIGTERM while requests are in work: how those that the server had accepted ended."""
    ends: Counter[str] = Counter()

    def ask(number: int) -> None:
        content = goods[number % len(goods)][1]
        kind = "image/png" if content[:4] == b"\x89PNG" else "image/jpeg"
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
            answer = httpx.post(f"{server.url}/segment", content=content, headers=headers, timeout=120)
            ends[str(answer.status_code)] += 1
        except httpx.ConnectError:
            ends["not accepted"] += 1  # nothing of it was sent
        except httpx.HTTPError as error:
            ends[f"lost: {type(error).__name__}"] += 1

    idle = Idle(server.port, IDLE)
    with ThreadPoolExecutor(at_once) as pool:
        pending = [pool.submit(ask, number) for number in range(2 * at_once)]
        while httpx.get(f"{server.url}/health").json()["in_work"] < at_once // 2:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        start = time.perf_counter()
        code = server.process.wait(180)
        seconds = time.perf_counter() - start
        for each in pending:
            each.result()
    idle.stop()
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if "serving at" not in line]
    logged = sum("path" in line for line in lines)
    return {"ends": dict(ends), "exit_code": code, "seconds": seconds, "logged": logged}


def show(result: dict[str, Any]) -> None:
    table = Table("", "")
    for name, value in result.items():
        text = (
            f"{value:.3f}"
            if isinstance(value, float)
            else json.dumps(value)
            if isinstance(value, dict)
            else str(value)
        )
        table.add_row(name.replace("_", " "), text)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
