"""
A table with text and missing values
====================================

Tables have columns of text, and empty cells. A network takes numbers. So a table needs
preprocessing, which has to be the same in training and in use. A :class:`cnn.tabular.TableModel` is
preprocessing and network in one, and one file keeps both. This page goes from a CSV file to a model
that answers requests.
"""

import csv
import http.client
import json
import tempfile
import textwrap
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot
from cnn.tabular import TableModel

# %%
# The table
# ---------
#
# The table is made up, by the rule below: parcels, and whether they were late. There are columns of
# text and of numbers. On busy days more parcels are late. The table does not say which days these
# were. But on busy days the distance is often left out, so an empty cell is a hint. The weight is
# missing in one of ten rows, at random.

NAMES = ["carrier", "weekday", "express", "kilometres", "kilograms", "late"]
CARRIERS, WEEKDAYS = ["north", "post", "swift"], ["Mo", "Tu", "We", "Th", "Fr", "Sa"]


def parcels(count, rng):
    """Return rows of texts, as they are in a file."""
    carrier, weekday = rng.integers(0, 3, count), rng.integers(0, 6, count)
    express, busy = rng.random(count) < 0.3, rng.random(count) < 0.25
    kilometres, kilograms = rng.uniform(5, 800, count), rng.uniform(0.1, 30, count)
    heavy_post = (carrier == 1) * kilograms / 15
    score = -3 + kilometres / 250 + heavy_post + (weekday == 5) - 2 * express + 2.5 * busy
    late = rng.random(count) < 1 / (1 + np.exp(-score))
    no_distance = rng.random(count) < np.where(busy, 0.8, 0.05)
    no_weight = rng.random(count) < 0.1
    return [
        [
            CARRIERS[carrier[i]],
            WEEKDAYS[weekday[i]],
            "yes" if express[i] else "no",
            "" if no_distance[i] else f"{kilometres[i]:.0f}",
            "NA" if no_weight[i] else f"{kilograms[i]:.1f}",
            "late" if late[i] else "in time",
        ]
        for i in range(count)
    ]


folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "parcels.csv"
with path.open("w", newline="") as file:
    csv.writer(file).writerows([NAMES, *parcels(6000, np.random.default_rng(0))])
print("".join(path.read_text().splitlines(keepends=True)[:8]))

# %%
# Reading it
# ----------
#
# A table may be a list of dicts, as here, or a data frame of pandas or polars. A column in which
# all texts are numbers is one of numbers. The others hold categories. Rows with missing values are
# refused, unless `missing=` says what becomes of them.

with path.open(newline="") as file:
    table = list(csv.DictReader(file))
train, test = table[:4000], table[4000:]
message = ""
try:
    TableModel.fit(train, target="late", rng=0)
except ValueError as error:
    message = str(error)
print(textwrap.fill(message, 90))
assert "column 'kilometres' is missing" in message

# %%
# What becomes of missing values
# ------------------------------
#
# "mean" and "median" put the mean or the median of the column in their place. "category" also gives
# the network an input that is 1 if the value is missing. Here this input is a hint to busy days. So
# the log loss on rows that no model has seen is smaller with it.

models = {
    missing: TableModel.fit(train, target="late", missing=missing, rng=0)
    for missing in ("mean", "median", "category")
}
scores = {missing: model.evaluate(test) for missing, model in models.items()}
for missing, each in scores.items():
    print(
        f"{missing:8}  log loss {each['log_loss']:.3f}  accuracy {each['accuracy']:.3f}  "
        f"area under the ROC curve {each['auc']:.3f}"
    )
most = max(np.mean([row["late"] == name for row in test]) for name in ("late", "in time"))
print(f"accuracy of the best guess without a model: {most:.3f}")
assert scores["category"]["log_loss"] < scores["mean"]["log_loss"]
assert scores["category"]["log_loss"] < scores["median"]["log_loss"]
assert scores["category"]["accuracy"] > most

# %%
# The summary shows how inputs are made of columns.

model = models["category"]
print(model.summary())

# %%
# Can one rely on the probabilities?
# ----------------------------------
#
# If the model says 30 %, then about 30 of 100 such parcels should be late. The right picture
# compares the two for ten groups of new rows. The left one shows the training. It ended when the
# loss on rows that were held out no longer fell.

chances = model.predict_proba(test)
t = np.array([model.classes.index(row["late"]) for row in test])
share, chance = cnn.metrics.calibration_curve(t, chances, strategy="quantile")
print("ten groups of rows, from the least to the most likely late")
print("predicted:", chance.round(2))
print("came true:", share.round(2))
print(f"mean difference: {np.abs(share - chance).mean():.3f}")
assert np.abs(share - chance).mean() < 0.05

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
cnn.plot.learning_curves(model.history_, ax=left)
left.set_title("Training")
cnn.plot.calibration_curve(t, chances, strategy="quantile", ax=right)
right.set(title="Predicted and true share of late parcels", ylabel="share of late parcels")
plt.show()

# %%
# Save and load
# -------------
#
# One file has the network, the categories, means and scales, and what missing values become. No
# code is in it, so that it is safe to load.

path = Path(folder.name) / "parcels.safetensors"
model.save(path)
loaded = cnn.load(path)
print(f"{path.stat().st_size} bytes: {loaded}")
assert isinstance(loaded, TableModel)
assert (loaded.predict_proba(test) == chances).all()

# %%
# Serve
# -----
#
# A server of Python's standard library answers with the probabilities. A bad request gets the
# message of the error, which names the row and the column. For more, such as several processes and
# a model that is replaced while it serves, see :doc:`/guide/serving`.


predict = loaded.predict_proba


class Handler(BaseHTTPRequestHandler):
    """POST takes rows as JSON, and returns the probability of each class."""

    protocol_version = "HTTP/1.1"  # the connection stays open
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self):
        """Answer a request."""
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            status, content = 200, predict(rows).tolist()
        except (ValueError, TypeError) as error:
            status, content = 400, {"error": str(error)}
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Print nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)  # at any free port
threading.Thread(target=server.serve_forever, daemon=True).start()
connection = http.client.HTTPConnection("127.0.0.1", server.server_port)


def ask(rows):
    """Return the server's answer to rows."""
    connection.request("POST", "/", json.dumps(rows))
    return json.load(connection.getresponse())


# %%
# A client sends a row by the names of its columns. The distance is missing: in JSON it is null. The
# answer has the bits of a prediction in this process, since JSON keeps each digit.

row = {
    "carrier": "swift",
    "weekday": "Sa",
    "express": "no",
    "kilometres": None,
    "kilograms": 4.5,
}
answer = ask([row])
print(dict(zip(model.classes, answer[0], strict=True)))
assert np.array_equal(np.float32(answer), model.predict_proba([row]))
assert np.array_equal(np.float32(ask(test[:100])), chances[:100])

# %%
# An unknown category is refused, rather than guessed.

refused = ask([row | {"carrier": "northern"}])
print(refused["error"])
assert "row 0, column 'carrier' is 'northern'" in refused["error"]

# %%
# The time of a request
# ---------------------
#
# Most of the time of a request is Python's HTTP and JSON. The model needs the smaller part of it,
# and the network the smallest.


def micros(call, *arguments, count=300):
    """Return the microseconds of each of several calls."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        call(*arguments)
        found.append(1e6 * (time.perf_counter() - began))
    return found


x = model.transform([row])
times = {
    "request over HTTP": micros(ask, [row]),
    "model.predict_proba": micros(model.predict_proba, [row]),
    "model.net.predict": micros(model.net.predict, x),
}
for name, each in times.items():
    p50, p99 = np.percentile(each, [50, 99])
    print(f"{name:20}  median {p50:6.1f} µs, 99 of 100 within {p99:6.1f} µs")
medians = [np.median(each) for each in times.values()]
assert medians[0] > medians[1] > medians[2]

fig, ax = plt.subplots(figsize=(8, 2.4))
bars = ax.barh(list(times), medians, color=["#AAAAAA", "#56B4E9", "#0072B2"])
ax.bar_label(bars, [f"{each:.1f} µs" for each in medians], padding=4)
ax.invert_yaxis()
ax.set(title="Median time of one row", xlabel="microseconds", xlim=(0, 1.2 * max(medians)))
plt.show()

connection.close()
server.shutdown()
server.server_close()
folder.cleanup()
