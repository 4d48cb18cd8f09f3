"""Files with a seal: an edit by hand, damage and a later format are told apart, in each of them."""

import json

import pytest
from fake_study import make_study

from segstudy.core.errors import UserError
from segstudy.store import looks, merged, pack_record, preregistration
from segstudy.store.sealed_records import NewerError, sealed_text
from segstudy.store.verify import verify_folder

PLAN = {
    **{"seeds": [3, 5], "error_shares": [0.02, 0.03], "margin": 0.01, "score": "iou"},
    **{"configurations": ["unet-bce-b8"], "study_sha256": "0" * 64},
}
SEALED = {
    "looks.json": (looks.looks_of, {"plan": PLAN}),
    "merged.json": (merged.merged_record, {"written": "2026-01-01T00:00:00+00:00", "sources": []}),
    "pack.json": (pack_record.pack_record, {"name": "s", "weights": True, "images": True, "runs": ["a"]}),
    "preregistration.json": (preregistration.preregistration, {"data": "0" * 16, "splits": []}),
}


@pytest.fixture
def folder(tmp_path):
    return make_study(tmp_path / "study", ("unet",), ("bce",))


def content_of(name: str, folder) -> dict:
    record = {"format": 1, "segstudy": "0.0", **SEALED[name][1]}
    if name == "preregistration.json":
        study = preregistration.content_of(folder.study(), folder.path)
        about = {"written": "2026-01-01T00:00:00+00:00", "study": study}
        record |= {**about, "study_sha256": preregistration.content_hash(study)}
    return record


@pytest.mark.parametrize("name", SEALED)
def test_what_was_written_is_read_with_fields_of_later_versions_and_other_scripts(folder, name):
    text = sealed_text({**content_of(name, folder), "added": {"größe": [1, 2.50, None]}})
    (folder.path / name).write_text(text, encoding="utf-8")
    found = SEALED[name][0](folder)
    assert found.model_extra["added"] == {"größe": [1, 2.5, None]}


def edited(record: dict, change) -> str:
    record = json.loads(sealed_text(record))
    change(record)
    return json.dumps(record)


CHANGES = {
    "another value": (lambda record: record.update(segstudy="0.1"), "altered (it is not as it was written)"),
    "one more": (lambda record: record.update(more=1), "altered (it is not as it was written)"),
    "no seal": (lambda record: record.pop("seal"), ""),
    "no format": (lambda record: record.pop("format"), "damaged ("),
    "another format": (lambda record: record.update(format=0), "damaged (there is no format 0)"),
    "a text as format": (lambda record: record.update(format="1"), "damaged ("),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("name", SEALED)
def test_an_edit_by_hand_is_refused_and_verify_names_the_file(folder, name, what):
    change, detail = CHANGES[what]
    (folder.path / name).write_text(edited(content_of(name, folder), change))
    with pytest.raises(UserError) as raised:
        SEALED[name][0](folder)
    assert str(raised.value).startswith(f"{folder.path / name}: {detail}")
    assert not isinstance(raised.value, NewerError)
    assert name in {str(fault.path) for fault in verify_folder(folder).faults}


@pytest.mark.parametrize("name", SEALED)
def test_a_later_format_ends_verify_whatever_its_fields_are(folder, name):
    (folder.path / name).write_text('{"format": 2}')
    for call in (SEALED[name][0], verify_folder):
        with pytest.raises(NewerError, match=f"{name}: format 2 belongs to a newer version; update segstudy"):
            call(folder)
