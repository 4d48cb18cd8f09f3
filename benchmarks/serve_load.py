"""A server under load: 2,000 requests, 32 at a time, one in twenty of them hostile; then SIGTERM amid a load.

    python benchmarks/serve_load.py MODEL docs/results/export/serve-load.json

Good requests are made-up photographs of .3 to 12 megapixels (PNG and JPEG), for masks, probabilities and
JSON. Hostile ones: a decompression bomb, a truncated file, no image, a body of 1 GB, a slow sender, a wrong
token. Good ones have to be answered with 200, hostile ones with a 4xx; 0 stands for a connection that was
closed before the answer could be read. Memory has to come back.
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

TOKEN = "a token of more than sixteen characters"  # noqa: S105
RECEIVE_S = 5  # within which the server wants a body
SIZES = ((480, 640), (576, 768), (1080, 1920), (2000, 3000), (3000, 4000))
HOSTILE = ("bomb", "truncated", "no image", "1 GB", "slow sender", "wrong token")


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


def hostile(server: Server, kind: str, client: httpx.Client, good: bytes) -> int:
    """The status of the answer; 0 for a connection that was closed without one."""
    headers = {"Content-Type": "image/png", "Authorization": f"Bearer {TOKEN}"}
    if kind in ("bomb", "truncated", "no image"):
        content = {"bomb": bomb(), "truncated": good[: len(good) // 2], "no image": b"<html>" * 1000}[kind]
        return client.post("/segment", content=content, headers=headers).status_code
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
        answer = client.post(f"/segment{query}", content=content, headers=headers)
        took = time.perf_counter() - start
        return "good", answer.status_code, took, size[0] * size[1]

    def bad(number: int) -> tuple[str, int, float, int]:
        kind = HOSTILE[number % len(HOSTILE)]
        start = time.perf_counter()
        return kind, hostile(server, kind, client, goods[0][1]), time.perf_counter() - start, 0

    order = [bad] * (requests // 20) + [good] * (requests - requests // 20)
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
    start = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        found = list(pool.map(lambda pair: pair[1](pair[0]), enumerate(order)))
    seconds = time.perf_counter() - start
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
            ends["not accepted"] += 1
        except httpx.HTTPError as error:
            ends[f"lost: {type(error).__name__}"] += 1

    with ThreadPoolExecutor(at_once) as pool:
        pending = [pool.submit(ask, number) for number in range(2 * at_once)]
        while httpx.get(f"{server.url}/health").json()["in_work"] < at_once // 2:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        for each in pending:
            each.result()
    code = server.process.wait(90)
    log = server.log.read_text().splitlines()
    return {"ends": dict(ends), "exit_code": code, "logged": sum(line.startswith("{") for line in log)}


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
