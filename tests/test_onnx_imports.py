"""ONNX files as other programs may write them: what they mean, and what they may cost."""

import itertools
import struct
import time

import numpy as np
import pytest
from marks import slow
from refused import refused

import cnn

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

W = np.arange(12, dtype="f4").reshape(4, 3) / 8
B = np.array([1, -2, 3], "f4")
X = np.linspace(-1, 1, 8, dtype="f4").reshape(2, 4)
NAN = np.full(3, np.nan, "f4")


def tensor(name, kind, values):
    """Return a tensor of a type that NumPy may not have."""
    values = np.asarray(values)
    return helper.make_tensor(name, kind, values.shape, values.ravel().tolist())


def write(path, nodes, tensors=(), shape=("n", 4), opset=17, **changes):
    """Write a model of (operation, inputs, outputs, attributes) with W and B and more tensors."""
    tensors = [
        t if isinstance(t, TensorProto) else numpy_helper.from_array(t[1], t[0]) for t in tensors
    ]
    graph = helper.make_graph(
        [helper.make_node(op, i, o, name=f"n{k}", **a) for k, (op, i, o, a) in enumerate(nodes)],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "m"])],
        [numpy_helper.from_array(W, "W"), numpy_helper.from_array(B, "B"), *tensors],
    )
    model = helper.make_model(
        graph, ir_version=10, opset_imports=[helper.make_opsetid("", opset)], **changes
    )
    path.write_bytes(model.SerializeToString())
    return model


def gemm(path, tensors=(), inputs=("x", "W"), **attributes):
    write(path, [("Gemm", list(inputs), ["y"], attributes)], tensors)
    return cnn.from_onnx(path).layers[0]


# ---- Gemm ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [np.inf, -np.inf, np.nan, 1e38], ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3), (2, 3), (2, 1), (5,)], ids=str)
def test_gemm_with_beta_0_ignores_c(tmp_path, values, shape):
    """0 times infinity is NaN, which C would have made of the bias. Its shape says nothing too."""
    constant = ("C", np.full(shape, values, "f4"))
    for beta in (0.0, -0.0):
        dense = gemm(tmp_path / "m", [constant], ("x", "W", "C"), beta=beta)
        assert dense.bias.tolist() == [0, 0, 0]
        assert (dense.weight == W).all()


def test_gemm_with_beta_0_ignores_values_of_the_network(tmp_path):
    nodes = [("Gemm", ["x", "W"], ["z"], {}), ("Gemm", ["z", "V", "z"], ["y"], {"beta": 0.0})]
    write(tmp_path / "m", nodes, [("V", np.eye(3, dtype="f4"))])
    assert len(cnn.from_onnx(tmp_path / "m")) == 2
    nodes[1][3]["beta"] = 1.0
    write(tmp_path / "m", nodes, [("V", np.eye(3, dtype="f4"))])
    with refused(ValueError, "node 'n1' (Gemm) has a bias that is not a constant"):
        cnn.from_onnx(tmp_path / "m")


@pytest.mark.parametrize("alpha", [1.0, 0.0, -0.5, 3.0])
@pytest.mark.parametrize("beta", [1.0, 0.0, -0.5, 3.0])
@pytest.mark.parametrize("c", [None, "one", "row", "number"])
@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm_is_what_onnxruntime_makes_of_it(tmp_path, alpha, beta, c, transposed):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    constants = {"one": B[:1], "row": B[None], "number": B[0]}
    tensors = [("V", W.T.copy() if transposed else W)]
    if c is not None:
        tensors.append(("C", np.asarray(constants[c])))
    inputs = ["x", "V"] if c is None else ["x", "V", "C"]
    gemm(tmp_path / "m", tensors, inputs, alpha=alpha, beta=beta, transB=transposed)
    net = cnn.from_onnx(tmp_path / "m")
    (expected,) = runtime.InferenceSession(tmp_path / "m").run(None, {"x": X})
    np.testing.assert_allclose(net.predict(X), expected, rtol=1e-6, atol=1e-6)


# ---- Types ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16], ids=str)
@pytest.mark.parametrize("transposed", [0, 1])
def test_16_bits_become_float32_exactly(tmp_path, kind, transposed):
    """They ended in a message about shapes. All numbers of W and B have few enough bits."""
    values = W.T if transposed else W
    nodes = [("Gemm", ["x", "V", "C"], ["y"], {"transB": transposed})]
    write(tmp_path / "m", nodes, [tensor("V", kind, values), tensor("C", kind, B)])
    dense = cnn.from_onnx(tmp_path / "m").layers[0]
    assert dense.weight.dtype == np.float32
    assert dense.weight.tolist() == W.tolist()
    assert dense.bias.tolist() == B.tolist()


@pytest.mark.parametrize(
    "name", ["INT8", "INT4", "UINT4", "INT32", "FLOAT8E4M3FN", "FLOAT8E5M2", "FLOAT4E2M1", "BOOL"]
)
def test_other_types_are_named(tmp_path, name):
    kind = getattr(TensorProto, name, None)
    if kind is None:
        pytest.skip("this version of onnx does not have the type")
    values = np.ones((3, 4))
    write(tmp_path / "m", [("MatMul", ["x", "V"], ["y"], {})], [tensor("V", kind, values)])
    with refused(ValueError, "node 'n0' (MatMul) has weights of dtype ") as caught:
        cnn.from_onnx(tmp_path / "m")
    assert "should be float32 or float64; save the model in float32" in str(caught.value)
    write(tmp_path / "m", [("Gemm", ["x", "W", "C"], ["y"], {})], [tensor("C", kind, np.ones(3))])
    with refused(ValueError, "node 'n0' (Gemm) has a bias of dtype "):
        cnn.from_onnx(tmp_path / "m")
    # A Cast makes numbers of them, to the bit.
    nodes = [("Cast", ["V"], ["U"], {"to": 1}), ("Gemm", ["x", "U"], ["y"], {"transB": 1})]
    write(tmp_path / "m", nodes, [tensor("V", kind, values)])
    assert (cnn.from_onnx(tmp_path / "m").layers[0].weight == 1).all()


# ---- Messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "count", "message"),
    [
        ("Sin", 1, "is an operation that cnn does not have; supported are"),
        ("LogSoftmax", 1, "that cnn does not have: end the model in Softmax"),
        ("LayerNormalization", 2, "does not have: it divides each row by its own deviation"),
        ("DequantizeLinear", 2, "that cnn does not have: save the model as it was before it was"),
    ],
)
def test_operations_that_cnn_does_not_have(tmp_path, op, count, message):
    nodes = [("Gemm", ["x", "W"], ["z"], {}), (op, ["z", *["B"] * (count - 1)], ["y"], {})]
    write(tmp_path / "m", nodes)
    with refused(ValueError, f"node 'n1' ({op}) ") as caught:
        cnn.from_onnx(tmp_path / "m")
    assert message in str(caught.value)


def test_old_opsets_have_a_cure(tmp_path):
    write(tmp_path / "m", [("Gemm", ["x", "W", "B"], ["y"], {"broadcast": 1})], opset=6)
    with refused(ValueError, "the model has opset 6, should have 7 or more, as onnx.version_conv"):
        cnn.from_onnx(tmp_path / "m")


# ---- What files may cost -------------------------------------------------------------------------


def doubled(times):
    nodes = [("Shape", ["x"], ["s0"], {})]
    nodes += [("Concat", [f"s{i}", f"s{i}"], [f"s{i + 1}"], {"axis": 0}) for i in range(times)]
    return [*nodes, ("Reshape", ["x", f"s{times}"], ["r"], {}), ("Gemm", ["r", "W"], ["y"], {})]


@pytest.mark.parametrize("times", [24, 40, 300])
def test_shapes_are_counted_before_they_are_made(tmp_path, times):
    """1 kB took all memory: each Concat doubles what came before."""
    write(tmp_path / "m", doubled(times))
    start = time.process_time()
    with refused(ValueError, "(Concat) makes a shape of 128 sizes, should have at most 64"):
        cnn.from_onnx(tmp_path / "m")
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([("Gather", ["s", "many"], ["t"], {})], "(Gather) makes a shape of 100000 sizes"),
        ([("Concat", ["s", "many"], ["t"], {"axis": 0})], "(Concat) makes a shape of 100000 sizes"),
        ([("Concat", ["s"] * 100_000, ["t"], {"axis": 0})], "(Concat) makes a shape of 66 sizes"),
        ([("Add", ["many", "s"], ["t"], {})], "(Add) adds two values of the network"),
        (
            [("Concat", ["s", "s"], ["u"], {"axis": 0}), ("Identity", ["u"], ["t"], {})],
            "(Reshape) has shape [rows, 4, rows, 4], should be of 2 dimensions",
        ),
        ([("Expand", ["s", "many"], ["t"], {})], "(Expand) is an operation that cnn does not"),
        ([("Tile", ["s", "s"], ["t"], {})], "(Tile) is an operation that cnn does not"),
        (
            [("ConstantOfShape", ["s"], ["t"], {})],
            "(ConstantOfShape) makes a constant of the number of",
        ),
        ([("Range", ["s", "s", "s"], ["t"], {})], "(Range) is an operation that cnn does not"),
    ],
)
def test_other_ways_to_large_shapes(tmp_path, nodes, message):
    nodes = [
        ("Shape", ["x"], ["s"], {}),
        *nodes,
        ("Reshape", ["x", "t"], ["r"], {}),
        ("Gemm", ["r", "W"], ["y"], {}),
    ]
    write(tmp_path / "m", nodes, [("many", np.zeros(100_000, np.int64))])
    start = time.process_time()
    with refused(ValueError, message) as caught:
        cnn.from_onnx(tmp_path / "m")
    assert len(str(caught.value)) < 1000
    assert time.process_time() - start < 2


def test_inputs_of_many_dimensions(tmp_path):
    """The product of 100 000 sizes of 62 bits has 6 million bits, and took minutes."""
    nodes = [("Flatten", ["x"], ["f"], {}), ("Gemm", ["f", "W"], ["y"], {})]
    write(tmp_path / "m", nodes, shape=["n", *[2**62] * 100_000])
    start = time.process_time()
    with refused(ValueError, "input 'x' has 100001 dimensions, should have 2"):
        cnn.from_onnx(tmp_path / "m")
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("dims", "message"),
    [([2**31, 2**31], "is not a good model"), ([0, 2**40], "none of them 0"), ([2**62, 4], "good")],
)
def test_sizes_of_tensors_without_data(tmp_path, dims, message):
    model = write(
        tmp_path / "m", [("MatMul", ["x", "V"], ["y"], {})], [("V", W)], ("n", dims[0] or "k")
    )
    model.graph.initializer[2].dims[:] = dims
    model.graph.initializer[2].raw_data = b""
    (tmp_path / "m").write_bytes(model.SerializeToString())
    with refused(ValueError, message):
        cnn.from_onnx(tmp_path / "m")


def test_many_outputs_with_many_inputs(tmp_path):
    """Each needed output of a node asked for all inputs of it again."""
    names = [f"o{i}" for i in range(20_000)]
    nodes = [
        ("Own", ["x"] * 20_000, names, {"domain": "m"}),
        ("Own", names, ["y"], {"domain": "m"}),
    ]
    model = write(tmp_path / "m", nodes)
    model.opset_import.append(helper.make_opsetid("m", 1))
    (tmp_path / "m").write_bytes(model.SerializeToString())
    start = time.process_time()
    with refused(ValueError, "(Own) is an operation of domain m that cnn does not have"):
        cnn.from_onnx(tmp_path / "m")
    assert time.process_time() - start < 2


@pytest.mark.parametrize("op", ["Identity", *slow("Gemm")])
def test_time_grows_as_the_number_of_nodes(tmp_path, op):
    """A list of layers was searched for each of its layers."""
    taken = []
    for count in (2000, 16_000):
        last = [] if op == "Gemm" else [("Gemm", [f"v{count}", "S"], ["y"], {})]
        names = ["x", *(f"v{i}" for i in range(1, count)), f"v{count}" if last else "y"]
        nodes = [(op, [a, *["S"] * (op == "Gemm")], [b], {}) for a, b in itertools.pairwise(names)]
        write(tmp_path / "m", [*nodes, *last], [("S", np.eye(4, dtype="f4"))])
        start = time.process_time()
        net = cnn.from_onnx(tmp_path / "m")
        taken.append(time.process_time() - start)
        assert len(net) == (count if op == "Gemm" else 1)
    assert taken[1] < 8 * 3 * taken[0] + 0.2


def test_tensors_in_other_files_are_refused_wherever_they_are(tmp_path):
    """Also in graphs of branches and in sparse tensors, whose files the checker would look for."""

    def outside():
        found = numpy_helper.from_array(W, "secret")
        found.ClearField("raw_data")
        found.data_location = TensorProto.EXTERNAL
        found.external_data.add(key="location", value="/etc/hostname")
        return found

    def branch(model):
        inner = helper.make_graph(
            [helper.make_node("Identity", ["secret"], ["q"])], "inner", [], [], [outside()]
        )
        inner.output.append(helper.make_tensor_value_info("q", TensorProto.FLOAT, [4, 3]))
        model.graph.node.append(
            helper.make_node("If", ["x"], ["q2"], then_branch=inner, else_branch=inner)
        )

    def sparse(model):
        indices = numpy_helper.from_array(np.zeros(1, np.int64), "i")
        made = model.graph.sparse_initializer.add()
        made.values.CopyFrom(outside())
        made.indices.CopyFrom(indices)

    def attributes(model):
        attribute = model.graph.node[0].attribute.add()
        attribute.name, attribute.type = "list", onnx.AttributeProto.TENSORS
        attribute.tensors.append(outside())

    for change in (branch, sparse, attributes):
        model = write(tmp_path / "m", [("Gemm", ["x", "W"], ["y"], {})])
        change(model)
        (tmp_path / "m").write_bytes(model.SerializeToString())
        with refused(ValueError, "tensor 'secret' is kept in another file, should be in the model"):
            cnn.from_onnx(tmp_path / "m")


def test_what_is_no_protobuf(tmp_path):
    for first in (0, 3, 7, 0x0B, 0x0F):
        (tmp_path / "m").write_bytes(bytes([first]) * 100)
        with refused(
            cnn.ModelFileError, f"the file is not an ONNX model: it begins with byte {first}"
        ):
            cnn.from_onnx(tmp_path / "m")
    (tmp_path / "m").write_bytes(struct.pack("<Q", 100))
    with refused(cnn.ModelFileError, "from_onnx: the file is not an ONNX model"):
        cnn.from_onnx(tmp_path / "m")
    (tmp_path / "m").write_bytes(b"")
    with refused(cnn.ModelFileError, "it has no nodes; the file looks like an empty file"):
        cnn.from_onnx(tmp_path / "m")
