"""Seeded weights that come out bit for bit the same on every machine and with every numpy.

A tensor is described by (seed, distribution, shape). Every element is made from one 64-bit word of
splitmix64 with integer arithmetic only; one multiplication and one addition in double precision and one
rounding to float32 follow. No library's random generator or math function takes part, so that files,
goldens and checksums never depend on a version or on a CPU, and a C++ test can rebuild the same numbers:

    word(i)    = splitmix64 of the state  seed + (i + 1) * 0x9E3779B97F4A7C15   (mod 2**64)
    normal     s = sum of the word's four 16-bit parts - 131070   (an integer, Irwin-Hall of order 4)
               value = float32(mean + std * (s * NORMAL_UNIT))
    centred    as normal, with the mean of s over each row (all axes but the first) taken away exactly:
               value = float32(mean + std * ((n * s - sum(s)) * (NORMAL_UNIT / n)))
    uniform    value = float32(low + (high - low) * ((word >> 11) * 2**-53))

The "normal" has standard deviation 1, no value beyond 3.47 and 2**18 distinct values: plenty for weights.
"""

import numpy as np

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_CHUNK = 1 << 18  # words made at once, so that the temporaries stay in the L2 cache

# 1 / standard deviation of the sum of four integers that are uniform on 0..65535 (variance (2**32 - 1) / 3).
NORMAL_UNIT = 1.0 / 37837.22686055164


def tensor_seed(seed, name):
    """The seed of the tensor `name` in a model made with `seed`: word 0 of FNV-1a(name) ^ seed * golden."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & _MASK
    return int(_words(h ^ (seed * _GOLDEN & _MASK), 0, 1)[0])


def _words(seed, start, count):
    """Words start .. start+count of the splitmix64 stream of `seed`."""
    first = (seed + (start + 1) * _GOLDEN) & _MASK
    z = np.arange(count, dtype=np.uint64)
    z *= np.uint64(_GOLDEN)
    z += np.uint64(first)
    t = z >> np.uint64(30)
    z ^= t
    z *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(z, np.uint64(27), out=t)
    z ^= t
    z *= np.uint64(0x94D049BB133111EB)
    np.right_shift(z, np.uint64(31), out=t)
    z ^= t
    return z


def _sums(seed, start, count):
    """int64: the zero-mean sums of four 16-bit parts."""
    parts = _words(seed, start, count).view(np.uint16).reshape(count, 4)
    s = parts[:, 0].astype(np.int64)
    for k in range(1, 4):
        s += parts[:, k]
    s -= 131070
    return s


def _chunks(total):
    for start in range(0, total, _CHUNK):
        yield start, min(_CHUNK, total - start)


def normal(seed, shape, mean=0.0, std=1.0):
    """float32 array of normal-like numbers."""
    out = np.empty(int(np.prod(shape, dtype=np.int64)), np.float32)
    for start, count in _chunks(out.size):
        out[start:start + count] = mean + std * (_sums(seed, start, count) * NORMAL_UNIT)
    return out.reshape(shape)


def centred(seed, shape, mean=0.0, std=1.0):
    """Like normal, but every row (index of the first axis) has exactly the mean `mean` before rounding.

    A filter with mean zero ignores a constant offset of its input. Deep random ReLU networks need this:
    otherwise the offsets win, and all inputs give nearly the same output.
    """
    n = int(np.prod(shape[1:], dtype=np.int64))
    s = _sums(seed, 0, int(np.prod(shape, dtype=np.int64))).reshape(shape[0], n)
    s = n * s - s.sum(axis=1, keepdims=True)
    return (mean + std * (s * (NORMAL_UNIT / n))).astype(np.float32).reshape(shape)


def uniform(seed, shape, low=0.0, high=1.0):
    """float32 array of numbers spread evenly over [low, high)."""
    out = np.empty(int(np.prod(shape, dtype=np.int64)), np.float32)
    for start, count in _chunks(out.size):
        u = (_words(seed, start, count) >> np.uint64(11)).astype(np.float64) * 2.0 ** -53
        out[start:start + count] = low + (high - low) * u
    return out.reshape(shape)


def integers(seed, shape, low, high, dtype=np.int64):
    """Integers in [low, high): for token ids and the like."""
    count = int(np.prod(shape, dtype=np.int64))
    words = _words(seed, 0, count) >> np.uint64(32)
    return (low + (words * np.uint64(high - low) >> np.uint64(32)).astype(np.int64)).astype(dtype).reshape(shape)
