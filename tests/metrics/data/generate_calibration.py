#!/usr/bin/env python3
"""Writes calibration_golden.h beside it, and prints how other tools differ from our definitions.

Needs NumPy, SciPy, scikit-learn 1.7 or later, PyTorch, torchmetrics and netcal; run as
`python3 generate_calibration.py`. The golden numbers come from straightforward NumPy by the
definitions in metrics/calibration.h, and from SciPy's optimizers (temperatures, vector scaling);
the other tools only go into the table.
"""

import os

import numpy as np
import scipy.optimize
import sklearn.calibration
import sklearn.metrics
import torch
import torchmetrics.functional.classification as tm
from netcal.metrics import ACE, ECE, MCE
from netcal.scaling import TemperatureScaling

FOLDER = os.path.dirname(os.path.abspath(__file__))
BINS = 15


def log_softmax(x):
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def draw(seed, n, counts, sharpness, skill):
    """Log-probabilities (float32 values) of a model that is surer than it should be."""
    random = np.random.RandomState(seed)
    share = np.array(counts) / np.sum(counts)
    labels = random.choice(len(counts), size=n, p=share)
    logits = random.randn(n, len(counts)) + np.log(share)
    logits[np.arange(n), labels] += skill
    return log_softmax(sharpness * logits).astype(np.float32), labels


# ---- Our definitions, once more and without regard to speed. ----


def bin_gaps(p, y, edges_closed_right=True, bins=BINS):
    """[(count, mean y, mean p)] of bins (k/bins, (k+1)/bins]; 0 is in the first."""
    found = []
    for k in range(bins):
        if edges_closed_right:
            inside = (p > k / bins) & (p <= (k + 1) / bins) | ((p == 0) & (k == 0))
        else:
            inside = (p >= k / bins) & (p < (k + 1) / bins) | ((p == 1) & (k == bins - 1))
        found.append((inside.sum(), y[inside].mean() if inside.any() else 0,
                      p[inside].mean() if inside.any() else 0))
    return found


def ece(p, y, **options):
    return sum(n * abs(a - c) for n, a, c in bin_gaps(p, y, **options)) / len(p)


def share_among_equals(confidence, right):
    return np.array([right[confidence == c].mean() for c in confidence])


def adaptive_ece(confidence, right):
    right = share_among_equals(confidence, right)
    order = np.argsort(confidence, kind="stable")
    n = len(order)
    total = 0
    for k in range(BINS):
        members = order[k * n // BINS : (k + 1) * n // BINS]
        if len(members):
            total += len(members) * abs(right[members].mean() - confidence[members].mean())
    return total / n


def aurc_and_excess(confidence, right):
    """calc_aurc_eaurc of the code of CRL, but for ties."""
    right = share_among_equals(confidence, right)
    order = np.argsort(-confidence, kind="stable")
    risks = np.cumsum(1 - right[order]) / np.arange(1, len(order) + 1)
    r = risks[-1]
    perfect = r + (1 - r) * np.log(1 - r) if r < 1 else 1
    return risks.mean(), risks.mean() - perfect


def measure(log_probs, labels):
    log_probs = log_probs.astype(np.float64)
    p = np.exp(log_probs)
    classes = p.shape[1]
    predicted = p.argmax(axis=1)
    confidence, right = p.max(axis=1), (predicted == labels).astype(float)
    every = np.arange(classes)
    aurc, excess = aurc_and_excess(confidence, right)
    return {
        "ece": ece(confidence, right),
        "adaptive_ece": adaptive_ece(confidence, right),
        "classwise_ece": np.mean([ece(p[:, c], (labels == c).astype(float)) for c in every]),
        "mce": max(abs(a - c) for n, a, c in bin_gaps(confidence, right) if n),
        "brier": ((p - np.eye(classes)[labels]) ** 2).sum(axis=1).mean(),
        "nll": -log_probs[np.arange(len(labels)), labels].mean(),
        "aurc": aurc,
        "e_aurc": excess,
    }


# ---- Remedies, by SciPy. ----


def nll_of(logits, labels):
    return -log_softmax(logits)[np.arange(len(labels)), labels].mean()


def fit_temperature(log_probs, labels):
    found = scipy.optimize.minimize_scalar(
        lambda s: nll_of(log_probs / np.exp(s), labels),
        bounds=(-np.log(20), np.log(20)), method="bounded", options={"xatol": 1e-12})
    return np.exp(found.x)


def fit_vector(log_probs, labels):
    classes = log_probs.shape[1]
    onehot = np.eye(classes)[labels]

    def value_and_gradient(x):
        z = log_probs * x[:classes] + x[classes:]
        error = (np.exp(log_softmax(z)) - onehot) / len(labels)
        return nll_of(z, labels), np.concatenate([(error * log_probs).sum(0), error.sum(0)])

    start = np.concatenate([np.ones(classes), np.zeros(classes)])
    found = scipy.optimize.minimize(value_and_gradient, start, jac=True, method="BFGS",
                                    options={"gtol": 1e-12, "maxiter": 10000})
    x = found.x
    return np.concatenate([x[:classes], x[classes:] - x[classes:].mean()])


def fit_classwise(log_probs, labels):
    onehot = np.eye(log_probs.shape[1])[labels]

    def value_and_gradient(s):
        z = log_probs * s
        error = (np.exp(log_softmax(z)) - onehot) / len(labels)
        return nll_of(z, labels), (error * log_probs).sum(0)

    found = scipy.optimize.minimize(value_and_gradient, np.ones(log_probs.shape[1]), jac=True,
                                    method="BFGS", options={"gtol": 1e-12, "maxiter": 10000})
    return 1 / found.x


# ---- What other tools say. ----


def netcal_equal_counts(p, labels):
    try:
        return ECE(15, equal_intervals=False).measure(p, labels)
    except ValueError:  # equal confidences make two edges the same
        return float("nan")


def others(log_probs, labels):
    p = np.exp(log_probs.astype(np.float64))
    p = p / p.sum(axis=1, keepdims=True)
    classes = p.shape[1]
    tp, tl = torch.tensor(p), torch.tensor(labels)
    onehot = np.eye(classes)[labels]
    named = {
        "ece": {
            "torchmetrics multiclass_calibration_error(n_bins=15, norm='l1')":
                tm.multiclass_calibration_error(tp, tl, classes, n_bins=15, norm="l1").item(),
            "netcal ECE(15)": ECE(15).measure(p, labels),
            "netcal ECE(10), its default": ECE(10).measure(p, labels),
            "netcal ACE(15), mean over bins": ACE(15).measure(p, labels),
        },
        "adaptive_ece": {
            "netcal ECE(15, equal_intervals=False)": netcal_equal_counts(p, labels),
        },
        "classwise_ece": {
            "torchmetrics binary_calibration_error(n_bins=15), mean over classes": np.mean([
                tm.binary_calibration_error(tp[:, c], (tl == c).int(), n_bins=15).item()
                for c in range(classes)]),
            "netcal ECE(15) per class, mean": np.mean([
                ECE(15).measure(p[:, c], (labels == c).astype(int)) for c in range(classes)]),
        },
        "mce": {
            "torchmetrics norm='max'":
                tm.multiclass_calibration_error(tp, tl, classes, n_bins=15, norm="max").item(),
            "netcal MCE(15)": MCE(15).measure(p, labels),
        },
        "brier": {
            "scikit-learn brier_score_loss(scale_by_half=False)":
                sklearn.metrics.brier_score_loss(
                    labels, p, labels=list(range(classes)), scale_by_half=False),
            "mean over classes too (some papers)": ((p - onehot) ** 2).mean(),
        },
        "nll": {
            "scikit-learn log_loss":
                sklearn.metrics.log_loss(labels, p, labels=list(range(classes))),
        },
    }
    return named


def gpleiss_temperature(log_probs, labels):
    """set_temperature of the code of Guo et al.: LBFGS without line search, 50 iterations of 0.01."""
    temperature = torch.nn.Parameter(torch.ones(1) * 1.5)
    logits, truth = torch.tensor(log_probs), torch.tensor(labels)
    optimizer = torch.optim.LBFGS([temperature], lr=0.01, max_iter=50)

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits / temperature, truth)
        loss.backward()
        return loss

    optimizer.step(closure)
    return temperature.item()


HEADER = """// Written by generate_calibration.py.
// clang-format off
#ifndef CMERC_TESTS_METRICS_DATA_CALIBRATION_GOLDEN_H_
#define CMERC_TESTS_METRICS_DATA_CALIBRATION_GOLDEN_H_

#include <cstdint>
#include <string>
#include <vector>

namespace cmerc {

struct CalibrationGolden {
  std::string name;
  int64_t num_classes;
  std::vector<double> log_probs;  // [N * C], float32 values
  std::vector<int64_t> labels;    // [N]
  double ece, adaptive_ece, classwise_ece, mce, brier, nll, aurc, e_aurc;
};
"""

FOOTER = """
}  // namespace cmerc

#endif  // CMERC_TESTS_METRICS_DATA_CALIBRATION_GOLDEN_H_"""


def single(value):
    text = "%.9g" % value
    return text + "f" if set(text) & set(".e") else text


def array(values, per_line=6):
    text = [("%.17g" % v if isinstance(v, float) else str(v)) for v in values]
    lines = [", ".join(text[i : i + per_line]) for i in range(0, len(text), per_line)]
    return "{\n        " + ",\n        ".join(lines) + "}"


def main():
    seven = [47, 12, 3, 7, 17, 3, 11]
    sets = {
        # In MELD's proportions; the remedies, too, are fitted on these.
        "sevens": draw(1, 200, seven, 2.0, 1.5),
        "twos": draw(3, 40, [3, 2], 3.0, 1.0),
        # Fewer utterances than bins.
        "few": draw(4, 9, [1, 1, 1], 1.0, 1.0),
    }
    # On the edges of bins, exactly 1, and equal confidences, right and wrong.
    edge = np.array([[0.2, 0.8], [0.8, 0.2], [0.4, 0.6], [0.6, 0.4], [0.6, 0.4], [0.5, 0.5]])
    edge = np.log(np.concatenate([edge, edge])).astype(np.float32)
    sure = np.array([[0, -90], [0, -90], [-90, 0]], dtype=np.float32)
    sets["ties"] = (np.concatenate([edge, sure]), np.array([1, 1, 1, 0, 1, 0] * 2 + [0, 1, 1]))

    lines = [HEADER, "inline const std::vector<CalibrationGolden> kCalibrationGolden = {"]
    print("| measure | tool | %s |" % " | ".join(sets))
    print("| --- | --- |" + " --- |" * len(sets))
    table = {}
    for name, (log_probs, labels) in sets.items():
        ours = measure(log_probs, labels)
        for key, tools in others(log_probs, labels).items():
            for tool, value in tools.items():
                table.setdefault((key, tool), []).append(
                    "error" if np.isnan(value) else "%+.1e" % (value - ours[key]))
        lines.append('    {"%s",\n     %d,\n     %s,\n     %s,' % (
            name, log_probs.shape[1], array([single(v) for v in log_probs.ravel()], 8),
            array([int(v) for v in labels], 24)))
        lines.append("     " + ",\n     ".join("%.17g" % v for v in ours.values()) + "},")
    lines.append("};")
    for (key, tool), values in table.items():
        print("| %s | %s | %s |" % (key, tool, " | ".join(values)))

    log_probs, labels = sets["sevens"]
    temperature = fit_temperature(log_probs.astype(np.float64), labels)
    vector = fit_vector(log_probs.astype(np.float64), labels)
    classwise = fit_classwise(log_probs.astype(np.float64), labels)
    lines += ["", "// What is fitted to the first set.", "inline const double kTemperature = %.17g;" % temperature,
              "inline const std::vector<double> kVector = " + array(list(map(float, vector))) + ";",
              "inline const std::vector<double> kClasswise = " + array(list(map(float, classwise))) + ";"]
    for name, remedy in (("Temperature", log_probs.astype(np.float64) / temperature),
                         ("Vector", log_probs * vector[:7] + vector[7:]),
                         ("Classwise", log_probs / classwise)):
        lines.append("inline const double k%sNll = %.17g;" % (name, nll_of(remedy, labels)))

    print("\n| who fits the temperature of `sevens` | T |\n| --- | --- |")
    print("| SciPy, bounded scalar search | %.6f |" % temperature)
    print("| code of Guo et al. (50 steps of 0.01) | %.6f |" % gpleiss_temperature(log_probs, labels))
    scaling = TemperatureScaling()
    p = np.exp(log_probs.astype(np.float64))
    scaling.fit(p / p.sum(axis=1, keepdims=True), labels)
    print("| netcal TemperatureScaling | %.6f |" % (1 / scaling.temperature[0]))
    sk = sklearn.calibration._TemperatureScaling().fit(log_probs.astype(np.float64), labels)
    print("| scikit-learn, method='temperature' | %.6f |" % (1 / sk.beta_))
    with open(os.path.join(FOLDER, "calibration_golden.h"), "w") as out:
        out.write("\n".join(lines + [FOOTER]) + "\n")


if __name__ == "__main__":
    main()
