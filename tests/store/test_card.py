"""A model's card: what stands in its file, and what its classes mean."""

import json

import pytest
from pydantic import ValidationError

from segstudy.core.errors import UserError
from segstudy.core.outputs import BINARY
from segstudy.store.card import Card, Package, read_card

CARD = {
    "format": 1,
    "key": "abc",
    "architecture": "unet",
    "width": 4,
    "image_size": [64, 64],
    "resize": "squash",
    "threshold": 0.5,
    "training": {},
    "selected_epoch": 1,
    "tuned_threshold": 0.5,
    "scores": {},
}
THREE = {"classes": "background=0,disc=1,cup=2", "ignore": [255]}


def test_a_card_with_one_foreground_is_written_as_before_there_were_classes():
    card = Card.model_validate(CARD)
    assert json.loads(card.model_dump_json()) == {**CARD, "weights_sha256": None}
    assert card.outputs == BINARY


def test_a_card_with_classes_keeps_them_and_knows_its_outputs():
    card = Card.model_validate({**CARD, **THREE, "class_scores": {"test": {"disc": {"native_iou": 0.5}}}})
    assert Card.model_validate_json(card.model_dump_json()) == card
    assert card.outputs.task == "multiclass"
    assert card.outputs.names == ("background", "disc", "cup")
    assert card.outputs.has_ignored


def test_pixels_can_be_ignored_with_one_foreground_too():
    card = Card.model_validate({**CARD, "ignore": [255]})
    assert card.outputs.task == "binary"
    assert card.outputs.has_ignored


@pytest.mark.parametrize("classes", ["disc", "disc=1,cup", "disc=1,background=0", 3])
def test_classes_that_mean_nothing_are_refused(tmp_path, classes):
    (tmp_path / "model.json").write_text(json.dumps({**CARD, "classes": classes}))
    with pytest.raises(UserError, match=r"model.json: classes: .*copy it again from its run"):
        read_card(tmp_path / "model.json")


def test_the_fields_that_may_be_missing_stay_described():
    described = Card.model_json_schema(mode="serialization")["properties"]
    assert {"classes", "ignore", "class_scores"} <= described.keys()


def test_a_package_names_two_classes_or_more():
    package = {
        **{
            "format": 1,
            "card": CARD,
            "name": "a",
            "preprocessing": 2,
            "input": "",
            "output": "",
            "metric": "",
        },
        **{"metric": "", "data": {}, "precision": "float32", "segstudy": "0", "text": ""},
    }
    assert Package.model_validate({**package, "classes": ["disc", "cup", "rim"]}).classes[2] == "rim"
    with pytest.raises(ValidationError, match="at least 2"):
        Package.model_validate({**package, "classes": ["disc"]})
