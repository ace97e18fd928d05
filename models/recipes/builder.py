"""A small graph builder: writes ONNX nodes for a chosen opset, with seeded and well-scaled weights.

Recipes say what the network is; this module knows how each opset spells an operator, draws the weights and
keeps track of two things about every activation: its static shape (without the batch) and its variance,
so that each layer's weights can be scaled to give an output variance of 1.
"""

import math

import numpy as np
import onnx
from onnx import TensorProto, helper

import seeded

# The ONNX release that brought an opset fixes the oldest IR version that may carry it.
_IR_VERSION = {7: 3, 8: 3, 9: 4, 10: 5, 11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9,
               21: 10, 22: 10, 23: 11, 24: 12, 25: 13, 26: 13, 27: 13}
_DTYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}

# ReLU of a standard normal variable has this variance, 1/2 - 1/(2 pi), and this mean, 1/sqrt(2 pi).
RELU_VARIANCE = 0.3408
RELU_MEAN = 0.3989


class RecipeError(ValueError):
    """Arguments that a recipe cannot honour; the message is for the user."""


def positive(kind, least=None):
    """An argparse type: an int or a float above zero, and at least `least`."""
    def parse(text):
        value = kind(text)
        if not 0 < value < 1 << 20 or (least is not None and value < least):
            raise ValueError(text)
        return value
    parse.__name__ = f"{kind.__name__} of at least {least}" if least else f"positive {kind.__name__}"
    return parse


class GraphBuilder:
    """Collects nodes and initializers of one graph and writes the model."""

    def __init__(self, name, opset, seed):
        if opset not in _IR_VERSION:
            raise RecipeError(f"opset {opset} is not known here: choose 7 to {max(_IR_VERSION)}")
        self.name, self.opset, self.seed = name, opset, seed
        self.nodes, self.inputs, self.outputs = [], [], []
        self.initializers = {}
        self.variance = {}   # activation name -> variance that the weights aim at
        self.offset = {}     # depthwise convolution's output -> mean of each channel
        self.spatial = {}    # activation name -> (channels, height, width)

    # --- graph edges -------------------------------------------------------------------------------------

    def input(self, name, shape, dtype="float32"):
        """A graph input; string dimensions are symbolic."""
        self.inputs.append(helper.make_tensor_value_info(name, _DTYPES[dtype], list(shape)))
        self.variance[name] = 1.0
        if len(shape) == 4:
            self.spatial[name] = tuple(shape[1:])
        return name

    def output(self, value, name, shape, dtype="float32"):
        """Makes `value` the graph output `name` (the node that makes it is renamed)."""
        for node in self.nodes:
            for names in (node.input, node.output):
                for i, n in enumerate(names):
                    if n == value:
                        names[i] = name
        self.outputs.append(helper.make_tensor_value_info(name, _DTYPES[dtype], list(shape)))
        return name

    # --- weights and constants ---------------------------------------------------------------------------

    def constant(self, name, array):
        """A named initializer with the given values; equal names must mean equal values."""
        array = np.asarray(array)
        if name in self.initializers:
            assert np.array_equal(self.initializers[name], array), name
        self.initializers[name] = array
        return name

    def ints(self, *values):
        """An int64 vector, named after its values so that equal ones are shared."""
        return self.constant("const_i64_" + "_".join(str(v) for v in values), np.array(values, np.int64))

    def scalar(self, name, value):
        """A float scalar."""
        return self.constant("const_" + name, np.array(value, np.float32))

    def weight(self, name, shape, std, centred=False):
        """Normal weights; `centred` takes the mean out of every row."""
        draw = seeded.centred if centred else seeded.normal
        return self.constant(name, draw(seeded.tensor_seed(self.seed, name), shape, std=std))

    def spread(self, name, shape, low, high):
        """Weights spread evenly over [low, high)."""
        return self.constant(name, seeded.uniform(seeded.tensor_seed(self.seed, name), shape, low, high))

    # --- nodes -------------------------------------------------------------------------------------------

    def node(self, op, inputs, name, outputs=1, **attributes):
        """Adds a node named `name`; returns its output name, or the list of them when there are several."""
        names = [name + "_out"] if outputs == 1 else [f"{name}_out{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=name, **attributes))
        return names[0] if outputs == 1 else names

    def _axes(self, op, x, axes, name, from_opset, **attributes):
        """An operator whose axes became an input in `from_opset`."""
        if self.opset >= from_opset:
            return self.node(op, [x, self.ints(*axes)], name, **attributes)
        return self.node(op, [x], name, axes=list(axes), **attributes)

    def unsqueeze(self, x, axes, name):
        """Unsqueeze in the opset's spelling."""
        return self._axes("Unsqueeze", x, axes, name, 13)

    def squeeze(self, x, axes, name):
        """Squeeze in the opset's spelling."""
        return self._axes("Squeeze", x, axes, name, 13)

    def reduce_mean(self, x, axes, name):
        """ReduceMean over axes, kept as ones."""
        return self._axes("ReduceMean", x, axes, name, 18, keepdims=1)

    def split(self, x, sizes, axis, name):
        """Split into parts of the given sizes; returns the list of parts."""
        if len(sizes) == 1:
            return [x]
        if self.opset >= 13:
            return self.node("Split", [x, self.ints(*sizes)], name, outputs=len(sizes), axis=axis)
        return self.node("Split", [x], name, outputs=len(sizes), axis=axis, split=list(sizes))

    def cast(self, x, dtype, name):
        """Cast to float32 or int64."""
        return self.node("Cast", [x], name, to=_DTYPES[dtype])

    def add(self, a, b, name):
        """Elementwise sum; the variances add."""
        y = self.node("Add", [a, b], name)
        self.variance[y] = self.variance.get(a, 0.0) + self.variance.get(b, 0.0)
        if a in self.spatial:
            self.spatial[y] = self.spatial[a]
        return y

    def conv(self, x, channels, kernel, name, stride=1, groups=1):
        """Convolution without bias, padded by kernel // 2, scaled to an output variance of 1."""
        c, h, w = self.spatial[x]
        pad = kernel // 2
        oh, ow = (h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1
        taps = _taps(h, oh, kernel, stride, pad) * _taps(w, ow, kernel, stride, pad)  # average, edges included
        std = 1.0 / math.sqrt(c // groups * taps * self.variance[x])
        shape = (channels, c // groups, kernel, kernel)
        # One 3x3 plane per filter is too little to give its mean away: neighbouring pixels are alike.
        centred = c // groups > 1
        weight = self.weight(name + ".weight", shape, std, centred)
        y = self.node("Conv", [x, weight], name, kernel_shape=[kernel, kernel], strides=[stride, stride],
                      pads=[pad] * 4, dilations=[1, 1], group=groups)
        self.variance[y], self.spatial[y] = 1.0, (channels, oh, ow)
        if not centred:  # it comes after a ReLU, whose mean reaches the output times the sum of the taps
            taps = self.initializers[weight].reshape(channels, -1).astype(np.float64)
            total = sum(taps[:, k] for k in range(taps.shape[1]))  # in a fixed order: equal bits everywhere
            self.offset[y] = total * (RELU_MEAN * math.sqrt(self.variance[x] / RELU_VARIANCE))
        return y

    def batch_norm(self, x, name, scale=1.0):
        """BatchNormalization with running statistics off 0 and 1; the output's variance is scale**2."""
        c = self.spatial[x][0]
        s = 0.98 * scale  # makes up for the spread of gamma and of the running variance
        mean = self.weight(name + ".running_mean", (c,), 0.1)
        if x in self.offset:
            self.initializers[mean] = (self.initializers[mean] + self.offset[x]).astype(np.float32)
        params = [self.spread(name + ".weight", (c,), 0.75 * s, 1.25 * s),
                  self.weight(name + ".bias", (c,), 0.1 * scale),
                  mean,
                  self.spread(name + ".running_var", (c,), 0.75, 1.35)]
        y = self.node("BatchNormalization", [x] + params, name, epsilon=1e-5, momentum=0.9)
        self.variance[y], self.spatial[y] = scale * scale, self.spatial[x]
        return y

    def relu(self, x, name, factor=RELU_VARIANCE):
        """ReLU; `factor` is what it leaves of the variance."""
        return self._keep(x, self.node("Relu", [x], name), factor)

    def relu6(self, x, name):
        """ReLU6 as Clip; the bounds are attributes before opset 11 and inputs from then on."""
        if self.opset >= 11:
            y = self.node("Clip", [x, self.scalar("0", 0.0), self.scalar("6", 6.0)], name)
        else:
            y = self.node("Clip", [x], name, min=0.0, max=6.0)
        return self._keep(x, y, RELU_VARIANCE)

    def max_pool(self, x, kernel, stride, pad, name):
        """Max pooling."""
        c, h, w = self.spatial[x]
        y = self.node("MaxPool", [x], name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)
        self.variance[y] = self.variance[x]
        self.spatial[y] = (c, (h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1)
        return y

    def classifier(self, x, classes, name, std_in):
        """Global average pooling, flatten and a dense layer; `std_in` is the spread of the pooled features."""
        c = self.spatial[x][0]
        pooled = self.node("GlobalAveragePool", [x], name + "_pool")
        flat = self.node("Flatten", [pooled], name + "_flatten", axis=1)
        weight = self.weight(name + ".weight", (classes, c), 1.0 / (std_in * math.sqrt(c)), centred=True)
        bias = self.weight(name + ".bias", (classes,), 0.1)
        return self.node("Gemm", [flat, weight, bias], name, transB=1)

    def dense(self, x, n_in, n_out, name, gain=1.0):
        """MatMul and Add over the last axis; weights are [in, out] with standard deviation gain / sqrt(in)."""
        weight = self.weight(name + ".weight", (n_in, n_out), gain / math.sqrt(n_in))
        bias = self.weight(name + ".bias", (n_out,), 0.1)
        return self.node("Add", [self.node("MatMul", [x, weight], name + "_matmul"), bias], name)

    def layer_norm(self, x, width, name, rank=3, epsilon=1e-12):
        """LayerNormalization over the last axis: one node from opset 17 on, spelt out before."""
        gamma = self.spread(name + ".weight", (width,), 0.75, 1.25)
        beta = self.weight(name + ".bias", (width,), 0.1)
        if self.opset >= 17:
            return self.node("LayerNormalization", [x, gamma, beta], name, axis=-1, epsilon=epsilon)
        mean = self.reduce_mean(x, [rank - 1], name + "_mean")
        centre = self.node("Sub", [x, mean], name + "_centre")
        square = self.node("Pow", [centre, self.scalar("2", 2.0)], name + "_square")
        variance = self.reduce_mean(square, [rank - 1], name + "_variance")
        guarded = self.node("Add", [variance, self.scalar(f"{epsilon:g}", epsilon)], name + "_guard")
        root = self.node("Sqrt", [guarded], name + "_root")
        unit = self.node("Div", [centre, root], name + "_unit")
        return self.node("Add", [self.node("Mul", [unit, gamma], name + "_scale"), beta], name)

    def gelu(self, x, name):
        """GELU with erf: one node from opset 20 on, spelt out before (Erf is new in opset 9)."""
        if self.opset >= 20:
            return self.node("Gelu", [x], name)
        if self.opset < 9:
            raise RecipeError(f"{self.name} needs Erf, which came with opset 9")
        scaled = self.node("Div", [x, self.scalar("sqrt2", math.sqrt(2.0))], name + "_scaled")
        erf = self.node("Erf", [scaled], name + "_erf")
        gate = self.node("Add", [erf, self.scalar("1", 1.0)], name + "_gate")
        product = self.node("Mul", [x, gate], name + "_product")
        return self.node("Mul", [product, self.scalar("half", 0.5)], name)

    def _keep(self, x, y, factor):
        self.variance[y] = self.variance[x] * factor
        self.spatial[y] = self.spatial[x]
        return y

    # --- the model ---------------------------------------------------------------------------------------

    def model(self):
        """The finished ModelProto."""
        tensors = [_tensor(name, array) for name, array in self.initializers.items()]
        inputs = list(self.inputs)
        ir_version = _IR_VERSION[self.opset]
        if ir_version < 4:  # there, every initializer is a graph input with a default value
            inputs += [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in tensors]
        graph = helper.make_graph(self.nodes, self.name, inputs, self.outputs, initializer=tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=ir_version,
                                 producer_name="floe-recipes", producer_version="1")


def _tensor(name, array):
    """A TensorProto with raw little-endian data."""
    dtype = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}[array.dtype]
    return TensorProto(name=name, dims=array.shape, data_type=dtype,
                       raw_data=np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())


def _taps(size, out, kernel, stride, pad):
    """The average number of filter taps along one axis that fall inside the image."""
    inside = sum(0 <= o * stride + k - pad < size for o in range(out) for k in range(kernel))
    return inside / out


def check(model):
    """ONNX's own checker with shape inference, for models below protobuf's limit of 2 GiB."""
    onnx.checker.check_model(model, full_check=True)
