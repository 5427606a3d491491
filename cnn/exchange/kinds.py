"""The kinds of layers that a format has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

    from cnn import _core


def refuse_kinds(where: str, network: _core.Network, kinds: Container[str], what: str) -> None:
    """Refuse a network with a layer of a kind that `what` do not have; dropout is left out."""
    for i, layer in enumerate(network.layers):
        if layer.kind != "dropout" and layer.kind not in kinds:
            raise ValueError(
                f"{where}: layer {i} is a {layer.kind} layer, which {what} do not have"
            )
