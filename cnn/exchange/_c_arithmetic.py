"""The arithmetic of a C header: the kernels' formulas that its functions need, in one type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cnn.exchange._c_formulas import Formulas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Newton's steps from (1 + w) / 2 until the square root of w, at most 2, is within a unit of its
# last place: the error, 0.06 at first, becomes half its square.
_STEPS = {32: 3, 64: 4}


class Arithmetic:
    """The formulas of one type, with the names that they have in a header.

    Parameters
    ----------
    bits : {32, 64}
        The type.
    own : str
        What their names begin with.
    fma : str
        The name of the multiply-add.
    """

    def __init__(self, bits: int, own: str, fma: str) -> None:
        self.formulas = Formulas(bits)
        suffix = "f" if bits == 32 else ""
        self._own = own
        self._values: dict[str, object] = {
            "own": own,
            "fma": fma,
            "type": "float" if bits == 32 else "double",
            "suffix": suffix,
            "SUFFIX": suffix.upper(),
            "half": f"0.5{suffix}",
            "epsilon": "1.1920929e-07f" if bits == 32 else "2.220446049250313e-16",
            "steps": _STEPS[bits],
        }

    def text(self, functions: str, filled: Callable[..., str]) -> str:
        """Return the definitions that functions need, in an order in which they compile."""
        needed = self.formulas.needed_by(functions)
        parts = [self.renamed(needed)]
        has_root = any(re.search(r"\bsqrtf?\(", text) for text in needed)
        if has_root or any("fused(" in text for text in needed):
            soft = self.formulas.needed_by("soft_fma")
            # The name of fma is none of the formulas', whatever that of the network is.
            parts = [self.renamed(soft), filled("fma", **self._values).rstrip()]
            if has_root:
                parts.append(filled("root", **self._values).rstrip())
            parts.append(self.renamed(text for text in needed if text not in soft))
        return "\n\n".join(parts)

    def renamed(self, formulas: Iterable[str]) -> str:
        """Return formulas with the names that they have in this header."""
        text = self.formulas.renamed("\n\n".join(formulas), self._own)
        text = re.sub(r"\bsqrtf?\(", f"{self._own}_root(", text)
        return re.sub(r"\bfused\(", f"{self._values['fma']}(", text)
