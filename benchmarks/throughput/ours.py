"""segstudy's own training of the same runs, with all it does besides: states saved, runs stored whole.

The variant says what of it is switched on: ``float32`` or ``bfloat16``, ``alone`` (one run at a time with as
many threads as cores) or ``packed`` (a run per core).
"""

import tempfile
from pathlib import Path

from contest import Answer, task

from segstudy.config.study import override, preset_study
from segstudy.core.resources import allowed_cores
from segstudy.store.folder import StudyFolder
from segstudy.study.execution import carry_out
from segstudy.study.machine import choose_machine
from segstudy.study.plan import make_plan, write_plan


def main() -> None:
    asked = task()
    precision, packing = asked.variant.split("-")
    cores = allowed_cores()
    packed = packing == "packed"
    machine = choose_machine(
        "cpu", threads=1 if packed else cores, executor="processes" if packed else "serial"
    )
    study = override(
        preset_study("classic", "throughput", asked.data),
        {
            "architecture": asked.architectures,
            "loss": ["bce"],
            "batch_size": [asked.batch_size],
            "image_size": [asked.image_size],
            "width": [asked.width],
            "epochs": [asked.epochs],
            "scheduler": ["none"],
            "precision": [precision],
            "record_test": [False],
            "seeds": [asked.seeds],
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        store = StudyFolder(Path(folder) / "study")
        plan = make_plan(study, machine)
        write_plan(plan, store)
        runs = sorted(plan.runs, key=lambda run: run.seed)
        prepared_before = list(carry_out(plan, [], store, machine))
        assert not prepared_before
        answer = Answer()
        keys = {run.key: run for run in runs}
        for outcome in carry_out(plan, runs, store, machine):
            assert outcome.status == "finished", outcome
            run = keys[outcome.key]
            best = store.epochs([run.key])["validation_iou"].max()
            answer.trained(run.configuration.architecture, run.seed, float(best))
        answer.give()


if __name__ == "__main__":
    main()
