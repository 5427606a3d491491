"""PyTorch, eager and compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

import data
from cases import Activation, Net, Predict, Product, Train
from peers.base import Job, Peer, same, training

MODULES: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}
aten = torch.ops.aten
# The forms with `out`, which write into memory that is there already.
FORWARD: dict[str, Callable[..., object]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": lambda x, out: torch.clamp_min(x, 0.0, out=out),
    "leaky_relu": lambda x, out: aten.leaky_relu.out(x, 0.01, out=out),
    "elu": aten.elu.out,
    "softplus": aten.softplus.out,
    "silu": aten.silu.out,
    "gelu": aten.gelu.out,
    "softmax": lambda x, out: torch.softmax(x, 1, out=out),
}
BACKWARD: dict[str, Callable[..., object]] = {
    "sigmoid": lambda dy, x, y, dx: aten.sigmoid_backward.grad_input(dy, y, grad_input=dx),
    "tanh": lambda dy, x, y, dx: aten.tanh_backward.grad_input(dy, y, grad_input=dx),
    "relu": lambda dy, x, y, dx: aten.threshold_backward.grad_input(dy, y, 0, grad_input=dx),
    "leaky_relu": lambda dy, x, y, dx: aten.leaky_relu_backward.grad_input(
        dy, x, 0.01, False, grad_input=dx
    ),
    "elu": lambda dy, x, y, dx: aten.elu_backward.grad_input(dy, 1, 1, 1, True, y, grad_input=dx),
    "softplus": lambda dy, x, y, dx: aten.softplus_backward.grad_input(dy, x, 1, 20, grad_input=dx),
    "silu": lambda dy, x, y, dx: aten.silu_backward.grad_input(dy, x, grad_input=dx),
    "gelu": lambda dy, x, y, dx: aten.gelu_backward.grad_input(dy, x, grad_input=dx),
    "softmax": lambda dy, x, y, dx: aten._softmax_backward_data.out(
        dy, y, 1, torch.float32, grad_input=dx
    ),
}


def set_parameters(linears: Iterable[nn.Linear], net: Net) -> None:
    """Set the parameters from which all peers start."""
    with torch.no_grad():
        for linear, (weight, bias) in zip(linears, data.parameters(net), strict=True):
            linear.weight.copy_(torch.from_numpy(weight).T)
            linear.bias.copy_(torch.from_numpy(bias))


def module(net: Net, *, with_softmax: bool) -> nn.Sequential:
    """Return a net; without softmax it ends in logits, which is what the loss takes."""
    linears = [nn.Linear(*shape) for shape in pairwise(net.widths)]
    set_parameters(linears, net)
    layers: list[nn.Module] = []
    for linear in linears:
        layers += [linear, MODULES[net.hidden]()]
    layers.pop()
    if with_softmax and net.is_classifier:
        layers.append(nn.Softmax(dim=1))
    return nn.Sequential(*layers)


class Torch(Peer):
    """PyTorch as it comes."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)

    @property
    def version(self) -> str:
        return str(torch.__version__)

    def compiled(self, net: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return what is called in the net's place."""
        return net

    def predict(self, case: Predict) -> list[Job]:
        x = data.inputs(case.net, case.rows)
        net = module(case.net, with_softmax=True).eval()
        call = self.compiled(net)

        def run() -> NDArray[Any]:
            with torch.inference_mode():
                return call(torch.from_numpy(x)).numpy()

        return [same(run)]

    def train(self, case: Train) -> list[Job]:
        return [self._training(case, fused=fused) for fused in (None, True)]

    def _training(self, case: Train, *, fused: bool | None) -> Job:
        net = module(case.net, with_softmax=False)
        linears = [layer for layer in net if isinstance(layer, nn.Linear)]
        call = self.compiled(net)
        kind = torch.optim.SGD if case.optimizer == "SGD" else torch.optim.Adam
        optimizer: torch.optim.Optimizer | None = None
        x = torch.from_numpy(data.inputs(case.net, case.samples))
        t = torch.from_numpy(data.targets(case.net, case.samples))
        loss_of = functional.cross_entropy if case.net.is_classifier else _half_squared_error

        def begin() -> None:
            nonlocal optimizer
            set_parameters(linears, case.net)
            optimizer = kind(net.parameters(), lr=case.lr, fused=fused)
            torch.manual_seed(case.seed)

        def epoch(batches: Iterable[torch.Tensor]) -> None:
            assert optimizer is not None
            for index in batches:
                optimizer.zero_grad()
                loss_of(call(x[index]), t[index]).backward()
                optimizer.step()

        def run() -> None:
            epoch(torch.randperm(case.samples).split(case.batch))

        def run_checked() -> None:
            epoch(torch.arange(case.checked_samples).split(case.batch))

        def parameters() -> list[NDArray[Any]]:
            pairs = [(linear.weight.detach().T, linear.bias.detach()) for linear in linears]
            return [array.numpy().copy() for pair in pairs for array in pair]

        return training(case, run, run_checked, begin, parameters)

    def activation(self, case: Activation) -> list[Job]:
        table = FORWARD if case.direction == "forward" else BACKWARD
        if case.function not in table:
            return []
        function, a = table[case.function], data.activation(case)

        def forward() -> NDArray[Any]:
            function(torch.from_numpy(a.x), out=torch.from_numpy(a.out))
            return a.out

        def backward() -> NDArray[Any]:
            function(*map(torch.from_numpy, (a.dy, a.x, a.y, a.out)))
            return a.out

        return [same(_in_inference_mode(forward if case.direction == "forward" else backward))]

    def product(self, case: Product) -> list[Job]:
        a = data.product(case)
        x, weight, bias, dy, out = map(torch.from_numpy, (a.x, a.weight, a.bias, a.dy, a.out))

        def run() -> NDArray[Any]:
            if case.part == "forward":
                torch.addmm(bias, x, weight, out=out)
            elif case.part == "dX":
                torch.mm(dy, weight.T, out=out)
            else:
                torch.mm(x.T, dy, out=out)
            return a.out

        return [same(_in_inference_mode(run))]


class TorchCompile(Torch):
    """The same nets through torch.compile; single operations gain nothing from it."""

    def compiled(self, net: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        # Each case has one shape, which is the best case for the compiler.
        compiled: Callable[[torch.Tensor], torch.Tensor] = torch.compile(net, dynamic=False)
        return compiled

    def train(self, case: Train) -> list[Job]:
        return [self._training(case, fused=True)]

    def activation(self, case: Activation) -> list[Job]:
        return []

    def product(self, case: Product) -> list[Job]:
        return []


def _half_squared_error(y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return functional.mse_loss(y, t, reduction="sum") * (0.5 / y.shape[0])


def _in_inference_mode(run: Callable[[], NDArray[Any]]) -> Callable[[], NDArray[Any]]:
    def wrapped() -> NDArray[Any]:
        with torch.inference_mode():
            return run()

    return wrapped
