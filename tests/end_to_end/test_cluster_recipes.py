"""The recipes of docs/cluster.md: they parse, and what can be tried on one machine is tried."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from places import ROOT

from segstudy.store.folder import StudyFolder

RECIPES = ROOT / "docs" / "cluster"
SCRIPTS = sorted([*RECIPES.glob("*.sh"), *RECIPES.glob("*.sbatch")])
MANIFESTS = sorted(RECIPES.glob("*.yaml"))
PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
STUDY = (
    *("synthetic:n=12", "--architecture", "unet", "--image-size", "32", "--width", "2", "--batch-size", "4"),
    *("--seeds", "2", "--threads", "1", "--no-images"),
)
# As far as the recipes use them: a step runs here, whatever node it is for.
STUBS = {
    "srun": 'while [[ $1 == --* ]]; do shift; done\nexec "$@"\n',
    "scontrol": '[[ $1 == requeue ]] && echo "$2" >>"$REQUEUED"\n'
    '[[ $1 == show ]] && tr , "\\n" <<<"$3"\nexit 0\n',
    "segstudy": f'exec {sys.executable} -P -m segstudy "$@"\n',
    "ray": f'exec {sys.executable} -m ray.scripts.scripts "$@"\n',
    "python3": f'exec {sys.executable} "$@"\n',
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse_and_stop_at_the_first_error(script):
    checked = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")


def test_the_page_names_every_recipe_and_says_of_each_whether_it_was_tried():
    for file in sorted(RECIPES.iterdir()):
        assert f"(cluster/{file.name})" in PAGE, file.name
    tried = [line for line in PAGE.splitlines() if line.startswith("| [")]
    assert len(tried) == len(list(RECIPES.iterdir()))
    assert all("tried" in line for line in tried)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_manifests_parse_and_name_the_commands_that_there_are(manifest):
    yaml = pytest.importorskip("yaml")
    text = manifest.read_text(encoding="utf-8")
    assert all(isinstance(each, dict) for each in yaml.safe_load_all(text))
    assert "segstudy" in text


def test_the_cluster_of_the_cloud_is_as_ray_wants_it():
    yaml, jsonschema = map(pytest.importorskip, ("yaml", "jsonschema"))
    ray = find_spec("ray")  # looked up, not imported: other tests import it in their own way
    if ray is None:
        pytest.skip("ray is not installed")
    schema = json.loads((Path(ray.origin).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(yaml.safe_load((RECIPES / "ray-up-aws.yaml").read_text(encoding="utf-8")), schema)


@pytest.fixture
def slurm(tmp_path) -> dict[str, str]:
    """The environment of a job on three nodes, which all are this machine."""
    for name, body in STUBS.items():
        (tmp_path / "bin" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{body}", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    job = {
        "SLURM_JOB_ID": str(os.getpid() * 10),
        "SLURM_JOB_NODELIST": "node1,node2,node3",
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_ARRAY_JOB_ID": "77",
        "SLURM_ARRAY_TASK_ID": "2",
        "HEAD_IP": "127.0.0.1",
        "REQUEUED": str(tmp_path / "requeued"),
    }
    return {**os.environ, **job, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}


def ended(
    command: list[object], environment: dict[str, str], until: str = "", number: int = 0
) -> tuple[int, str]:
    """Run a script and return exit code and output; after a line with ``until`` send it a signal."""
    started = subprocess.Popen(
        [str(word) for word in command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines = []
    with started:
        try:
            for line in started.stdout or ():
                lines.append(line)
                if until and until in line:
                    started.send_signal(number)
                    until = ""
            return started.wait(timeout=120), "".join(lines)
        finally:
            stop_all(started)


def stop_all(started: subprocess.Popen) -> None:
    """End what the script left, where a test failed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(started.pid, number)
        except ProcessLookupError:
            return
        time.sleep(1)


@pytest.mark.slow
def test_a_cluster_of_three_nodes_on_this_machine(slurm, tmp_path):
    pytest.importorskip("ray")
    command = ["segstudy", "run", *STUDY, "--epochs", 2, "--loss", "bce", "--executor", "ray", "--yes"]
    twice = 'env -u RAY_AUTH_MODE "$@" && exit 1; "$@"'  # the first time without the mode
    nodes = ["bash", RECIPES / "local-nodes.sh", 3, "bash", "-c", twice, "bash"]
    code, said = ended([*nodes, *command, "--out", tmp_path / "s"], slurm)
    assert code == 0, said
    assert said.count("asks for a token: run `export RAY_AUTH_MODE=token`") == 1
    assert "gcs_client.cc" not in said
    assert len(StudyFolder(tmp_path / "s").finished()) == 2


@pytest.mark.slow
def test_slurm_with_ray_saves_before_its_time_limit_goes_back_into_the_queue_and_continues(slurm, tmp_path):
    pytest.importorskip("ray")
    script = ["bash", RECIPES / "slurm-ray.sbatch", *STUDY, "--loss", "bce,dice", "--epochs", 40]
    code, said = ended([*script, "--out", tmp_path / "s"], slurm, " epoch 1 of 40", signal.SIGUSR1)
    assert code == 143, said
    assert (tmp_path / "requeued").read_text() == f"{slurm['SLURM_JOB_ID']}\n"
    assert StudyFolder(tmp_path / "s").begun()
    code, said = ended([*script, "--out", tmp_path / "s"], slurm)
    assert code == 0, said
    assert "continues after epoch" in said
    assert len(StudyFolder(tmp_path / "s").finished()) == 4
    assert not Path(f"/tmp/ray-{slurm['SLURM_JOB_ID']}").exists()


@pytest.mark.slow
def test_a_job_of_an_array_trains_its_loss_and_continues(slurm, tmp_path):
    script = ["bash", RECIPES / "slurm-array.sbatch", tmp_path / "parts", *STUDY, "--epochs", 60]
    code, said = ended(script, slurm, " epoch 1 of 60", signal.SIGUSR1)
    assert code == 143, said
    assert (tmp_path / "requeued").read_text() == "77_2\n"
    code, said = ended(script, slurm)
    assert code == 0, said
    assert len(StudyFolder(tmp_path / "parts" / "dice").finished()) == 2


@pytest.mark.slow
def test_parts_by_submitit_become_one_study(tmp_path):
    pytest.importorskip("submitit")
    fields = {"architecture": "unet", "image_size": 32, "width": 2, "batch_size": 4, "epochs": 2, "seeds": 1}
    settings = [word for name, value in fields.items() for word in ("--set", f"{name}={value}")]
    command = [sys.executable, RECIPES / "submit.py", "synthetic:n=12", tmp_path / "s", "--cluster", "local"]
    code, said = ended([*command, "--cores", 1, "--losses", "bce,dice", *settings], dict(os.environ))
    assert code == 0, said
    assert len(StudyFolder(tmp_path / "s").finished()) == 2
