#!/usr/bin/env python3
"""Writes the tiny .pkl files beside it: one per official layout, in the ways that NumPy, Python 2 and
Python 3 write them. Needs NumPy >= 2; run as `python3 generate.py`.

Four conversations: 0 and 1 train, 2 valid, 3 test, of 3, 2, 1 and 4 utterances. Entry `column` of
utterance `u` of conversation `c` in modality `m` (text streams 1 to 4, audio 5, visual 6) is
10000 m + 1000 c + 100 u + column; labels count up through the classes.
"""

import io
import os
import pickle

import numpy as np

LENGTHS = [3, 2, 1, 4]
TEXT, AUDIO, VISUAL = 5, 3, 2  # widths


class Python2Pickler(pickle._Pickler):
    """Protocol 2 as Python 2 wrote it: text and array data are byte strings."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_byte_string(self, value):
        data = value.encode("latin1") if isinstance(value, str) else value
        if len(data) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        else:
            self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)
        self.memoize(value)

    dispatch[str] = save_byte_string
    dispatch[bytes] = save_byte_string


def write(name, fields, protocol):
    if protocol == "python2":
        buffer = io.BytesIO()
        Python2Pickler(buffer, 2).dump(fields)
        data = buffer.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")
    else:
        data = pickle.dumps(fields, protocol)
    # Python reads what we wrote.
    pickle.loads(data, encoding="latin1")
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    with open(path, "wb") as file:
        file.write(data)


def matrix(modality, c, width, dtype=np.float32):
    return np.array(
        [[10000 * modality + 1000 * c + 100 * u + k for k in range(width)] for u in range(LENGTHS[c])],
        dtype=dtype,
    )


def rows(*args):
    return list(matrix(*args))


def per_conversation(ids, make):
    return {conversation: make(c) for c, conversation in enumerate(ids)}


def labels(num_classes):
    count = iter(range(sum(LENGTHS)))
    return [[next(count) % num_classes for _ in range(n)] for n in LENGTHS]


def one_hot(c, width):
    return [[int(k == (c + u) % width) for k in range(width)] for u in range(LENGTHS[c])]


def sentences(ids):
    return per_conversation(ids, lambda c: ["caf\u00e9 %d %d" % (c, u) for u in range(LENGTHS[c])])


def utterance_ids(ids):
    return per_conversation(ids, lambda c: ["%s_%d" % (ids[c], u) for u in range(LENGTHS[c])])


def letters(ids):
    return per_conversation(ids, lambda c: ["FM"[(c + u) % 2] for u in range(LENGTHS[c])])


def main():
    texts = ["Ses0", "Ses1", "Ses2", "Ses3"]
    numbers = [10, 2, 33, 4]
    six, seven = labels(6), labels(7)

    # Lists of vectors. The training list has an order of its own: valid, train.
    write("iemocap_features.pkl", (
        utterance_ids(texts), letters(texts), per_conversation(texts, lambda c: six[c]),
        per_conversation(texts, lambda c: rows(1, c, 4)),
        per_conversation(texts, lambda c: rows(5, c, AUDIO)),
        per_conversation(texts, lambda c: rows(6, c, VISUAL, np.float64)),
        sentences(texts), [texts[2], texts[1], texts[0]], [texts[3]]), "python2")

    # A list; the four streams are one object.
    stream = per_conversation(texts, lambda c: rows(1, c, TEXT))
    write("iemocap_roberta.pkl", [
        letters(texts), per_conversation(texts, lambda c: six[c]), stream, stream, stream, stream,
        sentences(texts), [texts[0], texts[1]], [texts[3]], [texts[2]]], 4)

    # Matrices, one of them in Fortran order; one-hot speakers; an unused tenth field.
    write("meld_features.pkl", (
        utterance_ids(numbers), per_conversation(numbers, lambda c: one_hot(c, 9)),
        per_conversation(numbers, lambda c: seven[c]), per_conversation(numbers, lambda c: []),
        per_conversation(numbers, lambda c: matrix(5, c, AUDIO, np.float64)),
        per_conversation(numbers, lambda c: np.asfortranarray(matrix(6, c, VISUAL))),
        sentences(numbers), [10, 2, 33], [4], {}), 3)

    # Sets of ids, four streams that differ, sentiment labels beside the emotions.
    write("meld_roberta.pkl", [
        per_conversation(numbers, lambda c: one_hot(c, 9)),
        per_conversation(numbers, lambda c: seven[c]),
        per_conversation(numbers, lambda c: [0] * LENGTHS[c]),
        *[per_conversation(numbers, lambda c, s=s: matrix(s, c, TEXT)) for s in (1, 2, 3, 4)],
        sentences(numbers), {10, 2}, {4}, {33}], "python2")

    # NumPy scalars as labels, arrays as one-hot rows and id lists.
    write("emorynlp_roberta.pkl", (
        per_conversation(texts, lambda c: np.array(one_hot(c, 9), dtype=np.float64)),
        per_conversation(texts, lambda c: [np.int64(label) for label in seven[c]]),
        *[per_conversation(texts, lambda c, s=s: matrix(s, c, TEXT, ">f4")) for s in (1, 2, 3, 4)],
        sentences(texts), np.array(texts[:2]), np.array([texts[3]], dtype=object),
        np.array([texts[2]])), 5)

    # Speakers '0' and '1', frozen sets of numbers.
    write("dailydialog_roberta.pkl", (
        per_conversation(numbers, lambda c: ["01"[(c + u) % 2] for u in range(LENGTHS[c])]),
        per_conversation(numbers, lambda c: np.array(seven[c])),
        *[per_conversation(numbers, lambda c, s=s: matrix(s, c, TEXT).tolist()) for s in (1, 2, 3, 4)],
        sentences(numbers), frozenset([10, 2]), [np.int32(4)], np.array([33])), 4)

    # SDT: everything in one file, no validation ids.
    for name, ids, label, speakers, more in (
            ("sdt_iemocap.pkl", texts, six, letters(texts), ()),
            ("sdt_meld.pkl", numbers, seven, per_conversation(numbers, lambda c: one_hot(c, 9)), (None,))):
        write(name, (
            utterance_ids(ids), speakers, per_conversation(ids, lambda c, label=label: label[c]),
            *[per_conversation(ids, lambda c, s=s: rows(s, c, TEXT)) for s in (1, 2, 3, 4)],
            per_conversation(ids, lambda c: rows(5, c, AUDIO)),
            per_conversation(ids, lambda c: rows(6, c, VISUAL)),
            sentences(ids), ids[:3], ids[3:]) + more, 4)


if __name__ == "__main__":
    main()
