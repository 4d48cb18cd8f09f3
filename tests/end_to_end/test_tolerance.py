"""Another tolerance of the normalised surface distance: in the key, in the scores, and stated beside them."""

from unittest.mock import patch

import polars as pl
import pytest
from small import TINY, write_dataset

import segstudy
from segstudy.analysis.leaderboard import leaderboard
from segstudy.core.metric_names import NSD_TOLERANCE
from segstudy.metrics import surface
from segstudy.store.folder import StudyFolder

OTHER = 0.1
ONE = {"architecture": "unet", "loss": "bce", "executor": "serial", **TINY}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "discs")


@pytest.fixture(scope="module")
def studies(data):
    """The same run at two tolerances, with those that its images were scored at."""
    folders, used = {}, {}
    for tolerance in (NSD_TOLERANCE, OTHER):
        out = data.parent / f"study-{tolerance}"
        with patch.object(surface, "distances", side_effect=surface.distances) as spy:
            segstudy.run(data, **ONE, protocol="quick", nsd_tolerance=tolerance, out=out)
        folders[tolerance] = StudyFolder(out)
        used[tolerance] = {call.args[2] for call in spy.call_args_list}
    assert used == {NSD_TOLERANCE: {NSD_TOLERANCE}, OTHER: {OTHER}}
    return folders


def images(folder: StudyFolder) -> pl.DataFrame:
    (key,) = folder.finished()
    return folder.images([key]).drop("key")


def test_it_changes_the_key_and_the_normalised_distance_alone(studies):
    usual, other = (images(studies[each]) for each in (NSD_TOLERANCE, OTHER))
    assert studies[NSD_TOLERANCE].finished() != studies[OTHER].finished()
    assert usual.drop("native_nsd").equals(other.drop("native_nsd"))


def test_report_and_model_card_state_it(studies):
    for tolerance, said in ((NSD_TOLERANCE, "2 % of the diagonal"), (OTHER, "10 % of the diagonal")):
        page = (studies[tolerance].path / "report.html").read_text(encoding="utf-8")
        for sentence in (
            f"surface distance allows {said}",
            f"share of the boundaries within {said}",
            f"no farther than {said} from the other",
        ):
            assert sentence in page
        assert "{nsd_tolerance}" not in page
        card = segstudy.card(studies[tolerance].path)
        assert f"normalised surface distance ({said})" in card


def test_masks_that_were_scored_with_another_one_are_no_longer_compared(studies, data):
    folder = studies[OTHER]
    segstudy.score(data, data / "masks", study=folder.path, name="truth")
    assert leaderboard(folder)["failures"].to_list() == ["", ""]
    study = folder.path / "study.toml"
    before = study.read_text(encoding="utf-8")
    study.write_text(before.replace("nsd_tolerance = 0.1", "nsd_tolerance = 0.2"), encoding="utf-8")
    (row,) = leaderboard(folder).filter(pl.col("configuration") == "truth").to_dicts()
    study.write_text(before, encoding="utf-8")
    assert "another tolerance, score it again" in row["failures"]
    assert row["test_nsd"] is None
