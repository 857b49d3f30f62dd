"""Trains both and shows them side by side.

Usage: compare.py quickstart.npz
"""
import sys

import cmerc

import calibrated
import plain


def scores(path):
    """What cmerc.evaluate() says of the calibrated model, and of the plain one."""
    model, batches, class_names = calibrated.train(path)
    unchanged = plain.train(path)[0]
    unchanged = cmerc.Calibrated(unchanged, modalities=["text", "audio", "visual"], losses=[])
    return [cmerc.evaluate(one, batches["test"], valid=batches["valid"], class_names=class_names)
            for one in (model, unchanged)]


if __name__ == "__main__":
    print(cmerc.compare(*scores(sys.argv[1])))
