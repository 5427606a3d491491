"""ONNX Runtime, which predicts but does not train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import data
from cases import Activation, Predict, Product
from peers.base import Job, Peer, same

OPSET = 20  # the first with Gelu
OPERATORS = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "elu": "Elu",
    "softplus": "Softplus",
    "gelu": "Gelu",
    "softmax": "Softmax",
}


class OnnxRuntime(Peer):
    """A session for each case."""

    @property
    def version(self) -> str:
        return str(onnxruntime.__version__)

    def session(
        self, nodes: Sequence[Any], constants: dict[str, NDArray[Any]], cols: tuple[int, int]
    ) -> onnxruntime.InferenceSession:
        """Return a session for a graph from x to y, of so many columns."""
        tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width])
            for name, width in zip(("x", "y"), cols, strict=True)
        ]
        graph = helper.make_graph(nodes, "net", values[:1], values[1:], tensors)
        imports = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def job(self, session: onnxruntime.InferenceSession, x: NDArray[Any]) -> list[Job]:
        """Return the job of running a session on x."""
        return [same(lambda: session.run(None, {"x": x})[0])]

    def predict(self, case: Predict) -> list[Job]:
        net, name = case.net, "x"
        nodes: list[Any] = []
        constants: dict[str, NDArray[Any]] = {}
        parameters = data.parameters(net)
        for i, (weight, bias) in enumerate(parameters):
            is_last = i == len(parameters) - 1
            activation = net.output if is_last else net.hidden
            constants |= {f"w{i}": weight, f"b{i}": bias}
            result = "y" if is_last else f"y{i}"
            product = result if activation == "identity" else f"z{i}"
            nodes.append(helper.make_node("Gemm", [name, f"w{i}", f"b{i}"], [product]))
            if activation != "identity":
                nodes.append(helper.make_node(OPERATORS[activation], [product], [result]))
            name = result
        session = self.session(nodes, constants, (net.widths[0], net.widths[-1]))
        return self.job(session, data.inputs(net, case.rows))

    def activation(self, case: Activation) -> list[Job]:
        if case.direction != "forward" or case.function not in OPERATORS:
            return []
        node = helper.make_node(OPERATORS[case.function], ["x"], ["y"])
        session = self.session([node], {}, (case.cols, case.cols))
        return self.job(session, data.activation(case).x)

    def product(self, case: Product) -> list[Job]:
        if case.part != "forward":
            return []
        a = data.product(case)
        node = helper.make_node("Gemm", ["x", "w", "b"], ["y"])
        constants = {"w": a.weight, "b": a.bias}
        return self.job(self.session([node], constants, (case.inputs, case.outputs)), a.x)
