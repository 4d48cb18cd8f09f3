"""The short form of ``make torture``: a kill of each kind, and the same bytes in the end."""

import pytest
from torture import HITS, failed, torture

KILLS, EPOCHS = 4, 5


@pytest.mark.slow
def test_a_study_under_fire_ends_as_one_in_peace(tmp_path):
    counted = torture(KILLS, tmp_path, epochs=EPOCHS)
    assert not failed(counted, KILLS), counted
    assert all(counted[f"kills, {kind}"] for kind in HITS)
