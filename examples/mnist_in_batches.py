r"""
MNIST in batches
================

Each image is a row. A batch of images is a matrix, and a layer is one product of matrices for all
of them. This page follows the shapes through the network of the lecture,

.. math:: X\,(n, 784) \to W_1\,(784, 50) \to W_2\,(50, 100) \to W_3\,(100, 10) \to Y\,(n, 10),

trains it, and measures how the time for an image depends on the size of the batch.
"""

# %%
# The images
# ----------
# MNIST is four files, which :func:`cnn.datasets.load_mnist` reads from the folder that the
# environment variable `CNN_DATA` names. Without it, this page takes the smaller digits that come
# with the package: 8 by 8 pixels instead of 28 by 28, so 64 inputs instead of 784.

import os
import time

import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot

if os.environ.get("CNN_DATA"):
    data, (x, t, x_test, t_test) = "MNIST", cnn.datasets.load_mnist()
else:
    data, (x, t, x_test, t_test) = "the digits", cnn.datasets.load_digits(split=True)
pixels = x.shape[1]
side = int(pixels**0.5)
print(f"{data}: {side} x {side} pixels, {len(x)} images to train on, {len(x_test)} to test")
assert pixels == {"MNIST": 784, "the digits": 64}[data]

# %%
# The network
# -----------
# Three layers of neurons: two with the sigmoid, and one with softmax for the ten classes.

net = cnn.mlp([pixels, 50, 100, 10], "sigmoid", "softmax", rng=0)
print(net.summary())
shapes = [layer.weight.shape for layer in net.layers]
assert shapes == [(pixels, 50), (50, 100), (100, 10)]
assert net.parameter_count == 50 * pixels + 50 + 50 * 100 + 100 + 100 * 10 + 10

# The network of the lecture, also if this page has only the smaller digits.
lecture = cnn.mlp([784, 50, 100, 10], "sigmoid", "softmax", rng=0)
shapes = [layer.weight.shape for layer in lecture.layers]
assert shapes == [(784, 50), (50, 100), (100, 10)]
assert lecture.predict(np.zeros((100, 784))).shape == (100, 10)

# %%
# Training also goes in batches: each step takes 100 images and moves the weights once.

epochs = 3 if data == "MNIST" else 30
history = net.fit(
    x,
    t,
    epochs=epochs,
    batch_size=100,
    optimizer=cnn.Adam(lr=3e-3),
    validation_data=(x_test, t_test),
)
accuracy = net.evaluate(x_test, t_test)["accuracy"]
print(f"{epochs} epochs of {-(-len(x) // 100)} steps: {sum(history.seconds):.1f} s")
print(f"{accuracy:.2%} of the test images are classified correctly")
assert accuracy > 0.95

cnn.plot.learning_curves(history)
plt.show()

# %%
# The shapes
# ----------
# The product of an (n, k) and a (k, m) matrix is (n, m): the inner sizes must be equal, and they
# disappear. The number of rows n stays until the end. Here is the whole prediction, layer by layer,
# for a batch of 100 images; the last line is what :meth:`~cnn.Sequential.predict` returns.

batch = x_test[:100]
y = batch
for i, layer in enumerate(net.layers, start=1):
    z = cnn.dense(y, layer.weight, layer.bias, layer.activation)
    print(f"layer {i}:  {y.shape!s:10} · {layer.weight.shape!s:10} -> {z.shape}")
    assert (y.shape[1], z.shape[1]) == layer.weight.shape
    y = z

assert y.shape == (100, 10)
assert np.array_equal(y, net.predict(batch))

# %%
# Each row of the result has the ten probabilities of one image.

classes = y.argmax(axis=1)
print("predicted", *classes[:20])
print("true     ", *t_test[:20])
assert np.allclose(y.sum(axis=1), 1)
assert np.mean(classes == t_test[:100]) > 0.9
cnn.plot.predictions(net, batch[:6], t_test[:6], (side, side))
plt.show()

# %%
# A batch is not another question
# -------------------------------
# An image gets the same answer alone, in a batch of ten or among all others. With cnn that holds to
# the last bit.

alone = np.vstack([net.predict(image[None]) for image in batch])
tens = np.vstack([net.predict(batch[i : i + 10]) for i in range(0, 100, 10)])
assert np.array_equal(alone, y)
assert np.array_equal(tens, y)
assert np.array_equal(net.predict(x_test)[:100], y)
print("100 images alone, in tens and among all test images: the same bits")

# %%
# Time per image
# --------------
# But a batch is faster. A call has a cost of its own, which its images share, and a weight that has
# been read from memory serves several rows. So the time for one image falls with the size of the
# batch, until there is nothing left to share. Two images of MNIST may need more than twice the
# time of one: most pixels are 0, and a call with one image leaves out the products with these, but
# a call with two does not. Larger batches :doc:`leave them out </internals/zeros>` in groups of
# images.
#
# Each point is the best of several measurements, on one thread. The times are of the computer that
# made this page.

cnn.set_num_threads(1)
sizes = [1, 2, 5, 10, 20, 50, 100, 200, 300]
best = np.full(len(sizes), np.inf)
for _ in range(30):
    for i, size in enumerate(sizes):
        rows, repeats = x_test[:size], max(1, 300 // size)
        start = time.perf_counter()
        for _ in range(repeats):
            net.predict(rows)
        best[i] = min(best[i], (time.perf_counter() - start) / (repeats * size))

microseconds = best * 1e6
for size, most in zip(sizes, microseconds, strict=True):
    print(f"batches of {size:4}: {most:6.2f} microseconds per image")
assert microseconds[-1] < microseconds[0]
cnn.set_num_threads(None)  # as before

figure, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
ax.loglog(sizes, microseconds, "o-", color="#0072B2", lw=2)
for i in (0, -1):
    ax.annotate(
        f"{microseconds[i]:.2f} µs",
        (sizes[i], microseconds[i]),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
    )
ax.set_xticks(sizes, [str(size) for size in sizes])
ax.set_yticks(ticks := [0.1, 0.2, 0.5, 1, 2, 5], [str(tick) for tick in ticks])
ax.minorticks_off()
ax.set_ylim(0.7 * microseconds.min(), 1.5 * microseconds.max())
ax.grid(axis="y", alpha=0.3)
ax.set_title(f"time for one image of {data}, {pixels}-50-100-10, one thread")
ax.set_xlabel("images in a batch")
ax.set_ylabel("microseconds per image")
plt.show()
