"""The ratios that cnn is meant to reach: how many times faster than the best peer.

They hold for one thread and the best instruction set. Keys are (subject, name of the case).
"""

from __future__ import annotations

RATIOS = {
    ("predict", "784-50-100-10 sigmoid, 1 row"): 5.0,
    ("predict", "8-64-64-4 tanh, 1 row"): 10.0,
    ("predict", "784-50-100-10 sigmoid, 100 rows"): 1.2,
    ("predict", "784-256-128-10 relu, 10 000 rows"): 1.2,
    ("predict", "784-1024-1024-10 relu, 10 000 rows"): 1.0,
    ("training", "784-50-100-10 sigmoid, SGD, batch 100"): 1.5,
    ("training", "784-50-100-10 sigmoid, Adam, batch 100"): 1.8,
    ("training", "784-256-128-10 relu, SGD, batch 128"): 1.15,
    ("training", "784-1024-1024-10 relu, Adam, batch 128"): 1.3,
    ("activations", "softmax forward, 1024x1000"): 3.0,
    ("activations", "softmax forward, 4096x4096"): 1.9,
    ("activations", "softmax forward, 100x10"): 10.0,
}

# The geometric mean of all ratios on one thread, in a full run.
MEANS = {"predict": 2.5, "training": 2.0}

# Rows without a target that the chart shows beside those that have one.
SHOWN = (
    "8-64-64-4 tanh, 100 rows",
    "784-256-128-10 relu, 1 row",
    "784-256-128-10 relu, 1 000 rows",
    "784-1024-1024-10 relu, 100 rows",
    "512-4096-4096-512 relu, 1 row",
    "512-4096-4096-512 relu, 1 000 rows",
    "8-64-64-4 tanh, Adam, batch 32",
    "784-50-100-10 sigmoid, SGD, batch 1",
    "784-256-128-10 relu, Adam, batch 32",
    "784-1024-1024-10 relu, SGD, batch 1024",
    "sigmoid forward, 1024x1000",
    "tanh forward, 1024x1000",
    "relu forward, 1024x1000",
    "gelu forward, 1024x1000",
    "softmax backward, 1024x1000",
    "gelu backward, 1024x1000",
    "forward, 128x1024x1024",
    "forward, 2048x2048x2048",
    "dX, 2048x2048x2048",
    "dW, 2048x2048x2048",
)

# How many times faster than scikit-learn its estimators are here: to fit, and to predict one row.
ESTIMATORS = {
    "MNIST 784-50-100-10, logistic, Adam, batches of 100, 3 epochs": (2.5, 5.0),
    "MNIST 784-50-100-10, ReLU, Adam, batches of 200, 3 epochs": (2.5, 5.0),
}

# Targets that are no ratio to a peer.
FMA_SHARE_OF_LARGE_LAYERS = 0.9
LARGE_LAYERS = ("1024x1024x1024", "4096x1024x1024", "2048x2048x2048")
IMPORT_SECONDS = 0.02
INSTALLED_BYTES = 3e6

# Two threads against one, by the seconds of the work on one thread. Never slower, at any size.
SPEEDUPS = ((1e-3, 1.8), (200e-6, 1.3), (0.0, 1.0))
# A call on two threads while another process keeps one of the two cores busy, against one thread.
FOREIGN_LOAD = 1.3
