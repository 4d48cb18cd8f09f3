"""A study in parts on a Slurm cluster with a shared disk, by submitit: one job for each loss, then one study.

    pip install submitit
    python submit.py my-images my-study --cluster slurm --partition gpu
    python submit.py my-images my-study --cluster local     # on this machine, to try it

Each job writes a study of its own in ``my-study-parts``. A job that reaches its time limit goes back into the
queue and continues. At the end `segstudy merge` makes one study of them.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit

import segstudy

LOSSES = ("bce", "focal", "dice", "tversky", "combo")


@dataclass
class Part:
    """The runs of one loss."""

    data: str
    loss: str
    out: str
    options: dict[str, Any]

    def __call__(self) -> str:
        segstudy.run(self.data, loss=self.loss, out=self.out, yes=True, **self.options)
        return self.out

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Return what submitit puts into the queue at the time limit: the same, which continues."""
        return submitit.helpers.DelayedSubmission(self)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--cluster", choices=("slurm", "local"), default="slurm")
    parser.add_argument("--partition", help="of Slurm")
    parser.add_argument("--hours", type=float, default=12, help="time limit of a job")
    parser.add_argument("--cores", type=int, default=16, help="of a job")
    parser.add_argument("--gpus", type=int, default=0, help="of a job")
    parser.add_argument("--losses", default=",".join(LOSSES))
    parser.add_argument("--set", action="append", default=[], metavar="field=value", help="as `segstudy run`")
    asked = parser.parse_args()
    parts = Path(f"{asked.out}-parts")
    executor = submitit.AutoExecutor(folder=parts / "logs" / "%j", cluster=asked.cluster)
    executor.update_parameters(
        timeout_min=int(60 * asked.hours),
        cpus_per_task=asked.cores,
        gpus_per_node=asked.gpus,
        slurm_partition=asked.partition,
        slurm_signal_delay_s=300,
    )
    fields = dict(setting.split("=", 1) for setting in asked.set)
    jobs = [
        executor.submit(Part(asked.data, loss, str(parts / loss), {"fields": fields}))
        for loss in asked.losses.split(",")
    ]
    folders = [job.result() for job in jobs]
    command = [sys.executable, "-m", "segstudy", "merge", *folders, "--out", asked.out]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
