"""Trains both and shows them side by side.

Usage: compare.py quickstart.npz [SEEDS]   of several seeds the first in full, then means over all
"""
import sys

import cmerc

import calibrated
import plain


def scores(path, seed=1):
    """What cmerc.evaluate() says of the calibrated model, and of the plain one."""
    model, batches, class_names = calibrated.train(path, seed)
    unchanged = plain.train(path, seed)[0]
    unchanged = cmerc.Calibrated(unchanged, modalities=["text", "audio", "visual"], losses=[])
    return [cmerc.evaluate(one, batches["test"], valid=batches["valid"], class_names=class_names)
            for one in (model, unchanged)]


def numbers(summary):
    """The measures of a test split by name: as predicted, after temperature scaling, and means over the views."""
    test = summary["test"]
    scaled = [remedy["calibration"] for remedy in test.get("post_hoc", []) if remedy["method"] == "temperature"]
    return {"weighted_f1": test["weighted_f1"], "ece": test["calibration"]["ece"], "nll": test["calibration"]["nll"],
            **{f"{name}, temperature": scaled[0][name] for name in ("ece", "nll") if scaled},
            **cmerc.means_over_views(test)}


if __name__ == "__main__":
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    pairs = [scores(sys.argv[1], seed) for seed in range(1, seeds + 1)]
    print(cmerc.compare(*pairs[0]))
    if seeds > 1:
        print(f"{f'means of {seeds} seeds':<32}calibrated  uncalibrated")
        columns = [[numbers(summary) for summary in column] for column in zip(*pairs)]
        for name in columns[0][0]:
            means = [sum(one[name] for one in column if name in one) / seeds if all(name in one for one in column)
                     else float("nan") for column in columns]
            print(f"{name:<32}{means[0]:10.4f}  {means[1]:12.4f}")
