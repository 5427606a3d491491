"""What other libraries compute for all 2^32 float32, for `test_accuracy --peer` to measure.

Run as `python tools/accuracy_peers.py numpy tanh`: it writes the results to stdout, in order of the
bits of the inputs. `python tools/accuracy_peers.py PROGRAM NAME...`, the path of test_accuracy and
names of its list, measures these functions of every library that has them, or all of them, as
`make accuracy` measures cnn's. It needs NumPy, and PyTorch if it is to be measured.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[[Array], Array]

BLOCK = 2**20


def numpy_functions() -> dict[str, Function]:
    """Return NumPy's functions."""
    return {name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "tanh")}


def torch_functions() -> dict[str, Function]:
    """Return PyTorch's functions; none if it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    elementary = ("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf")
    same_name = ("softplus", "elu", "selu", "silu", "gelu", "mish", "softsign", "leaky_relu")
    names = {
        **{name: getattr(torch, name) for name in elementary},
        **{name: getattr(functional, name) for name in same_name},
        **{"exponential": torch.exp, "normal_cdf": torch.special.ndtr},
        "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
        **{"hard_sigmoid": functional.hardsigmoid, "hard_swish": functional.hardswish},
    }
    return {
        name: lambda x, f=function: f(torch.from_numpy(x)).numpy()
        for name, function in names.items()
    }


LIBRARIES = {"numpy": numpy_functions, "torch": torch_functions}


def write(library: str, name: str) -> None:
    """Write the results of one function."""
    function = LIBRARIES[library]()[name]
    with np.errstate(all="ignore"):
        for first in range(0, 2**32, BLOCK):
            x = np.arange(first, first + BLOCK, dtype=np.uint32).view(np.float32)
            sys.stdout.buffer.write(np.ascontiguousarray(function(x)).data)


def measure(program: str, library: str, name: str) -> None:
    """Print what test_accuracy finds of one function."""
    command = [sys.executable, __file__, library, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        done = subprocess.run(
            [program, "--peer", name],
            stdin=writer.stdout,
            capture_output=True,
            text=True,
            check=True,
        )
    print(library, done.stdout.splitlines()[0], flush=True)


def main() -> None:
    """Write one function's results, or measure functions."""
    program, *names = sys.argv[1:]
    if program in LIBRARIES:
        write(program, names[0])
        return
    for library, functions in LIBRARIES.items():
        for name in functions():
            if name != "exponential" and (not names or name in names):
                measure(program, library, name)


if __name__ == "__main__":
    main()
