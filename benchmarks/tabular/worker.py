"""One fit, timed: `python -m tabular.worker TABLE METHOD SEED` prints a line of JSON.

Times are seconds of the processor, which other processes do not change, on one thread.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np

import machine
from tabular import methods, tables

TEST_SHARE = 0.2
# A row alone is predicted so often, or as often as this time allows.
ONE_ROW_CALLS, ONE_ROW_SECONDS = 200, 2.0


def measure(table: tables.Table, method: methods.Method, seed: int) -> dict[str, Any]:
    """Fit to four fifths of a table and score the rest."""
    from sklearn.model_selection import train_test_split

    X, X_test, y, y_test = train_test_split(
        table.X, table.y, test_size=TEST_SHARE, random_state=seed
    )
    categories = [name for name in X.columns if X[name].dtype == "category"]
    made = method.make(table.is_classes, seed, categories)
    start = time.process_time()
    made.fit(X, y)
    fitted = time.process_time()
    found = made.predict(X_test)
    predicted = time.process_time()
    score = _classes if table.is_classes else _numbers
    return {
        "rows": len(X),
        "columns": X.shape[1],
        "fit_seconds": fitted - start,
        "predict_seconds": predicted - fitted,
        "one_row_seconds": _one_row(made, X_test),
        **score(made, X_test, y_test, found),
    }


def _one_row(made: Any, X: Any) -> float:
    row = X.iloc[:1]
    made.predict(row)
    times: list[float] = []
    while len(times) < ONE_ROW_CALLS and sum(times) < ONE_ROW_SECONDS:
        start = time.process_time()
        made.predict(row)
        times.append(time.process_time() - start)
    return min(times)


def _numbers(made: Any, X: Any, y: Any, found: Any) -> dict[str, float]:
    error = np.asarray(found, dtype=np.float64).ravel() - y
    return {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.mean(np.abs(error)))}


def _classes(made: Any, X: Any, y: Any, found: Any) -> dict[str, float]:
    from sklearn.metrics import log_loss, roc_auc_score

    p = np.asarray(made.predict_proba(X), dtype=np.float64)
    scores = p[:, 1] if p.shape[1] == 2 else p / p.sum(axis=1, keepdims=True)
    return {
        "error": float(np.mean(np.asarray(found).ravel() != y)),
        "log_loss": float(log_loss(y, p, labels=made.classes_)),
        "auc": float(roc_auc_score(y, scores, multi_class="ovr", labels=made.classes_)),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    table, method, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    result = measure(tables.load(table), methods.METHODS[method], seed)
    on = machine.describe().title
    print(json.dumps({"table": table, "method": method, "seed": seed, "machine": on, **result}))
