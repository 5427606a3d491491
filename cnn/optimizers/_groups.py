"""Groups of parameters with a learning rate or weight decay of their own."""

from __future__ import annotations

from dataclasses import dataclass

from cnn import _core, schedules
from cnn._base import checks


@dataclass(frozen=True)
class Group:
    """Parameters whose learning rate or weight decay differs from that of the others.

    Parameters
    ----------
    parameters : str or tuple of (str or tuple of (int, str))
        Which they are: the name of a parameter of any layer, such as "bias", "embedding",
        "periodic", "factor" or "mix"; or several, each a name, or the index of a layer and a name.
        If groups share a parameter, it belongs to the last one of them.
    lr : float or Schedule, default 1.0
        What the optimizer's learning rate is multiplied by.
    weight_decay : float or Schedule, optional
        The weight decay of `AdamW` for these parameters, instead of the optimizer's.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range.

    Examples
    --------
    >>> import cnn
    >>> slow = cnn.optimizers.Group("bias", lr=0.1, weight_decay=0.0)
    >>> net = cnn.Sequential([cnn.Dense(2, 1, init="zeros")], rng=0)
    >>> history = net.fit([[1.0, 2.0]], [1.0], optimizer=cnn.AdamW(0.1, groups=[slow]), epochs=1)
    >>> net.layers[0].weight.round(3).ravel(), net.layers[0].bias.round(3)
    (array([0.1, 0.1], dtype=float32), array([0.01], dtype=float32))
    """

    parameters: str | tuple[str | tuple[int, str], ...]
    lr: float | schedules.Schedule = 1.0
    weight_decay: float | schedules.Schedule | None = None

    def __post_init__(self) -> None:
        names = (self.parameters,) if isinstance(self.parameters, str) else self.parameters
        if not isinstance(names, tuple) or not names or not all(map(_is_parameter, names)):
            raise TypeError(
                f"Group: parameters is {self.parameters!r}, should be a name such as 'bias', or a "
                f"tuple of names, or of a layer's index and a name"
            )
        check_rate("Group", "lr", self.lr)
        if self.weight_decay is not None:
            check_rate("Group", "weight_decay", self.weight_decay)

    def has(self, layer: int, name: str) -> bool:
        """Whether a parameter of a layer belongs to the group.

        Parameters
        ----------
        layer : int
            The index of the layer.
        name : str
            The name of the parameter.

        Returns
        -------
        bool
            Whether it does.

        Examples
        --------
        >>> import cnn
        >>> cnn.optimizers.Group("bias").has(3, "bias")
        True
        """
        names = (self.parameters,) if isinstance(self.parameters, str) else self.parameters
        return name in names or (layer, name) in names


def _is_parameter(name: object) -> bool:
    if isinstance(name, tuple):
        return len(name) == 2 and isinstance(name[0], int) and isinstance(name[1], str)
    return isinstance(name, str)


def check_rate(where: str, name: str, value: object) -> None:
    """Refuse what is neither a number of 0 or more nor a Schedule."""
    if not isinstance(value, schedules.Schedule):
        checks.real(where, name, value, most=_core.LARGEST)


def checked_groups(where: str, groups: object) -> tuple[Group, ...]:
    if not isinstance(groups, (list, tuple)) or not all(isinstance(g, Group) for g in groups):
        raise TypeError(f"{where}: groups is {groups!r}, should be a list of cnn.optimizers.Group")
    if len(groups) >= _core.MOST_GROUPS:
        raise ValueError(
            f"{where}: groups has {len(groups)} groups, should have less than {_core.MOST_GROUPS}"
        )
    return tuple(groups)
