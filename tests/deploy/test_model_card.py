"""The model card's scores."""

import numpy as np
import polars as pl

from segstudy.deploy.export import model_card


def test_an_interval_of_pixels_holds_its_mean() -> None:
    """It ended at 1, the highest value of an IoU."""
    apart = np.linspace(4.0, 9.0, 25)
    tables = [
        pl.DataFrame({"id": [f"{i:02}" for i in range(25)], "native_hd95_px": apart}).with_columns(
            part=pl.lit(part)
        )
        for part in ("validation", "test")
    ]
    found = model_card._scores(pl.concat(tables), {})["test"]["native_hd95_px"]
    assert found["low"] < found["mean"] < found["high"]
