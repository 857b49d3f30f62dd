"""Writes a pickle of objects that are no plain data, of the libraries that run it.

The committed files, with python3.11: numpy 1.24 and pandas 1.5, numpy 1.26 and pandas 2.2, numpy 2.4 and
pandas 3.1; protocol 2 with the second, 4 with the others:
    cd tests/storage/pickle/data && python3 generate_objects.py
"""

import collections
import datetime
import decimal
import enum
import pathlib
import pickle
import uuid

import numpy as np
import pandas as pd

Point = collections.namedtuple("Point", "x y z")


class Color(enum.Enum):
    RED = 1


class Record:
    def __init__(self):
        self.value = 1


class Words(list):
    pass


class Table(dict):
    pass


class Name(str):
    pass


def sample():
    matrix = np.arange(6, dtype="f4").reshape(2, 3)
    began = iter([7, 8, 9])
    next(began)
    words = Words(["a", "b"])
    words.source = "attribute"
    return {
        # What is plain data in disguise.
        "matrix": np.matrix(matrix),
        "unmasked": np.ma.masked_array(np.asfortranarray(matrix), mask=False),
        "memmap_like": matrix.view(np.memmap),
        "permuted": np.arange(24, dtype="f4").reshape(2, 3, 4).transpose(1, 0, 2),
        "objects": matrix.astype(object),
        "range": range(2, 9, 3),
        "down": range(5, 0, -2),
        "iterator": began,
        "deque": collections.deque([1, 2], 5),
        "counter": collections.Counter("aab"),
        "user_dict": collections.UserDict(a=1),
        "user_list": collections.UserList([1, 2]),
        "namedtuple": Point(1, 2, 3),
        "words": words,
        "table": Table(a=1),
        "name": Name("Ann"),
        "frame": pd.DataFrame(matrix),
        "frame_of_types": pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [3, 4]}),
        "frame_of_ints": pd.DataFrame({"a": np.array([1, 2], "i4"), "b": np.array([3, 4], "i8")}),
        "frame_of_texts": pd.DataFrame({"a": ["p", "q"], "b": ["x", "y"]}, dtype=object),
        "frame_slice": pd.DataFrame(np.arange(20.0).reshape(4, 5)).iloc[1:3, ::2],
        "series": pd.Series([3, 1, 2]),
        "series_slice": pd.Series(range(10))[2:8:2],
        "series_of_texts": pd.Series(["x", "y"]),
        "series_of_objects": pd.Series([1, None, "a"], dtype=object),
        "series_of_categories": pd.Series(["x", "y", "x"]).astype("category"),
        "series_nullable": pd.Series([1, 2], dtype="Int64"),
        "series_string": pd.Series(["a", "b"], dtype="string"),
        "index": pd.Index([3, 1]),
        "index_of_texts": pd.Index(["a", "b", "c", "d"])[::2],
        "range_index": pd.RangeIndex(4),
        "categorical": pd.Categorical(["b", None, "a"]),
        # What has no plain value.
        "masked": np.ma.masked_array(matrix, mask=matrix > 3),
        "complex": matrix.astype("c8"),
        "dates": np.array(["2020-01-01"], dtype="M8[D]"),
        "date_scalar": np.datetime64("2020-01-01"),
        "structured": np.zeros(2, dtype=[("x", "f4"), ("y", "O")]),
        "series_with_missing": pd.Series([1, None], dtype="Int64"),
        "series_of_dates": pd.Series(pd.to_datetime(["2020-01-01"])),
        "frame_mixed": pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        "multi_index": pd.MultiIndex.from_tuples([(1, 2)]),
        "timestamp": pd.Timestamp("2020-01-01"),
        "enum": Color.RED,
        "record": Record(),
        "decimal": decimal.Decimal("1.5"),
        "date": datetime.date(2020, 1, 1),
        "path": pathlib.PurePosixPath("/a/b"),
        "huge_range": range(10**12),
        "odd_keys": {uuid.UUID(int=1): 1, Color.RED: 2, frozenset([3]): 3, 10**30: 4, int: 5},
        "function": np.mean,
        "generator": np.random.RandomState,
    }


def main():
    major = pd.__version__.split(".")[0]
    protocol = 2 if major == "2" else 4
    with open("objects/numpy%s_pandas%s_p%d.pkl" % (np.__version__[0], major, protocol), "wb") as out:
        pickle.dump(sample(), out, protocol)


if __name__ == "__main__":
    main()
