"""What the record and the card of a run say of each class."""

import polars as pl
import pytest
from pydantic import ValidationError

from segstudy.config.protocol import Protocol
from segstudy.config.runs import Configuration, Run
from segstudy.store.records import Summary
from segstudy.training.worker import _card, _class_means

OUTCOME = {"selected_epoch": 1, "tuned_threshold": None, "scores": {}}


def rows(*given):
    columns = ("part", "class", "in_truth", "in_prediction", "num_objects", "network_iou", "native_iou")
    return pl.DataFrame(list(given), columns, orient="row")


def test_a_class_counts_where_the_true_mask_or_the_predicted_one_has_it():
    found = _class_means(
        rows(
            ("validation", "disc", True, True, 1, 0.5, 0.5),
            ("validation", "disc", True, False, 1, 0.0, 0.0),
            ("validation", "disc", False, True, 0, 0.1, 0.25),
            ("validation", "disc", False, False, 0, 1.0, 1.0),
            ("test", "disc", False, False, 0, 1.0, 1.0),
            ("test", "cup", True, True, 2, 0.75, 0.5),
        )
    )
    assert found == {
        "validation": {"disc": {"native_iou": 0.25}},
        "test": {"cup": {"native_iou": 0.5}},
    }, "presence is that of native size: means at network size would take classes that vanish there for right"


def test_means_at_network_size_of_earlier_runs_are_not_read():
    stored = {"test": {"cup": {"network_iou": 0.75, "native_iou": 0.5}}}
    summary = Summary.model_validate({**OUTCOME, "class_scores": stored})
    assert summary.class_scores == {"test": {"cup": {"native_iou": 0.5}}}
    with pytest.raises(ValidationError):
        Summary.model_validate({**OUTCOME, "class_scores": {"test": 3}})


def card(**fields):
    configuration = Configuration(architecture="unet", loss="bce", protocol=Protocol(**fields))
    run = Run(configuration=configuration, seed=0, fold=None, data="d", split="s", numerics={})
    return _card(run, OUTCOME)


def test_the_card_names_classes_and_ignored_values_only_where_there_are_some():
    assert {"classes", "ignore"}.isdisjoint(card())
    found = card(classes="background=0,disc=1,cup=2", ignore=255)
    assert (found["classes"], found["ignore"]) == ("background=0,disc=1,cup=2", (255,))
    assert "ignore" not in card(classes="disc,cup")
