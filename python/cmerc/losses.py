"""Losses, schedules and everything else that a plugin of CMERC computes, by the plugin's name and options."""
from __future__ import annotations

import os
import re
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import torch

from ._library import eager, ops


def _value(value: Any, in_list: bool = False) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + _fields(value) + " }"
    if isinstance(value, Loss):
        return "{ " + value.text + " }"
    text = str(value)
    if not in_list and re.fullmatch(r"[A-Z][A-Z0-9_]*", text):
        return text  # a value of an enum
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _fields(options: Mapping[str, Any]) -> str:
    return " ".join(f"{name}: {_value(entry, in_list=isinstance(value, (list, tuple)))}" for name, value in options.items()
                    for entry in (value if isinstance(value, (list, tuple)) else [value]))


def plugin_text(plugin: str, text: str = "", **options: Any) -> str:
    """The options of a plugin as a config has them.

    plugin: "CalibrationRanking" for cmerc.CalibrationRankingOptions, or a full name with a dot. options: its
    fields; of a text, capitals alone are a value of an enum (reduction="MEAN"); a loss within a loss is a Loss. text:
    more fields as a config has them, for what this cannot say.
    """
    full = plugin if "." in plugin else f"cmerc.{plugin}Options"
    return f"[type.googleapis.com/{full}] {{ {_fields(options)} {text} }}"


class Loss:
    """A loss plugin: Loss("CalibrationRanking", reduction="MEAN"). `cmerc.plugins("loss")` has them all.

    Options that are wrong are a ValueError, when the loss is first computed.
    """

    def __init__(self, plugin: str, text: str = "", **options: Any) -> None:
        self.plugin, self.text = plugin, plugin_text(plugin, text, **options)

    def __repr__(self) -> str:
        return f"Loss({self.text!r})"

    @eager
    def __call__(self, log_probs: torch.Tensor, labels: torch.Tensor, *, features: Optional[torch.Tensor] = None,
                 views: Optional[Mapping[str, torch.Tensor]] = None, modalities: Sequence[str] = (),
                 class_counts: Sequence[int] = ()) -> torch.Tensor:
        """The value, a scalar, differentiable in log_probs, features and views.

        log_probs [N, C]: natural logarithms, a row for each utterance that is no padding. labels [N] int64; -1 or
        -100 where there is none. features [N, H], for contrastive losses. views: name of a view -> log_probs [N, C]
        without it. modalities: their names, which are views too. class_counts [C]: utterances of each class in the
        training split, for losses that want to know.
        """
        views = views or {}
        return ops.loss(self.text, log_probs, features, labels, list(views), list(views.values()), list(modalities),
                        list(class_counts))


def recipe(widths: Mapping[str, int]) -> Dict[str, Any]:
    """The calibration that we recommend, config/examples/cmerc_calibrated.textproto, as arguments of Calibrated.

    widths: of the features of each modality, by its name.
    """
    with open(os.path.join(os.path.dirname(__file__), "cmerc_calibrated.textproto"), encoding="utf-8") as file:
        # The rest is of a model and data that the plugins here need not have.
        config = "\n".join(re.findall(r"^(?:losses|calibration) {.*?^}", file.read(), re.MULTILINE | re.DOTALL))
    plugins, options, weights, view_weights, flags, views_per_step = ops.calibration_of_config(config)
    losses = [(weight, Loss(plugin, text)) for plugin, text, weight in zip(plugins, options, weights)]
    return {"modalities": list(widths), "losses": losses, "view_weights": view_weights, "views_per_step": views_per_step,
            "evidence_flags": dict(widths) if flags else None}


def schedule(plugin: str, epoch: int, difficulties: torch.Tensor, text: str = "", **options: Any) -> torch.Tensor:
    """[K] int64, ascending: the conversations to train on in `epoch` (0, 1, ...), of difficulties [n].

    schedule("BabyStep", epoch, difficulties, epoch_ratio=0.4); `cmerc.plugins("scheduler")` has them all.
    """
    return ops.schedule(plugin_text(plugin, text, **options), epoch, difficulties)


def plugins(name: str = "") -> str:
    """What can be said in options: the plugins called `name`, all of a kind ("loss", "scheduler"), or all."""
    return ops.plugins(name)


@eager
def masked_mean(features: torch.Tensor, lengths: torch.Tensor, *, past: bool = False,
                padded_rows: bool = False) -> torch.Tensor:
    """[B, T, D]: what a view puts in the place of a modality's features [B, T, D], their mean over each conversation.

    lengths [B] int64. past: the mean of the utterances up to each one. padded_rows: over all T rows, as the
    official code takes it. Differentiable; 0 on padding unless padded_rows.
    """
    return ops.masked_mean(features, lengths, past, padded_rows)


@eager
def context_mask(lengths: torch.Tensor, *, past: bool = False) -> torch.Tensor:
    """[B, T, T] bool on the CPU: utterance i may draw on utterance j. lengths [B] int64, T the longest."""
    return ops.context_mask(lengths, past)


@eager
def context_without(view: str, context: torch.Tensor, speakers: torch.Tensor) -> torch.Tensor:
    """The context [B, T, T] without the view "same_speaker" or "other_speakers". speakers [B, T] int64."""
    return ops.context_without(view, context, speakers)


@eager
def confidence_labels(log_probs: torch.Tensor, view_log_probs: torch.Tensor,
                      labels: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
    """[N] int64, 1 where the model is right and surer with all evidence than without; and the two's weights [2]."""
    return ops.confidence_labels(log_probs, view_log_probs, labels)
