"""Linear layers and products of matrices."""

import torch

from call_kit import C, T, case

for w in (T(5, 7), C(T(5, 7))):
    for s in ((3, 7), (7,), (2, 3, 7), (0, 7), (2, 1, 3, 7)):
        case("linear", T(*s), w, T(5))
        case("linear", T(*s), w)
case("linear", T(3, 7), T(7))
case("linear", T(3, 7, dt=torch.float16), T(5, 7, dt=torch.float16), T(5, dt=torch.float16))
case("linear", T(3, 7, dt=torch.int64), T(5, 7, dt=torch.int64), T(5, dt=torch.int64))
case("linear", T(3, 2, 7, dt=torch.float64), T(5, 7, dt=torch.float64), T(5, dt=torch.float64))
for a, b in (
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((2, 1, 4, 3), (5, 3, 2)),
    ((2, 0), (0, 3)),
    ((0, 3), (3, 2)),
    ((2, 5, 1, 3), (5, 3, 1)),
):
    case("matmul", T(*a), T(*b))
    case("matmul", T(*a, dt=torch.int64), T(*b, dt=torch.int64))
    case("linalg_matmul", T(*a), T(*b))
case("mm", T(2, 3), T(3, 4))
case("mm", T(2, 3, dt=torch.int32), T(3, 4, dt=torch.int32))
case("bmm", T(5, 2, 3), T(5, 3, 4))
case("mv", T(2, 3), T(3))
case("dot", T(4), T(4))
case("dot", T(4, dt=torch.int64), T(4, dt=torch.int64))
case("vdot", T(4), T(4))
case("dot", T(0), T(0))
case("_int_mm", T(32, 32, dt=torch.int8), T(32, 32, dt=torch.int8))
for s in ((4,), (2, 4), (1, 4), (2, 1), (1,), ()):
    case("addmm", T(*s), T(2, 3), T(3, 4))
    case("addmm", T(*s), T(2, 3), T(3, 4), beta=0.5, alpha=2)
    case("addmm", T(*s, dt=torch.int64), T(2, 3, dt=torch.int64), T(3, 4, dt=torch.int64), beta=2, alpha=3)
n = T(4)
n[0] = float("nan")
case("addmm", n, T(2, 3), T(3, 4), beta=0)
case("addmm", C(T(4)), T(2, 3), C(T(3, 4)))
case("addmm", T(4, dt=torch.float16), T(2, 3, dt=torch.float16), T(3, 4, dt=torch.float16))
case("addmv", T(2), T(2, 3), T(3))
case("addmv", T(2), T(2, 3), T(3), beta=2.0, alpha=0.5)
case("baddbmm", T(5, 2, 4), T(5, 2, 3), T(5, 3, 4))
case("baddbmm", T(2, 4), T(5, 2, 3), T(5, 3, 4), beta=3, alpha=0.5)
case("baddbmm", T(1), T(5, 2, 3), T(5, 3, 4), beta=0)
case("addbmm", T(2, 4), T(5, 2, 3), T(5, 3, 4), beta=0.3, alpha=2.0)
case("addr", T(2, 3), T(2), T(3))
case("addr", T(3), T(2), T(3), beta=2, alpha=0.5)
case("addr", T(2, 3, dt=torch.int64), T(2, dt=torch.int64), T(3, dt=torch.int64), beta=2)
case("outer", T(2), T(3))
case("outer", T(2, dt=torch.int64), T(3))
case("ger", T(2), T(3))
case("inner", T(3), T(3))
case("inner", T(2, 3), T(3))
case("inner", T(2, 3), T(4, 3))
case("inner", T(2, 5, 3), T(4, 3))
case("inner", T(), T(4, 3))
case("inner", T(3), T(4, 3))
case("tensordot", T(2, 3, 4), T(4, 3, 5), [1, 2], [1, 0])
case("tensordot", T(2, 3), T(4, 5), [], [])
case("tensordot", T(2, 3), T(2, 3), [0, 1], [0, 1])
case("tensordot", T(3, 1), T(4, 5), [1], [0])
case("chain_matmul", [T(2, 3), T(3, 4), T(4, 5)])
case("linalg_multi_dot", [T(2, 3), T(3, 4), T(4)])
case("linalg_multi_dot", [T(3), T(3, 4), T(4, 2)])
case("linalg_multi_dot", [T(3), T(3, 4), T(4)])
case("bilinear", T(6, 4), T(6, 5), T(3, 4, 5), T(3))
case("bilinear", T(2, 3, 4), T(2, 3, 5), T(3, 4, 5))
case("kron", T(2, 3), T(4, 2))
case("kron", T(3), T(2, 2))
case("kron", T(2, 2, dt=torch.int64), T(3))
case("_addmm_activation", T(4), T(2, 3), T(3, 4))
case("_addmm_activation", T(4), T(2, 3), T(3, 4), use_gelu=True)
