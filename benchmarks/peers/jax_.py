"""JAX: one compiled call per step, or one per epoch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from numpy.typing import NDArray

import data
from cases import Activation, Net, Predict, Product, Train
from peers.base import Job, Peer, same, training

nn = jax.nn
FORWARD: dict[str, Callable[[Any], Any]] = {
    "identity": lambda x: x,
    "step": lambda x: (x > 0).astype(x.dtype),
    "sigmoid": nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": nn.relu,
    "leaky_relu": nn.leaky_relu,
    "elu": nn.elu,
    "softplus": nn.softplus,
    "silu": nn.silu,
    "gelu": partial(nn.gelu, approximate=False),
    "softmax": nn.softmax,
}
BACKWARD: dict[str, Callable[[Any, Any, Any], Any]] = {
    "sigmoid": lambda dy, x, y: dy * y * (1 - y),
    "tanh": lambda dy, x, y: dy * (1 - y * y),
    "relu": lambda dy, x, y: jnp.where(y > 0, dy, 0),
    "leaky_relu": lambda dy, x, y: jnp.where(y > 0, dy, 0.01 * dy),
    "elu": lambda dy, x, y: jnp.where(y > 0, dy, dy * (y + 1)),
    "softplus": lambda dy, x, y: dy * (1 - jnp.exp(-y)),
    "silu": lambda dy, x, y: jax.vjp(nn.silu, x)[1](dy)[0],
    "gelu": lambda dy, x, y: jax.vjp(FORWARD["gelu"], x)[1](dy)[0],
    "softmax": lambda dy, x, y: y * (dy - (dy * y).sum(axis=1, keepdims=True)),
}


def logits(net: Net, parameters: Any, x: Any) -> Any:
    """Compute the net up to the last activation."""
    *hidden, (weight, bias) = parameters
    for w, b in hidden:
        x = FORWARD[net.hidden](x @ w + b)
    return x @ weight + bias


def loss(net: Net, parameters: Any, x: Any, t: Any) -> Any:
    """Compute the mean loss of a batch."""
    z = logits(net, parameters, x)
    if net.is_classifier:
        return -jnp.take_along_axis(nn.log_softmax(z), t[:, None], axis=1).mean()
    return 0.5 * ((z - t) ** 2).sum(axis=1).mean()


def step(case: Train, state: Any, x: Any, t: Any, index: Any) -> Any:
    """Make a step on the rows of `index`; state is (parameters, m, v, number of the step)."""
    parameters, m, v, k = state
    gradient = jax.grad(partial(loss, case.net))(parameters, x[index], t[index])
    if case.optimizer == "SGD":
        update = jax.tree.map(lambda w, g: w - case.lr * g, parameters, gradient)
        return update, m, v, k
    k = k + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
    rate, root = case.lr / (1 - 0.9**k), jnp.sqrt(1 - 0.999**k)
    parameters = jax.tree.map(
        lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + 1e-8), parameters, m, v
    )
    return parameters, m, v, k


class Jax(Peer):
    """Every call and every step is compiled; arrays of training are JAX's own beforehand."""

    @property
    def version(self) -> str:
        return str(jax.__version__)

    def predict(self, case: Predict) -> list[Job]:
        parameters = jax.device_put(data.parameters(case.net))
        x = data.inputs(case.net, case.rows)
        output = FORWARD[case.net.output]
        call = jax.jit(lambda parameters, x: output(logits(case.net, parameters, x)))
        return [same(lambda: np.asarray(call(parameters, x)))]

    def epoch(self, case: Train) -> Callable[[Any, Any, Any, NDArray[Any]], Any]:
        """Return a function that trains on rows of indices, a row for each batch."""
        compiled = jax.jit(partial(step, case), donate_argnums=0)

        def run(state: Any, x: Any, t: Any, index: NDArray[Any]) -> Any:
            for batch in index:
                state = compiled(state, x, t, batch)
            return state

        return run

    def train(self, case: Train) -> list[Job]:
        epoch = self.epoch(case)
        x = jax.device_put(data.inputs(case.net, case.samples))
        t = data.targets(case.net, case.samples)
        t = jax.device_put(t.astype(np.int32) if case.net.is_classifier else t)
        state: Any = None
        rng = np.random.default_rng(case.seed)

        def begin() -> None:
            nonlocal state, rng
            # Copies, since a donated array must not be NumPy's.
            start = jax.tree.map(lambda w: jnp.array(w, copy=True), data.parameters(case.net))
            zeros = jax.tree.map(jnp.zeros_like, start) if case.optimizer == "Adam" else None
            state = (start, zeros, jax.tree.map(jnp.copy, zeros), jnp.zeros(()))
            rng = np.random.default_rng(case.seed)

        def run_rows(rows: NDArray[Any]) -> None:
            nonlocal state
            index = rows.astype(np.int32).reshape(-1, case.batch)
            state = jax.block_until_ready(epoch(state, x, t, index))

        def run() -> None:
            run_rows(rng.permutation(case.samples))

        def run_checked() -> None:
            run_rows(np.arange(case.checked_samples))

        def parameters() -> list[NDArray[Any]]:
            return [np.asarray(array) for array in jax.tree.leaves(state[0])]

        return [training(case, run, run_checked, begin, parameters)]

    def activation(self, case: Activation) -> list[Job]:
        a = data.activation(case)
        if case.direction == "forward":
            call = jax.jit(FORWARD[case.function])
            return [same(lambda: np.asarray(call(a.x)))]
        if case.function not in BACKWARD:
            return []
        call = jax.jit(BACKWARD[case.function])
        return [same(lambda: np.asarray(call(a.dy, a.x, a.y)))]

    def product(self, case: Product) -> list[Job]:
        a = data.product(case)
        if case.part == "forward":
            forward = jax.jit(lambda x, weight, bias: x @ weight + bias)
            return [same(lambda: np.asarray(forward(a.x, a.weight, a.bias)))]
        if case.part == "dX":
            of_input = jax.jit(lambda dy, weight: dy @ weight.T)
            return [same(lambda: np.asarray(of_input(a.dy, a.weight)))]
        of_weight = jax.jit(lambda x, dy: x.T @ dy)
        return [same(lambda: np.asarray(of_weight(a.x, a.dy)))]


class JaxScan(Jax):
    """A whole epoch in one compiled call."""

    def epoch(self, case: Train) -> Callable[[Any, Any, Any, NDArray[Any]], Any]:
        def scanned(state: Any, x: Any, t: Any, index: Any) -> Any:
            return jax.lax.scan(
                lambda state, batch: (step(case, state, x, t, batch), None), state, index
            )[0]

        return jax.jit(scanned, donate_argnums=0)

    def predict(self, case: Predict) -> list[Job]:
        return []

    def activation(self, case: Activation) -> list[Job]:
        return []

    def product(self, case: Product) -> list[Job]:
        return []
