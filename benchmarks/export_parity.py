"""Masks of exported files against PyTorch's: every architecture in every format, on a study's test part.

    segstudy run PH2Dataset --protocol classic --loss combo --batch-size 8 --image-size 128 --width 16 \
        --epochs 30 --set precision=auto --out PH2-export --no-images
    python benchmarks/export_parity.py PH2-export docs/results/export/parity.json

One run of each architecture, the best on validation. What would be refused is shown like the rest.
"""

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from machine import described, write_result
from rich.console import Console
from rich.table import Table

from segstudy.analysis.configurations import rows_of
from segstudy.deploy.export import FORMATS
from segstudy.deploy.export.onnx import onnx_of, package_of, quantized
from segstudy.deploy.export.parity import calibration_images, compare, reference_of
from segstudy.deploy.export.parity_images import prepared_for
from segstudy.store.folder import StudyFolder
from segstudy.store.trained_models import Models, parts_of


def best_of_each(folder: StudyFolder) -> dict[str, Models]:
    """The best run of every architecture."""
    keys: dict[str, list[str]] = {}
    for row in rows_of(folder):
        for record in row.records:
            keys.setdefault(record.architecture, []).append(record.key)
    return {name: Models(folder, tuple(each), name).best() for name, each in keys.items()}


def exports(models: Models, place: Path) -> dict[tuple[str, str], Path]:
    """A run in every format and precision, whether it would pass or not."""
    (record,) = models.records()
    prepared, parts = prepared_for(models, record), parts_of(models.home, record)
    graph = onnx_of(models.folder(record))
    graphs = {
        "float32": graph,
        "int8": quantized(graph, calibration_images(prepared, prepared.positions(parts["train"]))),
    }
    files = {}
    for to, format_ in FORMATS.items():
        for precision, each in graphs.items():
            files[to, precision] = place / f"{to}-{precision}{format_.suffix}"
            format_.write(each, package_of(models, record, precision), files[to, precision])
    return files


def main() -> None:
    folder, rows = StudyFolder(Path(sys.argv[1])), []
    for architecture, models in best_of_each(folder).items():
        (record,) = models.records()
        prepared = prepared_for(models, record)
        test = prepared.positions(parts_of(folder, record)["test"])
        pytorch, _ = reference_of(models.folder(record), models.name, None)
        with tempfile.TemporaryDirectory() as place:
            for (to, _), file in exports(models, Path(place)).items():
                size = sum(part.stat().st_size for part in Path(place).glob(f"{file.stem}.*"))
                about = {"architecture": architecture, "file": to, "bytes": size}
                rows += [about | asdict(found) for found in compare(pytorch, file, prepared, test)]
    show(rows)
    if len(sys.argv) > 2:
        write_result(Path(sys.argv[2]), {"machine": described(), "runs": rows})


def show(rows: list[dict[str, Any]]) -> None:
    table = Table("", "engine", "pixels that differ", "worst image", "IoU", "change", "passes", "MB")
    for row in rows:
        table.add_row(
            row["architecture"],
            row["engine"],
            f"{row['flipped_frac']:.4%}",
            f"{row['worst_flipped_frac']:.3%}",
            f"{row['iou']:.4f}",
            f"{row['iou'] - row['iou_pytorch']:+.4f}",
            "yes" if row["passed"] else "no",
            f"{row['bytes'] / 1e6:.1f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
