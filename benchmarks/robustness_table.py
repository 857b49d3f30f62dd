#!/usr/bin/env python3
"""Scores the runs of an experiment with part of the test split's modalities missing, as tables.

Usage: benchmarks/robustness_table.py EXPERIMENT [--missing=0.1,0.3,0.5,0.7] [--seed=1] [--cmerc=cmerc]

EXPERIMENT is the folder of `cmerc experiment --config=config/experiments/robustness.textproto`. Every
run in it (DATASET/VARIANT/seed-N/selected.pth) is scored by `cmerc evaluate --missing`, which writes
missing.json beside its checkpoint; one that is there already is not made again. Prints a Markdown table
for each dataset: weighted F1 and ECE in percent, mean and standard deviation over the seeds. The same
modalities of the same utterances are missing for every model. Start it where the runs were started, since
the paths of the data are relative to there.
"""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys


def score(checkpoint, options):
    """The reports of a run: {share that is missing: (weighted F1, ECE)}; scores them where that is to do."""
    path = os.path.join(os.path.dirname(checkpoint), "missing.json")
    if not os.path.exists(path):
        command = [options.cmerc, "evaluate", "--checkpoint=" + checkpoint, "--missing=" + options.missing,
                   f"--seed={options.seed}", "--output=" + path]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    robustness = report["robustness"]
    rates = [entry["rate"] for entry in robustness["missing"]]
    if str(robustness["seed"]) != str(options.seed) or rates != [float(r) for r in options.missing.split(",")]:
        sys.exit(f"{path}: is of other shares or another seed; remove it, or ask for the same")
    numbers = {0.0: report["scores"]}
    numbers.update({entry["rate"]: entry["scores"] for entry in robustness["missing"]})
    return {rate: (100 * scores["weighted_f1"], 100 * scores["calibration"]["ece"])
            for rate, scores in numbers.items()}


def cell(values):
    if len(values) < 2:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ({statistics.stdev(values):.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("--missing", default="0.1,0.3,0.5,0.7")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cmerc", default="cmerc")
    options = parser.parse_args()
    runs = {}  # dataset -> variant -> the scores of each seed
    for checkpoint in sorted(glob.glob(os.path.join(options.experiment, "*", "*", "seed-*", "selected.pth"))):
        if not os.path.exists(os.path.join(os.path.dirname(checkpoint), "summary.json")):
            print(f"left out, not finished: {os.path.dirname(checkpoint)}", file=sys.stderr)
            continue
        dataset, variant = checkpoint.split(os.sep)[-4:-2]
        runs.setdefault(dataset, {}).setdefault(variant, []).append(score(checkpoint, options))
    if not runs:
        sys.exit(f"{options.experiment}: there is no DATASET/VARIANT/seed-N/selected.pth in it")
    for dataset, variants in runs.items():
        rates = sorted(next(iter(variants.values()))[0])
        for which, name in enumerate(("weighted F1", "ECE")):
            print(f"{dataset}, {name} in percent with this share of the modalities missing:\n")
            print("| variant | seeds | " + " | ".join(f"{100 * rate:.0f} %" for rate in rates) + " |")
            print("| --- " * (len(rates) + 2) + "|")
            for variant, seeds in variants.items():
                cells = [cell([scores[rate][which] for scores in seeds]) for rate in rates]
                print(f"| {variant} | {len(seeds)} | " + " | ".join(cells) + " |")
            print()


if __name__ == "__main__":
    main()
