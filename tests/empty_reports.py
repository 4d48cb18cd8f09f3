"""Trainings that leave an empty report, for tests that do not look at it: writing one takes a second."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def empty_reports() -> Iterator[None]:
    """Within it, ``run`` touches ``report.html`` and writes nothing into it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "segstudy.study.run.write_report", lambda folder, _: (folder.path / "report.html").touch()
        )
        yield
