"""What saving every epoch costs: size and time of a state, and their share of a training.

Run ``python benchmarks/checkpoint_cost.py``; each network is trained for a few epochs on the drawn set, a
state saved after each. The share is what ``--checkpoint-every N`` divides by N.
"""

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from segstudy.config.study import override, preset_study
from segstudy.store.folder import StudyFolder
from segstudy.study.execution import carry_out
from segstudy.study.machine import choose_machine
from segstudy.study.plan import make_plan, write_plan
from segstudy.training.executors.base import Watch

SIZES = ((64, 8), (128, 16), (128, 64))  # image size in pixels, channels of the first stage
EPOCHS = 4


def measured(image_size: int, width: int, folder: StudyFolder) -> tuple[str, ...]:
    """One row of the table."""
    fields = {"image_size": [image_size], "width": [width], "epochs": [EPOCHS]}
    fields |= {"architecture": ["unet"], "loss": ["bce"], "batch_size": [8], "precision": ["auto"]}
    machine = choose_machine("cpu", threads=1, executor="serial")
    plan = make_plan(override(preset_study("classic", "cost", "synthetic"), fields), machine)
    write_plan(plan, folder)
    sizes: list[int] = []

    def look(*_: object) -> None:
        sizes.extend(file.stat().st_size for file in folder.path.glob("checkpoints/*/*.state"))

    list(carry_out(plan, plan.runs, folder, machine, Watch(epoch=look)))
    (record,) = folder.run_records(folder.finished())
    seconds = record.seconds.model_dump()
    return (
        f"{image_size} px, width {width}",
        f"{max(sizes) / 1e6:.1f} MB",
        f"{seconds['checkpoints'] / EPOCHS * 1000:.0f} ms",
        f"{(seconds['total'] - seconds['checkpoints']) / EPOCHS:.2f} s",
        f"{seconds['checkpoints'] / seconds['total']:.1%}",
    )


def main() -> None:
    table = Table("unet, 100 training images", "a state", "to save it", "an epoch", "share of the time")
    for image_size, width in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            table.add_row(*measured(image_size, width, StudyFolder(Path(folder) / "study")))
    Console().print(table)


if __name__ == "__main__":
    main()
