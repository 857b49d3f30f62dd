"""Writes one pickle of everything for each protocol of the Python and NumPy that run it.

The committed files: python2.7 with numpy 1.16, python3 with numpy 1.26, python3 with numpy 2:
    cd tests/storage/pickle/data && python2.7 generate.py && python3 generate.py
"""

import collections
import sys

import numpy as np

if sys.version_info[0] == 2:
    import cPickle as pickle
else:
    import pickle

DTYPES = ["?", "|i1", "<i2", "<i4", "<i8", "|u1", "<u8", "<f2", "<f4", "<f8", ">i4", ">u2", ">f4", ">f8"]


def arrays_of(dtype):
    """0 to 5, halved for floats, odd or even for bool."""
    numbers = np.arange(6).reshape(2, 3)
    if "f" in dtype:
        numbers = numbers / 2.0
    if dtype == "?":
        numbers = numbers % 2
    c_order = np.ascontiguousarray(numbers).astype(dtype)
    return {
        "c": c_order,
        "fortran": np.asfortranarray(c_order),
        "scalar": c_order[1, 0],
        "0d": np.array(c_order[1, 0], dtype=dtype),
        "empty": np.zeros((0, 3), dtype=dtype),
    }


def sample(protocol):
    shared = [1.25]
    cycle = [7]
    cycle.append(cycle)
    result = {
        "none": None,
        "bools": [True, False],
        "ints": [0, 1, -1, 255, 256, 65535, 65536, -(2**31), 2**31, 2**62, -(2**63)],
        "floats": [0.5, -2.0, 1e-300, 1e300, float("inf"), float("nan")],
        "text": u"caf\xe9 \u2603 \U0001f600 \\u0041\n",
        "bytes": b"\x00\xff\n'\"\\",
        "bytearray": bytearray(b"\x01\xfe"),
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        "set": set(["a", "b"]),
        "frozenset": frozenset([3]),
        "empty_set": set(),
        "ordered": collections.OrderedDict([("z", 1), ("a", 2)]),
        "default": collections.defaultdict(list, {"k": [1]}),
        "keys": {1: "int", 2.5: "float", "s": "str", ("d", 3): "tuple", None: "none"},
        "many": dict((i, str(i)) for i in range(40)),
        "shared": [shared, shared],
        "cycle": cycle,
        "objects": np.array([["a", None], ["b", 3]], dtype=object),
        "words_o": np.array(["yes", "no"], dtype=object),
        "words_u": np.array([u"yes", u"n\xf6"]),
        "words_s": np.array([b"yes", b"no"]),
        "str_scalar": np.array([u"n\xf6"])[0],
        "cube": np.asfortranarray(np.arange(24, dtype="<f4").reshape(2, 3, 4)),
        "bytes_array": np.arange(256, dtype=np.uint8),
        "dtype": np.dtype("<f4"),
        "arrays": dict((dtype, arrays_of(dtype)) for dtype in DTYPES),
    }
    if protocol >= 2:
        result["big"] = [2**64, -(2**100)]
    return result


def main():
    # NumPy 2 differs from 1 in its module names only.
    first = 2 if np.__version__[0] == "2" else 0
    for protocol in range(first, min(5, pickle.HIGHEST_PROTOCOL) + 1):
        name = "py%d_numpy%s_p%d.pkl" % (sys.version_info[0], np.__version__[0], protocol)
        with open(name, "wb") as out:
            pickle.dump(sample(protocol), out, protocol)


if __name__ == "__main__":
    main()
