"""Names are for reading: whatever is called alike, no table mixes its runs."""

import json
import re
import shutil

import polars as pl
import pytest
from PIL import Image
from small import TINY, write_dataset

import segstudy
from segstudy.analysis.configurations import rows_of
from segstudy.analysis.results import gather

# A network without a choice: all foreground, or none.
NETWORK = """
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(1))
    def forward(self, x):
        return x[:, :1] * self.scale * 1e-6 + {logit}
"""
LOSS = """
def mine(logits, target):
    return {factor} * ((logits.sigmoid() - target) ** 2).mean()
def other(logits, target):
    return mine(logits, target) * 2
"""
NO_ONNX = "segstudy.study.run.EXTRA"  # a model.onnx of each run takes ten seconds and has no name
MACHINE = {"executor": "serial", "batch_size": 4}


def furnish(path):
    """A data set, and two files my.py with a network each: one finds everything, the other nothing."""
    write_dataset(path / "discs", n=12)
    for folder, logit, factor in (("dirA", 5, 1), ("dirB", -5, 3)):
        (path / folder).mkdir()
        (path / folder / "my.py").write_text(NETWORK.format(logit=logit), encoding="utf-8")
        (path / folder / "losses.py").write_text(LOSS.format(factor=factor), encoding="utf-8")
    return path


@pytest.fixture
def here(tmp_path, monkeypatch, no_report):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(NO_ONNX, None)
    return furnish(tmp_path)


def train(**options):
    options = {"architecture": "unet", "loss": "bce", "out": "study", "images": False, **TINY, **options}
    return segstudy.run("discs", **MACHINE, **options)


def true_means(study):
    """Means over images, then over seeds, straight from the runs' folders: by what was trained."""
    found = {}
    for run in sorted((study.path / "runs").iterdir()):
        record = json.loads((run / "run.json").read_text())
        images = pl.read_parquet(run / "images.parquet").filter(pl.col("part") == "test")
        numerics = record["description"]["numerics"]
        what = (record["architecture"], numerics["architecture"], record["loss"], numerics["loss"])
        found.setdefault(what, []).append(images["native_iou"].mean())
    return {what: (sum(means) / len(means), len(means)) for what, means in found.items()}


NET_A, NET_B = "dirA/my.py:Net-bce-b4", "dirB/my.py:Net-bce-b4"


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Two networks of one name and one of ours, two seeds each; for reading only."""
    path = furnish(tmp_path_factory.mktemp("twins"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        patch.setattr(NO_ONNX, None)
        train(architecture=["dirA/my.py:Net", "dirB/my.py:Net", "unet"], seeds=2)
    return segstudy.Study(path / "study")


def test_two_networks_of_one_name_keep_their_runs_apart(twins):
    frame = twins.leaderboard()
    assert set(frame["configuration"]) == {NET_A, NET_B, "unet-bce-b4"}
    means = {numerics: mean for (_, numerics, _, _), mean in true_means(twins).items()}
    assert [count for _, count in means.values()] == [2, 2, 2]
    shown = {row["configuration"]: row for row in frame.to_dicts()}
    everything, nothing = shown[NET_A], shown[NET_B]
    assert nothing["test_iou"] == 0
    assert everything["test_iou"] > 0.05
    true = sorted(mean for mean, _ in means.values())
    assert sorted(row["test_iou"] for row in shown.values()) == pytest.approx(true)
    assert everything["architecture"] == "dirA/my.py:Net"
    assert all(row["num_finished"] == row["num_planned"] == 2 for row in shown.values())


def test_every_table_of_the_report_says_the_true_means(twins):
    shown = {row["configuration"]: row for row in twins.leaderboard().to_dicts()}
    text = segstudy.table(twins.path)
    page = (twins.path / "report.html").read_text(encoding="utf-8")
    for name in (NET_A, NET_B):
        assert re.search(rf"{re.escape(name)} .*{shown[name]['test_iou']:.3f}", text)
        row = re.search(rf'class="name">{re.escape(name)}.*?</tr>', page, re.DOTALL)[0]
        assert f"{shown[name]['test_iou']:.3f}" in row
        assert "2 of 2" in row
    assert "3 test images" in page
    assert "6 test images" not in page
    charts = json.loads(re.search(r'id="charts">(.*?)</script>', page, re.DOTALL)[1])
    points = {row["configuration"]: row["IoU"] for row in charts["pareto"]["rows"]}
    assert points == {name: pytest.approx(row["test_iou"], abs=1e-4) for name, row in shown.items()}
    curves = charts["curves"]
    assert sorted(curves["configurations"]) == sorted(shown)
    assert [run["of"] for run in curves["runs"]].count(curves["configurations"].index(NET_A)) == 2
    heat = page[page.index('id="losses"') :]
    assert "dirA/my.py:Net" in heat
    assert "dirB/my.py:Net" in heat
    csv = pl.read_csv(twins.path / "leaderboard.csv")
    assert csv["configuration"].n_unique() == 3


def test_compare_questions_and_runs_keep_them_apart(twins):
    shown = {row["configuration"]: row["test_iou"] for row in twins.leaderboard().to_dicts()}
    found = segstudy.compare(str(twins.path), NET_A, NET_B)
    assert found.difference.mean == pytest.approx(shown[NET_A] - shown[NET_B])
    assert (found.num_images, found.a.num_seeds, found.b.num_seeds) == (3, 2, 2)
    with pytest.raises(segstudy.UserError, match=re.escape(NET_A)):
        segstudy.compare(str(twins.path), "my.py:Net-bce-b4", NET_B)
    runs = twins.runs().group_by("configuration").agg(pl.len(), pl.col("test_native_iou").mean())
    assert {name: (count, mean) for name, count, mean in runs.iter_rows()} == {
        name: (2, pytest.approx(mean)) for name, mean in shown.items()
    }
    results = gather(twins.folder)
    assert all(results.scores(name).shape == (2, 3) for name in shown)


def test_names_of_runs_follow_the_study_when_a_twin_is_added(here):
    """What a run was called when it was trained is no longer what tells it apart."""
    train(architecture="dirA/my.py:Net")
    study = train(architecture=["dirA/my.py:Net", "dirB/my.py:Net"])
    assert sorted(study.runs()["configuration"]) == [NET_A, NET_B]
    assert study.runs().sort("configuration")["test_native_iou"].to_list() == [
        pytest.approx(row["test_iou"]) for row in study.leaderboard().sort("configuration").to_dicts()
    ]


def test_equal_files_in_two_folders_are_one_configuration(here):
    shutil.copy(here / "dirA" / "my.py", here / "dirB" / "my.py")
    study = train(architecture=["dirA/my.py:Net", "dirB/my.py:Net"], seeds=2)
    frame = study.leaderboard()
    assert frame["configuration"].to_list() == ["my.py:Net-bce-b4"]
    assert frame["num_finished"].to_list() == frame["num_planned"].to_list() == [2]
    status = segstudy.status(study.path)
    assert (status.num_planned, status.num_finished, status.num_left, status.num_unnamed) == (2, 2, 0, 0)
    assert gather(study.folder).scores("my.py:Net-bce-b4").shape == (2, 3)


def test_levels_that_change_no_number_are_one_configuration(here):
    study = train(fields={"record_test": False, "momentum": ["0.9", "0.8"]})
    frame = study.leaderboard()
    assert frame.select("configuration", "num_finished", "num_planned").rows() == [("unet-bce-b4", 1, 1)]
    assert segstudy.status(study.path).num_left == 0


@pytest.mark.slow
def test_two_losses_of_one_name_keep_their_runs_apart(here):
    losses = ["dirA/losses.py:mine", "dirB/losses.py:mine", "dirA/losses.py:other"]
    study = train(loss=losses, seeds=2)
    frame = study.leaderboard()
    assert set(frame["configuration"]) == {
        "unet-dirA/losses.py:mine-b4",
        "unet-dirB/losses.py:mine-b4",
        "unet-losses.py:other-b4",
    }
    assert frame["num_finished"].to_list() == [2, 2, 2]
    true = sorted(mean for mean, _ in true_means(study).values())
    assert sorted(frame["test_iou"]) == pytest.approx(true)
    assert frame["loss"].n_unique() == 3
    page = segstudy.report(study.path, images=False).read_text(encoding="utf-8")
    assert "unet-dirB/losses.py:mine-b4" in page


def test_runs_of_an_edited_file_are_not_averaged_with_those_of_the_older(here):
    study = train(architecture="dirA/my.py:Net", seeds=2)
    before = study.leaderboard()["test_iou"][0]
    shutil.copy(here / "dirB" / "my.py", here / "dirA" / "my.py")
    assert study.leaderboard()["test_iou"][0] == before  # as it was last run
    study = train(architecture="dirA/my.py:Net", seeds=2)
    assert study.leaderboard().select("test_iou", "num_finished").rows() == [(0, 2)]
    (row,) = rows_of(study.folder)
    (second,) = (record.key for record in row.records if record.seed == 1)
    shutil.rmtree(study.path / "runs" / second)  # as if it had been stopped before
    assert study.leaderboard().select("test_iou", "num_finished").rows() == [(0, 1)]
    everything = study.leaderboard(show_all=True)
    assert everything["configuration"].n_unique() == 2
    assert sorted(everything["test_iou"]) == [0, pytest.approx(before)]
    assert "(older)" in everything["configuration"].to_list()[0]


def write_masks(study, folder, all_white):
    """Masks of validation and test: all white, or all black."""
    for part in json.loads((study / "split.json").read_text())["splits"][0].items():
        if part[0] in ("validation", "test"):
            for sample_id in part[1]:
                with Image.open(study.parent / "discs" / "masks" / f"{sample_id}.png") as mask:
                    size = mask.size
                folder.mkdir(parents=True, exist_ok=True)
                Image.new("L", size, 255 if all_white else 0).save(folder / f"{sample_id}.png")
    return folder


def test_masks_called_as_a_configuration_that_comes_later_stay_apart(here):
    study = train()
    masks = write_masks(study.path, here / "elsewhere", all_white=False)
    segstudy.score("discs", masks, study.path, name="unet-dice-b4")
    study = train(loss=["bce", "dice"])
    frame = study.leaderboard()
    assert frame["configuration"].n_unique() == 3
    of_masks = frame.filter("masks").to_dicts()[0]
    assert (of_masks["configuration"], of_masks["test_iou"]) == ("unet-dice-b4 (masks)", 0)
    own = frame.filter(pl.col("configuration") == "unet-dice-b4").to_dicts()[0]
    assert own["test_iou"] == pytest.approx(
        next(m for w, (m, _) in true_means(study).items() if w[2] == "dice")
    )
    assert gather(study.folder).scores("unet-dice-b4").shape == (1, 3)


def test_masks_called_alike_replace_nothing_in_silence(here):
    study = train()
    black = write_masks(study.path, here / "a" / "tool", all_white=False)
    white = write_masks(study.path, here / "b" / "tool", all_white=True)
    segstudy.score("discs", black, study.path)
    with pytest.raises(
        segstudy.UserError, match="the name tool is used for something else there; choose another --name"
    ):
        segstudy.score("discs", white, study.path)
    segstudy.score("discs", white, study.path, name="to:ol")
    for alike in ("to?ol", "TO:OL", "Tool"):
        with pytest.raises(segstudy.UserError, match="choose another --name"):
            segstudy.score("discs", white, study.path, name=alike)
    segstudy.score("discs", black, study.path)  # the same masks again: an update
    frame = study.leaderboard().filter("masks")
    assert {row["configuration"]: row["test_iou"] > 0 for row in frame.to_dicts()} == {
        "tool": False,
        "to:ol": True,
    }


def test_a_copied_folder_of_scores_is_a_row_of_its_own(here):
    study = train()
    segstudy.score("discs", write_masks(study.path, here / "tool", all_white=False), study.path)
    segstudy.score("discs", write_masks(study.path, here / "white", all_white=True), study.path)
    external = study.path / "external"
    record = json.loads((external / "white" / "record.json").read_text())
    (external / "white" / "record.json").write_text(json.dumps(record | {"name": "tool"}))
    frame = study.leaderboard().filter("masks")
    assert {row["configuration"]: row["test_iou"] > 0 for row in frame.to_dicts()} == {
        "tool": False,
        "tool (masks)": True,
    }


def test_another_data_set_of_that_name_replaces_no_evaluation(here):
    study = train()
    for place, seed in (("x", 7), ("y", 8)):
        write_dataset(here / place / "clinic", n=2, seed=seed)
    segstudy.evaluate(study.path, "x/clinic")
    segstudy.evaluate(study.path, "x/clinic")  # again: the same
    with pytest.raises(
        segstudy.UserError,
        match="the name unet-bce-b4-on-clinic is used for something else there; choose another --name",
    ):
        segstudy.evaluate(study.path, "y/clinic")
    segstudy.evaluate(study.path, "y/clinic", name="theirs")
    assert [each.name for each in study.folder.externals()] == ["theirs", "unet-bce-b4-on-clinic"]
