"""Scores of a model, its difficulties, and single measures; reports are dicts with the names of summary.json."""
from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence

import torch

from ._library import ops
from .calibrated import Calibrated, _get


class SplitPredictions(NamedTuple):
    """What a model predicts for a split: log_probs [N, C], labels [N], lengths of the conversations with sum N, and
    of each view log_probs [N, C] without it."""

    log_probs: torch.Tensor
    labels: torch.Tensor
    lengths: List[int]
    views: Dict[str, torch.Tensor]


def predict_split(calibrated: Calibrated, batches: Iterable[Any]) -> SplitPredictions:
    """Predicts batches, which have labels, in evaluation mode; tensors of the result are on the CPU."""
    full, views, labels, lengths = [], [], [], []
    for batch in batches:
        prediction, without = calibrated.predict(batch)
        full.append(prediction.log_probs.cpu())
        views.append({view: one.cpu() for view, one in without.items()})
        labels.append(calibrated._labels(batch).cpu())
        lengths += _get(batch, "lengths").tolist()
    if not full:
        raise ValueError("there is no batch to predict")
    return SplitPredictions(torch.cat(full), torch.cat(labels), lengths,
                            {view: torch.cat([one[view] for one in views]) for view in views[0]})


def evaluate(calibrated: Calibrated, test: Iterable[Any], *, valid: Optional[Iterable[Any]] = None,
             class_names: Optional[Sequence[str]] = None, coverage: float = 0.9) -> Dict[str, Any]:
    """The scores of a model on batches, as summary.json of a run holds them.

    "test": accuracy, F1, confusion, calibration, and what each view changes. With the batches of a validation split
    also "valid", standard remedies, prediction sets of this coverage and a risk-coverage curve in "test",
    "scaled_views" and "warnings" (docs/metrics.md). A model that is not calibrated is scored as
    Calibrated(model, modalities=..., losses=[]).
    """
    scored = predict_split(calibrated, test)
    names = list(class_names) if class_names else [str(number) for number in range(scored.log_probs.shape[1])]
    none = SplitPredictions(torch.zeros(0, len(names)), torch.zeros(0, dtype=torch.int64), [], {})
    held_out = none if valid is None else predict_split(calibrated, valid)
    summary = json.loads(ops.evaluate(*scored[:3], list(scored.views), list(scored.views.values()), *held_out[:3],
                                      list(held_out.views.values()), calibrated.modalities, names, coverage))
    return {key: summary[key] for key in ("test", "valid", "scaled_views", "warnings") if key in summary}


def means_over_views(split_report: Dict[str, Any]) -> Dict[str, float]:
    """The measures of evidence of summary["test"] as means over its views: "mean_share_surer_without", "share_of_right",
    "violating_ranking_rate", "weighted_f1_of_views" and the others of docs/evidence.md."""
    return ops.means_over_views(json.dumps(split_report))


def table(split_report: Dict[str, Any]) -> str:
    """summary["test"] or summary["valid"] as tables for people."""
    return ops.table(json.dumps(split_report))


def compare(calibrated: Dict[str, Any], uncalibrated: Dict[str, Any]) -> str:
    """Two of what evaluate() returns side by side, as `cmerc train` ends."""
    return ops.compare(json.dumps(calibrated), json.dumps(uncalibrated))


def calibration(log_probs: torch.Tensor, labels: torch.Tensor, lengths: Sequence[int] = ()) -> Dict[str, Any]:
    """ECE with its floor and error, NLL, Brier score and the others of log_probs [N, C], labels [N] (docs/metrics.md).

    lengths: the utterances of each conversation; without them the floor and the error of the ECE are left out.
    """
    return json.loads(ops.calibration(log_probs, labels, list(lengths)))


def evidence(log_probs: torch.Tensor, view_log_probs: torch.Tensor, labels: torch.Tensor) -> Dict[str, Any]:
    """What a source of evidence is worth: share_surer_without, and in "evidence" its floor and excess, the violating
    ranking rate and the others. log_probs [N, C] with it and view_log_probs [N, C] without it, labels [N]."""
    report = json.loads(ops.evidence(log_probs, view_log_probs, labels))
    return {name: value for name, value in report.items() if name != "view"}


def prediction_sets(valid: SplitPredictions, log_probs: torch.Tensor, *, coverage: float = 0.9,
                    method: str = "split") -> torch.Tensor:
    """[N, C] bool: the classes that each utterance of log_probs [N, C] may be, the true one among them with
    probability `coverage`. method: "split", "class_conditional" or "adaptive" (docs/sets.md)."""
    return ops.prediction_sets(*valid[:3], log_probs, coverage, method)


def difficulties(calibrated: Calibrated, conversations: Iterable[Any]) -> torch.Tensor:
    """[n] float32: how far the model is from being surest with all evidence, for batches of one conversation each."""
    values = []
    for batch in conversations:
        lengths, speakers = _get(batch, "lengths"), _get(batch, "speakers")
        if len(lengths) != 1:
            raise ValueError(f"a batch has {len(lengths)} conversations; the difficulty is of one")
        full, views = calibrated.predict(batch)
        count = 1 if speakers is None else int(speakers[0, :int(lengths[0])].max()) + 1
        values.append(ops.difficulty(full.log_probs, list(views.values()), calibrated._labels(batch), count))
    return torch.tensor(values, dtype=torch.float32)
