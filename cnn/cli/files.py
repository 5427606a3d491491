"""The commands on model files: ``cnn show`` and ``cnn export``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from cnn._tables import preprocessing
from cnn.cli.common import check_output, counted, loaded
from cnn.cli.terminal import say
from cnn.sequential import Sequential
from cnn.tabular import TableModel, described, described_columns, plan_of

if TYPE_CHECKING:
    from argparse import Namespace


def show(arguments: Namespace) -> int:
    """Print the contents of a model file."""
    found = loaded(arguments.model)
    if isinstance(found, (Sequential, TableModel)):
        net = found.net if isinstance(found, TableModel) else found
        lines, seed = found.summary().splitlines(), net.seed
    else:
        net, lines, seed = found.net_, described(found), found.random_state
    sizes = f"{counted(net.inputs, 'input')}, {counted(net.outputs, 'output')}"
    say(f"{arguments.model}: {sizes}, trained for {counted(net.epochs, 'epoch')}", "")
    say(*lines)
    say("", f"Seed: {'unknown' if seed is None else seed}")
    return 0


def export(arguments: Namespace) -> int:
    """Write a model in another format."""
    ending = {"c": ".h", "onnx": ".onnx"}[arguments.to]
    output = arguments.output or arguments.model.removesuffix(".safetensors") + ending
    if arguments.name and arguments.to != "c":
        raise ValueError(
            f"export: --name is {arguments.name!r}, should be left out, since only --to c has names"
        )
    check_output(output, arguments.model)
    found = loaded(arguments.model)
    # A file may have any name, but the names that it declares are limited.
    name = arguments.name or re.sub(r"\W", "_", Path(output).stem, flags=re.ASCII)
    if arguments.to == "c":
        found.to_c(output, name=name)
    else:
        found.to_onnx(output)
    say(f"saved to {output}")
    if isinstance(found, Sequential):
        return 0
    takes = {
        "c": f"{name}_predict takes the raw values of a row",
        "onnx": "It takes the raw values of columns by their names",
    }[arguments.to]
    say(f"{takes}, and does with them what 'predict' does:")
    is_plan = isinstance(found, TableModel)
    say(*(preprocessing.described(plan_of(found)) if is_plan else described_columns(found)))
    return 0
