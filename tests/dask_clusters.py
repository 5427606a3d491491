"""Clusters of Dask for tests of training: processes of one thread each, on this machine only."""

from typing import Any

import pytest
from marks import slow

every_size = pytest.mark.parametrize(
    "client",
    [3, *slow(2, 4)],
    indirect=True,
)


def local_cluster(n: int, **options: Any) -> Any:
    """Return a cluster of n workers."""
    # Doctests are looked for here, also if Dask is absent.
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=n,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        **({"host": "127.0.0.1"} | options),
    )
