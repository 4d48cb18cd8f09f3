"""From a study to its runs: what is trained again, what is not, and what is refused unwritten."""

import json
from pathlib import Path

import pytest
from PIL import Image
from small import write_dataset

from segstudy.config.study import extend, override, preset_study
from segstudy.core.errors import UserError
from segstudy.data.samples import PARTS
from segstudy.data.split import read_split
from segstudy.store.folder import StudyFolder
from segstudy.study.execution import carry_out
from segstudy.study.machine import Machine, choose_machine
from segstudy.study.plan import make_plan, missing_runs, write_plan

SERIAL = Machine("cpu", threads=1, workers=1, executor="serial")
TINY = {"image_size": [32], "width": [2], "epochs": [1], "architecture": ["unet"], "loss": ["bce", "tversky"]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)


def tiny(dataset, **fields):
    return override(preset_study("classic", "tiny", str(dataset)), {**TINY, "batch_size": [4], **fields})


def carried_out(study, path, retry=False):
    """Keys trained now."""
    folder = StudyFolder(path)
    plan = make_plan(study, SERIAL, folder.data())
    missing = missing_runs(plan, folder, retry)
    write_plan(plan, folder)
    outcomes = list(carry_out(plan, missing, folder, SERIAL))
    assert [outcome.key for outcome in outcomes] == [run.key for run in missing]
    names = plan.names()
    return [names[outcome.key] for outcome in outcomes]


def test_a_finished_study_trains_nothing(dataset, tmp_path):
    assert carried_out(tiny(dataset), tmp_path / "s") == ["unet-bce-b4", "unet-tversky-b4"]
    assert carried_out(tiny(dataset), tmp_path / "s") == []


def test_a_changed_parameter_of_one_loss_retrains_only_its_runs(dataset, tmp_path):
    carried_out(tiny(dataset), tmp_path / "s")
    changed = tiny(dataset, loss=["bce", "tversky:fp_weight=0.4"])
    assert carried_out(changed, tmp_path / "s") == ["unet-tversky:fp_weight=0.4-b4"]


def test_an_added_loss_changes_no_other_run(dataset, tmp_path):
    carried_out(tiny(dataset), tmp_path / "s")
    stored = StudyFolder(tmp_path / "s").study()
    assert carried_out(extend(stored, {"loss": ["dice"]}), tmp_path / "s") == ["unet-dice-b4"]
    names = {
        record.name
        for record in StudyFolder(tmp_path / "s").run_records(StudyFolder(tmp_path / "s").finished())
    }
    assert names == {"unet-bce-b4", "unet-tversky-b4", "unet-dice-b4"}


def test_the_stored_study_plans_the_same_runs_from_anywhere(dataset, tmp_path, monkeypatch):
    carried_out(tiny(dataset), tmp_path / "s")
    monkeypatch.chdir(tmp_path)
    stored = StudyFolder(Path("s")).study()
    assert not Path(
        (tmp_path / "s" / "study.toml").read_text().split('data = "')[1].split('"')[0]
    ).is_absolute()
    assert make_plan(stored, SERIAL).runs == make_plan(tiny(dataset), SERIAL).runs


def test_moved_data_are_the_same_data(dataset, tmp_path):
    import shutil

    carried_out(tiny(dataset), tmp_path / "s")
    shutil.copytree(dataset, tmp_path / "elsewhere")
    assert carried_out(tiny(tmp_path / "elsewhere"), tmp_path / "s") == []


def test_seeds_add_replicates_and_folds_test_every_image_once(dataset, tmp_path):
    runs = make_plan(tiny(dataset, seeds=[2], folds=[3]), SERIAL).runs
    assert len(runs) == 2 * 2 * 3
    plan = make_plan(tiny(dataset, folds=[3], loss=["bce"]), SERIAL)
    tested = [sample_id for run in plan.runs for sample_id in plan.split_of(run).test]
    assert sorted(tested) == [sample.id for sample in plan.dataset.samples]


def test_folds_of_all_and_of_official_subsets_are_kept_apart(tmp_path):
    for name in ("train", "val", "test"):
        write_dataset(tmp_path / "set" / name, n=6)
    plan = make_plan(tiny(tmp_path / "set", folds=[3], loss=["bce"], split=["official", "all"]), SERIAL)
    sizes = {sum(len(plan.split_of(run).part(part)) for part in PARTS) for run in plan.runs}
    assert sizes == {12, 18}
    assert "6 test images are in no fold" in plan.overview().folds
    assert "folds of all 18 images" in plan.overview().folds


def test_a_split_is_a_factor(dataset):
    plan = make_plan(tiny(dataset, loss=["bce"], split_seed=[0, 1], split=["50/25/25", "60/20/20"]), SERIAL)
    assert len({plan.split_of(run) for run in plan.runs}) == 4


def test_sgd_runs(dataset, tmp_path):
    study = tiny(dataset, loss=["bce"], optimizer=["sgd"], momentum=[0.9, 0.5], lr=[0.01])
    assert len(carried_out(study, tmp_path / "s")) == 2


def test_a_network_and_a_loss_of_ones_own_run_and_their_source_is_in_the_key(dataset, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, depth=1):\n"
        "        layers = [nn.Conv2d(3, 3, 3, padding=1) for _ in range(depth)]\n"
        "        super().__init__(*layers, nn.Conv2d(3, 1, 1))\n"
        "def mse(logits, target):\n    return (logits.sigmoid() - target).square().mean()\n"
    )
    study = tiny(dataset, architecture=[f"{own}:Net:depth=2"], loss=[f"{own}:mse"])
    assert carried_out(study, tmp_path / "s") == ["own.py:Net:depth=2-own.py:mse-b4"]
    assert carried_out(StudyFolder(tmp_path / "s").study(), tmp_path / "s") == []
    for file in (tmp_path / "s" / "runs").rglob("*.json"):
        assert str(tmp_path) not in file.read_text()
    own.write_text(own.read_text() + "# changed\n")
    assert len(carried_out(study, tmp_path / "s")) == 1


def test_a_diverged_run_is_tried_again_only_when_asked_to(dataset, tmp_path):
    own = tmp_path / "own.py"
    own.write_text("def explode(logits, target):\n    return (logits - target).abs().mean() * float('inf')\n")
    study = tiny(dataset, loss=[f"{own}:explode"])
    assert len(carried_out(study, tmp_path / "s")) == 1
    assert StudyFolder(tmp_path / "s").failed().popitem()[1].reason == "diverged"
    assert carried_out(study, tmp_path / "s") == []
    assert len(carried_out(study, tmp_path / "s", retry=True)) == 1


def test_excluded_samples_are_gone_from_every_part(dataset):
    plan = make_plan(tiny(dataset, exclude=["disc03"]), SERIAL)
    ids = {
        sample_id
        for split in plan.splits.values()
        for part in (split.train, split.validation, split.test)
        for sample_id in part
    }
    assert len(ids) == 11
    assert "disc03" not in ids
    with pytest.raises(UserError, match=r"no sample 'disc99'"):
        make_plan(tiny(dataset, exclude=["disc99"]), SERIAL)


def test_a_split_of_ones_own(dataset, tmp_path):
    carried_out(tiny(dataset), tmp_path / "s")
    stored = str(tmp_path / "s" / "split.json")
    assert make_plan(tiny(dataset, split_file=[stored]), SERIAL).runs == make_plan(tiny(dataset), SERIAL).runs
    parts = {"train": ["disc00", "disc01"], "validation": ["disc02"], "test": ["disc03"]}
    (tmp_path / "mine.json").write_text(json.dumps(parts))
    samples = make_plan(tiny(dataset), SERIAL).dataset.samples
    assert read_split(tmp_path / "mine.json", samples).test == ("disc03",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ("[]", "lists of ids"),
        ('{"train": ["disc00"], "validation": ["disc00"], "test": ["disc01"]}', "two parts"),
        ('{"train": ["x"], "validation": ["disc00"], "test": ["disc01"]}', "no sample 'x'"),
        ('{"train": [], "validation": ["disc00"], "test": ["disc01"]}', "empty"),
    ],
)
def test_a_wrong_split_of_ones_own(dataset, tmp_path, content, message):
    (tmp_path / "mine.json").write_text(content)
    samples = make_plan(tiny(dataset), SERIAL).dataset.samples
    with pytest.raises(UserError, match=message):
        read_split(tmp_path / "mine.json", samples)


def test_data_with_errors_are_refused_before_anything_is_written(tmp_path):
    bad = write_dataset(tmp_path / "set", n=12)
    (bad / "images" / "disc05.png").write_bytes((bad / "images" / "disc05.png").read_bytes()[:200])
    with pytest.raises(UserError, match=r"disc05.*--exclude"):
        make_plan(tiny(bad), SERIAL)
    assert len(make_plan(tiny(bad, exclude=["disc05"]), SERIAL).dataset.samples) == 11


def test_an_unknown_device_names_those_at_hand():
    with pytest.raises(UserError, match="cpu"):
        choose_machine("tpu")
    with pytest.raises(UserError, match="serial, processes"):
        choose_machine(executor="cloud")


def test_threads_do_not_depend_on_the_executor():
    assert choose_machine(executor="serial").threads == choose_machine(executor="processes").threads


@pytest.mark.parametrize("altered", ["a finding is struck out", "one is rewritten", "the hash is gone"])
def test_findings_that_were_altered_are_looked_for_again(tmp_path, altered):
    """They decide what is refused: whoever lost one would train on wrong data."""
    data, folder = write_dataset(tmp_path / "set", n=12), StudyFolder(tmp_path / "s")
    mask = min((data / "masks").iterdir())
    with Image.open(mask) as image:
        size = image.size
    Image.new("L", size).save(mask)  # empty
    plan = make_plan(tiny(data), SERIAL)
    assert plan.findings.problems
    write_plan(plan, folder)
    stored = json.loads((folder.path / "data.json").read_text())
    if altered == "a finding is struck out":
        stored["findings"] = stored["findings"][1:]
    elif altered == "one is rewritten":
        stored["findings"][0]["severity"] = "nothing"
    else:
        del stored["findings_sha256"]
        stored["findings"] = []
    folder.write_json("data.json", stored)
    assert make_plan(tiny(data), SERIAL, folder.data()).findings.problems == plan.findings.problems


def test_findings_as_they_were_written_are_not_looked_for_again(dataset, tmp_path, monkeypatch):
    folder = StudyFolder(tmp_path / "s")
    write_plan(make_plan(tiny(dataset), SERIAL), folder)
    monkeypatch.setattr("segstudy.study.findings.examine", lambda *_: pytest.fail("checked a second time"))
    make_plan(tiny(dataset), SERIAL, folder.data())
