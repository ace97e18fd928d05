"""Tables of vectors."""

import torch

from call_kit import C, T, case

ix = lambda *s: torch.randint(0, 9, s)
case("embedding", T(9, 5), ix(3, 4))
case("embedding", C(T(9, 5)), ix(3).int(), 0)
case("embedding", T(9, 5), ix(2, 3, 4))
case("embedding", T(9, 5), torch.tensor(3))
case("one_hot", ix(3, 4), 9)
case("one_hot", ix(2, 3, 1), 10)
for mode in range(3):
    for off in (torch.tensor([0, 3, 5]), torch.tensor([0, 3, 3, 8]), torch.tensor([0, 4]), torch.tensor([0])):
        for cc in (False, True):
            for pad in (-1, 2):
                case(
                    "_embedding_bag",
                    T(9, 5),
                    ix(8),
                    C(off) if cc else off,
                    False,
                    mode,
                    False,
                    None,
                    False,
                    pad,
                    skip=(1, 2, 3),
                )
                if mode == 0:
                    case(
                        "_embedding_bag",
                        T(9, 5),
                        ix(8),
                        C(off) if cc else off,
                        False,
                        mode,
                        False,
                        T(8),
                        False,
                        pad,
                        skip=(1, 2, 3),
                    )
    case("embedding_bag", T(9, 5), ix(8), torch.tensor([0, 3, 5]), False, mode, False, None, False, skip=(1, 2, 3))
    case(
        "embedding_bag.padding_idx",
        T(9, 5),
        ix(8),
        torch.tensor([0, 3, 8]),
        False,
        mode,
        False,
        None,
        True,
        1,
        skip=(1, 2, 3),
    )
    case(
        "_embedding_bag_forward_only",
        T(9, 5),
        ix(8),
        torch.tensor([0, 3, 8]),
        False,
        mode,
        False,
        None,
        True,
        -1,
        skip=(1, 2, 3),
    )
