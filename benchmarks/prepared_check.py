"""What it costs to check prepared data when they are opened, and to read batches from files.

    python benchmarks/prepared_check.py                   # 4,000 images of 128 px; what 100,000 would take
    python benchmarks/prepared_check.py --images 100000   # 12.6 GB of disk: all of it, measured

Writes files as ``segstudy`` prepares them (random pixels; native masks of 600 x 800), checks them, and reads
batches of 8 in random order, beside the same from arrays that are mapped into memory.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from segstudy.core.resources import allowed_cores
from segstudy.data.hashed_arrays import HashedWriter, StoredArray, StoredFile, verify, written

NATIVE_BYTES = 600 * 800 // 8
BATCH = 8


def write(folder: Path, num_images: int, size_px: int) -> list[StoredFile]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (size_px, size_px, 3), np.uint8)
    rows = {
        "images.npy": (image, (num_images, size_px, size_px, 3)),
        "masks.npy": (image[..., 0] > 127, (num_images, size_px, size_px)),
        "native.bits": (rng.integers(0, 256, NATIVE_BYTES, np.uint8), None),
    }
    files = []
    for name, (row, shape) in rows.items():
        with written(folder / name) as stream:
            writer = HashedWriter(stream)
            if shape is not None:
                writer.write_header(row.dtype, shape)
            for _ in range(num_images):
                writer.write(row.tobytes())
        files.append(StoredFile(folder / name, writer.hashes()))
    return files


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def read_batches(*arrays: "StoredArray | np.ndarray", num_images: int) -> None:
    order = np.random.default_rng(0).permutation(num_images)
    for start in range(0, num_images, BATCH):
        for array in arrays:
            array[order[start : start + BATCH]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--size", type=int, default=128)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = write(folder, asked.images, asked.size)
        num_bytes = sum(file.stat().st_size for file in folder.iterdir())
        busy_s = time.process_time()
        check_s = min(seconds(lambda: verify(files)) for _ in range(3))
        busy_s = (time.process_time() - busy_s) / 3
        stored = [StoredArray(files[0], np.dtype(np.uint8)), StoredArray(files[1], np.dtype(np.bool_))]
        mapped = [np.load(folder / name, mmap_mode="r") for name in ("images.npy", "masks.npy")]
        reading_s = {"files": 1e9, "mapped": 1e9}
        for _ in range(5):  # in turn, so that both meet the same load
            for kind, arrays in (("files", stored), ("mapped", mapped)):
                took_s = seconds(lambda arrays=arrays: read_batches(*arrays, num_images=asked.images))
                reading_s[kind] = min(reading_s[kind], took_s)
    found = {
        "images": asked.images,
        "size_px": asked.size,
        "gigabytes": round(num_bytes / 1e9, 3),
        "cores": allowed_cores(hyperthreads=True),
        "check_s": round(check_s, 3),
        "check_gigabytes_per_s": round(num_bytes / 1e9 / check_s, 2),
        "check_gigabytes_per_s_of_one_core": round(num_bytes / 1e9 / busy_s, 2),  # also on a busy machine
        "check_of_100000_images_s": round(check_s * 100_000 / asked.images, 1),
        "images_per_s_from_files": round(asked.images / reading_s["files"]),
        "images_per_s_mapped": round(asked.images / reading_s["mapped"]),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
