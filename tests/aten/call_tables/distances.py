"""Distances and similarities."""

import torch

from call_kit import T, case

A, B = T(4, 5), T(4, 5)
for d in (0, 1, -1):
    case("cosine_similarity", A, B, d)
    case("cosine_similarity", A, T(5), d)
case("cosine_similarity", T(2, 3, 5), T(3, 5), 2)
case("cosine_similarity", torch.zeros(2, 3), T(2, 3))
case("cosine_similarity", T(2, 3, dt=torch.float64), T(2, 3), 1)
for p in (1.0, 2.0, 0.0, 3.0, float("inf")):
    case("pairwise_distance", A, B, p)
    case("pairwise_distance", A, B, p, 1e-6, True)
    case("cdist", T(2, 3, 4), T(2, 5, 4), p)
    case("cdist", T(3, 4), T(5, 4), p, None)
    case("cdist", T(1, 3, 4), T(6, 5, 4), p)
    case("_cdist_forward", T(3, 4), T(5, 4), p, 2)
    case("pdist", A, p)
    case("_pdist_forward", A, p)
case("cdist", T(3, 0), T(4, 0))
case("pdist", T(1, 3))
case("cdist", T(30, 4), T(28, 4), 2.0)
