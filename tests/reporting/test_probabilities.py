"""The section on thresholds and probabilities, from the counts that runs store."""

import pytest
from fake_study import finish, make_study

from segstudy.analysis.probabilities import HALF, probabilities_of
from segstudy.analysis.results import gather
from segstudy.core.metric_names import THRESHOLDS
from segstudy.reporting.page import read_report_data
from segstudy.reporting.sections import probabilities
from segstudy.store.folder import StudyFolder

NAME = "unet-bce-b4"


def test_curves_agree_with_the_scores_of_the_runs(trained_study):
    folder = StudyFolder(trained_study)
    results = gather(folder)
    (record,) = results.row(NAME).records
    for part in ("validation", "test"):
        found = probabilities_of(folder, results, NAME, part)
        assert found.curve[HALF] == pytest.approx(results.scores(NAME, part).mean())
        at = THRESHOLDS.index(record.summary.tuned_threshold)
        tuned = results.scores(NAME, part, "native_iou_tuned").mean()
        assert found.curve[at] == pytest.approx(tuned)
        low, high = found.within(0.01)
        assert low <= THRESHOLDS[int(found.curve.argmax())] <= high


def test_the_section_shows_both_charts_and_a_sentence_each(trained_study, tmp_path, monkeypatch):
    monkeypatch.setattr("segstudy.analysis.probabilities.FEWEST_GROUPS", 2)
    report = read_report_data(StudyFolder(trained_study), images=False)
    monkeypatch.setattr(type(report), "figures", tmp_path)
    found = probabilities.values(report)
    assert len(found["lines"]) == len(report.ranked) == 4
    assert "iou-by-threshold.svg" in {file.name for file in tmp_path.iterdir()}
    assert "<svg" in found["charts"]["thresholds"]
    assert "<svg" in found["charts"]["reliability"]
    assert report.ranked[0] in found["sentences"][0]
    assert "test pixels" in found["sentences"][1]


def test_runs_of_older_versions_have_no_such_section(tmp_path):
    folder = make_study(tmp_path / "s", ("unet",), ("bce",), seeds=2)
    for seed in range(2):
        finish(folder, "unet-bce-b8", 0.8, 0.8, seed=seed)
    assert probabilities_of(folder, gather(folder), "unet-bce-b8") is None
    assert probabilities.values(read_report_data(folder, images=False)) is None
