"""PyTorch modules that are more than their children: what is refused names what to convert."""

import pickle
import warnings

import numpy as np
import pytest
from refused import refused

import cnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
prune = pytest.importorskip("torch.nn.utils.prune")
nn = torch.nn
functional = torch.nn.functional

ONNX = "or export the module by torch.onnx.export, for cnn.from_onnx"


def two_layers():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def quiet(call, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is deprecated is still used
        return call(*arguments)


class Body(nn.Module):
    """A body of two layers and two heads, of which subclasses make something."""

    def __init__(self, scale=1.0, heads=(8, 8)):
        super().__init__()
        self.body = nn.Linear(4, 8)
        self.one = nn.Linear(8, heads[0])
        self.two = nn.Linear(8, heads[1])
        with torch.no_grad():
            self.two.weight *= scale
            self.two.bias *= scale


class Tanh(Body):
    def forward(self, x):
        return functional.tanh(self.two(self.one(self.body(x))))


class Between(Body):
    def forward(self, x):
        return self.two(torch.sigmoid(self.one(self.body(x))))


class Plain(Body):
    def forward(self, x):
        return self.two(self.one(self.body(x)))


class Twice(Body):
    def forward(self, x):
        return self.two(self.one(self.one(self.body(x))))


class Heads(Body):
    def forward(self, x):
        x = self.body(x)
        return self.one(x), self.two(x)


class Named(Body):
    def forward(self, x):
        return {"one": self.one(self.body(x))}


class AlwaysDropped(Body):
    def forward(self, x):
        return self.two(functional.dropout(self.one(self.body(x)), 0.5))


class Dropped(Body):
    def forward(self, x):
        x = functional.dropout(self.one(self.body(x)), 0.5, training=self.training)
        return self.two(x)


def test_computed_parameters_name_what_makes_them_plain():
    for change, cure in (
        (lambda m: prune.l1_unstructured(m, "weight", 0.5), "prune.remove(module, 'weight')"),
        (lambda m: prune.random_unstructured(m, "bias", 1), "prune.remove(module, 'bias')"),
        (nn.utils.weight_norm, "torch.nn.utils.remove_weight_norm(module, 'weight')"),
        (nn.utils.spectral_norm, "torch.nn.utils.remove_spectral_norm(module, 'weight')"),
        (nn.utils.parametrizations.weight_norm, "remove_parametrizations(module, 'weight')"),
        (nn.utils.parametrizations.spectral_norm, "remove_parametrizations(module, 'weight')"),
        (nn.utils.parametrizations.orthogonal, "remove_parametrizations(module, 'weight')"),
    ):
        module = two_layers()
        quiet(change, module[2])
        with refused(ValueError, "from_torch: module '2' (") as caught:
            cnn.from_torch(module)
        assert "should have it as it is: call torch.nn.utils." in str(caught.value)
        assert cure in str(caught.value)
        assert ONNX in str(caught.value)


def test_the_cures_of_computed_parameters_work():
    module = two_layers()
    prune.l1_unstructured(module[0], "weight", 0.5)
    prune.remove(module[0], "weight")
    quiet(nn.utils.weight_norm, module[2])
    quiet(nn.utils.remove_weight_norm, module[2], "weight")
    x = torch.randn(5, 4)
    expected = module(x).detach().numpy()
    np.testing.assert_allclose(cnn.from_torch(module).predict(x.numpy()), expected, atol=1e-6)
    assert (cnn.from_torch(module).layers[0].weight == 0).mean() == 0.5


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-3, 1e-5, 1e-8, 1e-11])
def test_functions_in_forward_are_noticed(scale):
    """tanh of small numbers is nearly nothing, and yet another function."""
    torch.manual_seed(0)
    for kind in (Tanh, Between, Twice, AlwaysDropped):
        with refused(ValueError, f"module {kind.__name__} computes something else") as caught:
            cnn.from_torch(kind(scale if kind is Tanh else 1.0))
        assert "so write it as modules (torch.nn.Tanh), " + ONNX in str(caught.value)
    for kind in (Plain, Dropped):
        assert len(cnn.from_torch(kind(scale))) == 3


def test_a_forward_of_one_module_alone_is_noticed():
    module = two_layers()
    module[0].forward = lambda x: functional.linear(x, module[0].weight)
    with refused(ValueError, "computes something else"):
        cnn.from_torch(module)


def test_several_heads():
    with refused(ValueError, "module Heads gives a tuple of 2, should give one tensor: make") as c:
        cnn.from_torch(Heads())
    assert ONNX in str(c.value)
    with refused(ValueError, "module Named gives a dict of 1, should give one tensor"):
        cnn.from_torch(Named())
    with refused(ValueError, "module 'two' (Linear) has 8 inputs, but module 'one' (Linear)") as c:
        cnn.from_torch(Heads(heads=(3, 2)))
    assert "if it has several heads or another order, make a torch.nn.Sequential" in str(c.value)
    assert ONNX in str(c.value)
    module = Heads()
    assert cnn.from_torch(nn.Sequential(module.body, module.two)).outputs == 8


def test_large_and_small_outputs_are_no_excuse():
    """Modules that are what they seem stay so at every scale: nothing is refused for rounding."""
    torch.manual_seed(1)
    for activation in (nn.Tanh, nn.GELU, nn.Softplus, nn.SiLU, nn.ELU, nn.Sigmoid, nn.ReLU):
        for scale in (1e-9, 1e-3, 1.0, 1e3):

            class Own(nn.Module):
                def __init__(self, kind=activation, factor=scale):
                    super().__init__()
                    self.a, self.h, self.b = nn.Linear(4, 64), kind(), nn.Linear(64, 1)
                    self.last = kind()
                    with torch.no_grad():
                        self.b.weight *= factor
                        self.b.bias -= 6

                def forward(self, x):
                    return self.last(self.b(self.h(self.a(x))))

            assert len(cnn.from_torch(Own())) == 2
            assert len(cnn.from_torch(Own().double())) == 2


def test_types_and_parts_have_a_cure():
    for dtype in (torch.float16, torch.bfloat16):
        with refused(ValueError, "the weight of module '0' (Linear) has dtype ") as caught:
            cnn.from_torch(two_layers().to(dtype))
        assert str(caught.value).endswith("float32 or float64, as module.float() makes it")
        assert cnn.from_torch(two_layers().to(dtype).float()).dtype == np.float32
    with refused(ValueError, "(LazyLinear) is not a part that cnn has") as caught:
        cnn.from_torch(nn.Sequential(quiet(nn.LazyLinear, 3)))
    assert "it has no weights yet: call the module on some rows first" in str(caught.value)

    class Matrix(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(4, 3))

        def forward(self, x):
            return x @ self.w

    with refused(ValueError, "module Matrix is not a part that cnn has") as caught:
        cnn.from_torch(Matrix())
    assert "write what it does with modules such as these, " + ONNX in str(caught.value)
    shared = nn.Linear(4, 4)
    net = cnn.from_torch(nn.Sequential(shared, nn.ReLU(), shared))
    assert (net.layers[0].weight == net.layers[1].weight).all()


def test_standardize():
    """A module of cnn's own: the bits of the layer, buffers, and pickles."""
    x = np.random.default_rng(0).normal(5, 30, (50, 4)).astype("f4")
    net = cnn.Sequential([cnn.Standardize().adapt(x), cnn.Dense(4, 3, "tanh")], rng=0)
    module = net.to_torch().eval()
    assert "Standardize(4)" in repr(module)
    assert list(module.state_dict()) == ["0.mean", "0.scale", "1.weight", "1.bias"]
    assert len(list(module.parameters())) == 2
    for own in (module, pickle.loads(pickle.dumps(module))):
        found = own[0](torch.from_numpy(x)).numpy()
        assert (found == (x - net.layers[0].mean) / net.layers[0].scale).all()
    with torch.no_grad():
        np.testing.assert_allclose(module(torch.from_numpy(x)), net.predict(x), atol=1e-5)
