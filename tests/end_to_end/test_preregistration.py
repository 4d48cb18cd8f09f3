"""What was fixed before the first run is written down once, and every later change is listed."""

import json
import shutil

import pytest
from small import TINY, write_dataset

import segstudy
from segstudy.analysis.changes_after_registration import registered
from segstudy.core.errors import UserError
from segstudy.store.folder import StudyFolder
from segstudy.store.preregistration import FILE, content_hash, preregistration
from segstudy.store.verify import quarantined, verify_folder

OPTIONS = {"architecture": "unet", "loss": "bce", "executor": "serial", "protocol": "quick", **TINY}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("registered")
    data = write_dataset(place / "discs")
    segstudy.run(data, **OPTIONS, margin=0.02, out=place / "study")
    return place


@pytest.fixture
def folder(trained, tmp_path):
    """A copy that may be changed, with its data beside it."""
    shutil.copytree(trained, tmp_path / "place")
    return StudyFolder(tmp_path / "place" / "study")


def edit(folder, *pairs):
    file = folder.path / "study.toml"
    text = file.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def test_it_holds_the_study_the_split_the_margin_version_and_date(folder):
    found = preregistration(folder)
    assert found is not None
    assert found.margin == 0.02
    assert found.segstudy == segstudy.__version__
    assert found.written.endswith("+00:00")
    assert [each.fingerprint for each in found.splits] == [each.ids.fingerprint for each in folder.splits()]
    assert found.data == folder.data().fingerprint
    assert found.study_sha256 == content_hash(found.study)
    assert str(folder.path.parent) not in (folder.path / FILE).read_text(encoding="utf-8")


def test_the_report_shows_it_and_that_nothing_was_changed(folder):
    page = (folder.path / "report.html").read_text(encoding="utf-8")
    assert f"SHA-256 of the study {preregistration(folder).study_sha256[:16]}" in page
    assert "a margin of 0.02 IoU were fixed before the first run" in page
    assert "Nothing was changed after it." in page


def test_it_is_never_replaced_and_every_change_is_listed(folder, no_report):
    before = (folder.path / FILE).read_bytes()
    segstudy.run(folder.path, seeds=2, loss="dice", margin=0.03, executor="serial")
    assert (folder.path / FILE).read_bytes() == before
    assert registered(folder).changes == (
        "seeds: 1 became 2",
        "margin: 0.02 became 0.03",
        "1 configuration added (unet-dice-b8)",
    )
    assert not verify_folder(folder).faults or {
        fault.path.name for fault in verify_folder(folder).faults
    } == {"report.html"}


def test_changes_of_the_protocol_and_of_images_are_listed_field_by_field(folder):
    edit(folder, ("epochs = 2", "epochs = 3"), ("exclude = []", 'exclude = ["disc01", "disc05"]'))
    assert registered(folder).changes == (
        "2 images left out (disc01 and disc05)",
        "epochs: 2 became 3",
    )
    edit(folder, ('loss = ["bce"]', 'loss = ["focal"]'))
    assert registered(folder).changes[2:] == (
        "1 configuration added (unet-focal-b8)",
        "1 configuration removed (unet-bce-b8)",
    )


def test_other_images_and_another_split_are_changes_too(folder):
    data = json.loads((folder.path / "data.json").read_text(encoding="utf-8"))
    split = json.loads((folder.path / "split.json").read_text(encoding="utf-8"))
    parts = split["splits"][0]
    parts["test"], parts["train"] = parts["test"][:-1], [*parts["train"], parts["test"][-1]]
    folder.write_json("split.json", split)
    assert registered(folder).changes == ("the images of 1 split",)
    folder.write_json("data.json", data | {"fingerprint": "0" * 16})
    assert registered(folder).changes == ("images or masks",)


def test_a_study_of_before_has_none_and_gets_none(folder, no_report):
    (folder.path / FILE).unlink()
    segstudy.run(folder.path, seeds=2, executor="serial")
    assert not (folder.path / FILE).exists()
    assert registered(folder).sentence.startswith("Nothing was preregistered")


def test_planning_writes_none(trained, tmp_path):
    out = tmp_path / "planned"
    segstudy.plan(trained / "discs", **OPTIONS, out=out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda record: record["study"].update(margin=0.05), "altered"),
        (lambda record: record.update(written="2020-01-01T00:00:00+00:00"), "altered"),
        (lambda record: record.pop("splits"), "damaged"),
        (lambda record: record.update(format=0), "damaged (there is no format 0)"),
    ],
)
def test_verify_finds_that_it_was_altered_and_leaves_it(folder, change, fault):
    record = json.loads((folder.path / FILE).read_text(encoding="utf-8"))
    change(record)
    folder.write_json(FILE, record)
    found = quarantined(folder, verify_folder(folder))
    (named,) = [each for each in found.faults if each.path.name == FILE]
    assert fault in named.detail
    assert (folder.path / FILE).exists()


def test_remove_leaves_it(folder):
    before = (folder.path / FILE).read_bytes()
    edit(folder, ('loss = ["bce"]', 'loss = ["focal"]'))
    segstudy.remove(folder.path, unnamed=True, yes=True)
    assert not folder.finished()
    assert (folder.path / FILE).read_bytes() == before


def test_the_margin_of_a_study_with_results_changes_only_where_the_call_names_it(folder, no_report):
    data = folder.path.parent / "discs"
    with pytest.raises(UserError, match=r"margin must stay 0.02, because .* got 0.01; .* --set margin=0.01"):
        segstudy.run(data, **OPTIONS, out=folder.path)
    segstudy.run(data, **OPTIONS, margin=0.01, out=folder.path)
    assert folder.study().margin == 0.01
    assert registered(folder).changes == ("margin: 0.02 became 0.01",)
