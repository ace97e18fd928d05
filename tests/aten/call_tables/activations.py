"""Activations, softmax and dropout."""

import torch

from call_kit import T, case

X = T(3, 8, lo=-5, hi=5)
S = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e30, -1e30, 0.5, -0.5, 20.5, -3.0, 3.0])
SHARED = (
    "hardswish hardsigmoid silu mish relu6 selu log_sigmoid hardtanh softplus leaky_relu elu celu softshrink hardshrink"
).split()
for x in (X, S, T(2, 3, dt=torch.float64), T(4, dt=torch.float16), T(4, dt=torch.bfloat16), T(), T(0, 3)):
    for op in SHARED:
        case(op, x)
    case("gelu", x if x is not S else S.nan_to_num(0, 9, -9))  # Eager's vectors give NaN at infinity.
    case("gelu", x, approximate="tanh")
    case("softplus", x, 2.0, 1)
    case("softplus", x, 0.5, 20)
    case("elu", x, 1.5, 2.0, 0.7)
    case("celu", x, 2.0)
    case("threshold", x, 0.1, 20.0)
    case("hardtanh", x, -2, 3)
    case("log_sigmoid_forward", x, skip=(1,))
    case("rrelu", x, 0.1, 0.3, False)
    case("prelu", x, T(1).to(x.dtype))
    case("dropout", x, 0.5, False)
    case("native_dropout", x, 0.5, False, skip=() if x.numel() > 0 else (1,))
    case("hardshrink", x, 0.9)
    case("softshrink", x, 1)
I = T(3, 4, dt=torch.int64)
for op in "relu6 hardtanh".split():
    case(op, I)
case("threshold", I, 1, 7)
case("prelu", T(2, 3, 4), T(3))
case("prelu", T(2, 3), T(3))
case("_prelu_kernel", T(2, 3, 4), T(1, 3, 1))
case("glu", T(2, 6))
case("glu", T(4, 3, 2), 0)
for d in (0, 1, -1):
    for op in ("softmax.int", "log_softmax.int", "special_softmax", "special_log_softmax"):
        case(op, T(3, 5), d)
    case("_softmax", T(3, 5), d, False)
    case("_log_softmax", T(3, 5), d, False)
    case("_safe_softmax", T(3, 5), d)
case("softmax.int", T(), 0)
case("softmax.int", T(), -1)
case("log_softmax.int", T(), 0)
case("softmax.int", T(0, 3), 1)
case("softmax.int", I, 1, torch.float32)
case("softmax.int", T(3, 4, dt=torch.float16), 1, torch.float32)
case("softmax.int", T(3, 4, dt=torch.bfloat16), 1)
case("softmax.int", T(2, 3, 4, 5), 1)
x = T(3, 5)
x[1] = -float("inf")
case("_safe_softmax", x, 1)
case("softmax.int", x, 1)
case("_masked_softmax", T(2, 3, 4, 4), T(4, 4, dt=torch.bool), 3, 0)
case("_masked_softmax", T(2, 3, 4, 4), torch.tensor([[0, 0, 1, 1], [0, 0, 0, 1]]).bool(), 3, 1)
case("_masked_softmax", T(2, 3, 4, 4), T(2, 3, 4, 4, dt=torch.bool), 3, 2)
for op in ("feature_dropout", "alpha_dropout", "feature_alpha_dropout"):
    case(op, T(2, 3, 4), 0.3, False)
