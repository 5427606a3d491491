"""The table of ONNX's operations: what reads each, and why others are refused.

An operation of another domain than ONNX's own has its name after the domain's. To add one: its
handler in `_onnx_affine`, `_onnx_activations` or `_onnx_shapes`, with a line in the table there, a
line in the table of `docs/guide/exchange.md`, and a graph in `tests/test_exchange_table.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnn.exchange._onnx_activations import ACTIVATIONS
from cnn.exchange._onnx_affine import AFFINE
from cnn.exchange._onnx_shapes import SHAPES

if TYPE_CHECKING:
    from cnn.exchange._onnx_values import Handler

HANDLERS: dict[str, Handler] = {**AFFINE, **ACTIVATIONS, **SHAPES}

# Operations that make labels of probabilities at the end of a classifier.
TAIL = frozenset(
    (
        "ArgMax",
        "ArrayFeatureExtractor",
        "Binarizer",
        "Cast",
        "Flatten",
        "Identity",
        "LabelEncoder",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "ZipMap",
    )
)

_OUTPUTS = "name the value before it by outputs="
_QUANTISED = "save the model as it was before it was quantised"
_OTHER_LAYERS = "cnn has dense layers alone"
_BY_ROW = "it divides each row by its own norm, which no dense layer does"
_TREES = "it is no network"

# Why operations are refused, by name; others are refused without a reason.
REASONS: dict[str, str] = {
    "ai.onnx.ml:Imputer": "fill missing values before the network",
    "ai.onnx.ml:LinearClassifier": _TREES,
    "ai.onnx.ml:LinearRegressor": _TREES,
    "ai.onnx.ml:Normalizer": _BY_ROW,
    "ai.onnx.ml:OneHotEncoder": "encode categories before the network",
    "ai.onnx.ml:TreeEnsembleClassifier": _TREES,
    "ai.onnx.ml:TreeEnsembleRegressor": _TREES,
    "Attention": _OTHER_LAYERS,
    "Conv": _OTHER_LAYERS,
    "ConvTranspose": _OTHER_LAYERS,
    "DequantizeLinear": _QUANTISED,
    "DynamicQuantizeLinear": _QUANTISED,
    "GRU": _OTHER_LAYERS,
    "GlobalAveragePool": _OTHER_LAYERS,
    "InstanceNormalization": _BY_ROW.replace("norm", "deviation"),
    "LSTM": _OTHER_LAYERS,
    "LayerNormalization": _BY_ROW.replace("norm", "deviation"),
    "LogSoftmax": f"end the model in Softmax, whose logarithm it is, or {_OUTPUTS}",
    "LpNormalization": _BY_ROW,
    "MatMulInteger": _QUANTISED,
    "MaxPool": _OTHER_LAYERS,
    "QGemm": _QUANTISED,
    "QLinearMatMul": _QUANTISED,
    "QuantizeLinear": _QUANTISED,
    "RNN": _OTHER_LAYERS,
    "ReduceMax": f"cnn has no sums or maxima over columns; {_OUTPUTS}",
    "ReduceMean": f"cnn has no sums or maxima over columns; {_OUTPUTS}",
    "ReduceSum": f"cnn has no sums or maxima over columns; {_OUTPUTS}",
}
