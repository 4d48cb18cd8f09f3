"""segstudy-runtime in a fresh environment installs, predicts and serves from exported files, without PyTorch.

    make runtime

Needs the package index; `end_to_end/test_runtime.py` tries the same files without it.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from pathlib import Path

from model_study import train

import segstudy

ROOT = Path(__file__).parent.parent


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        study = train(folder)
        models = [
            segstudy.export(study, "onnx", out=folder / "model.onnx").file,
            segstudy.export(study, "openvino", out=folder / "model.xml").file,
        ]
        start = time.monotonic()
        venv.create(folder / "env", with_pip=True)
        made = time.monotonic()
        bin_ = folder / "env" / "bin"
        install = [bin_ / "pip", "install", "--quiet", f"{ROOT / 'runtime'}[openvino,serve]"]
        subprocess.run(install, check=True)
        print(f"environment {made - start:.1f} s, installed in {time.monotonic() - made:.1f} s")
        size = sum(file.stat().st_size for file in (folder / "env" / "lib").rglob("*") if file.is_file())
        print(f"{size / 1e6:.0f} MB with pip")
        absent = subprocess.run([bin_ / "python", "-c", "import torch"], capture_output=True, check=False)
        assert b"No module named 'torch'" in absent.stderr
        for model in models:
            out = folder / f"out-{model.suffix[1:]}"
            images = folder / "discs" / "images"
            start = time.monotonic()
            subprocess.run([bin_ / "segstudy", "predict", model, images, "--out", out], check=True)
            assert len(list((out / "masks").iterdir())) == 24
            print(f"{model.name}: 24 masks in {time.monotonic() - start:.1f} s")
            serve(bin_, model, images / "disc00.png")
        refused = subprocess.run(
            [bin_ / "segstudy", "predict", study, images, "--out", folder / "no"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 2
        print(refused.stderr.strip())


def serve(bin_: Path, model: Path, image: Path) -> None:
    process = subprocess.Popen(
        [bin_ / "segstudy", "serve", model, "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        url = process.stderr.readline().split(" at ")[1].split(" ")[0]
        request = urllib.request.Request(f"{url}segment", image.read_bytes(), {"Content-Type": "image/png"})
        with urllib.request.urlopen(request) as answer:
            found = json.load(answer)["measurements"]["area_px"]
        with urllib.request.urlopen(url) as page:
            assert "Not a medical device" in page.read().decode()
        print(f"{model.name}: served, area {found} px")
    finally:
        process.terminate()
        assert process.wait(30) == 0


if __name__ == "__main__":
    sys.exit(main())
