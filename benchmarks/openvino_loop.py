"""Images to masks with OpenVINO directly: what a careful user would write for one model and one machine.

    python benchmarks/openvino_loop.py MODEL.xml HEIGHTxWIDTH OUT IMAGE...

The opponent of ``segstudy predict`` in ``predict_time.py``: threads, one fixed shape, requests used again.
"""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import openvino
from PIL import Image


def main(file: str, size: str, out: str, *images: str) -> None:
    height, width = map(int, size.split("x"))
    threads = len(os.sched_getaffinity(0))
    core = openvino.Core()
    model = core.read_model(file)
    model.reshape([1, height, width, 3])
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": threads, "INFERENCE_NUM_THREADS": threads}
    network, local = core.compile_model(model, "CPU", settings), threading.local()
    network([np.zeros((1, height, width, 3), np.uint8)])  # else the first tensors of two threads may block

    def segment(i: int) -> None:
        if not hasattr(local, "request"):
            local.request = network.create_infer_request()
        image = Image.open(images[i]).convert("RGB")
        small = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        prob = Image.fromarray(local.request.infer([small[None]], share_inputs=True)[0][0])
        native = np.asarray(prob.resize(image.size, Image.Resampling.BILINEAR))
        cv2.imwrite(str(Path(out) / f"{i}.png"), (native >= 0.5).astype(np.uint8) * 255)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(segment, range(len(images))))


if __name__ == "__main__":
    main(*sys.argv[1:])
