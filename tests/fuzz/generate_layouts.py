#!/usr/bin/env python3
"""Writes seeds/official_pickles/: pickles of layouts that AUTO does not know. Run as `python3 generate_layouts.py`."""

import os
import pickle

IDS = ["d0", "d1", "d2", "d3"]


def table(entry):
    return {c: [entry(i, u) for u in range(2)] for i, c in enumerate(IDS)}


def row(width):
    return lambda i, u: [0.5 + i + u * k for k in range(width)]


FIELDS = {
    "ids": table(lambda i, u: "%s_%d" % (IDS[i], u)),
    "speakers": table(lambda i, u: "AB"[u]),
    "labels": table(lambda i, u: (i + u) % 3),
    "text": table(row(3)),
    "audio": table(row(2)),
    "sentences": table(lambda i, u: "line %d of %d" % (u, i)),
}


def split(ids):
    return [dict({key: FIELDS[key][c] for key in FIELDS}, vid=c) for c in ids]


def write(name, value, protocol):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeds/official_pickles", name)
    with open(path, "wb") as file:
        pickle.dump(value, file, protocol)


write("tuple8.pkl", tuple(FIELDS.values()) + ({"d0", "d2"}, ["d1", "d3"]), 2)
write("dict.pkl", dict(FIELDS, splits={"train": ["d3", "d0"], "valid": ["d1"], "test": ["d2"]}), 4)
write("splits.pkl", {"train": split(["d1", "d0"]), "dev": split(["d3"]), "test": split(["d2"])}, 3)
write("tables_of_splits.pkl", {
    name: {key: {c: FIELDS[key][c] for c in ids} for key in FIELDS}
    for name, ids in (("train", IDS[:2]), ("test", IDS[2:]))}, 5)
write("modality.pkl", FIELDS["audio"], 4)
