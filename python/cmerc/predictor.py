"""Models that `cmerc train` has saved, from Python."""
from __future__ import annotations

import errno
import json
import os
import warnings
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

import torch

from ._library import ops


def _tensor(value: Any) -> torch.Tensor:
    """A float32 tensor of the same numbers, and of the same memory where that holds such numbers: of a tensor, an
    array of NumPy, whatever has DLPack's interface, or lists."""
    if hasattr(value, "__dlpack__") and not hasattr(value, "__array_interface__") and not isinstance(value, torch.Tensor):
        value = torch.from_dlpack(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of arrays that cannot be written to, which nobody here does
        try:
            tensor = torch.as_tensor(value)
        except ValueError:
            if not hasattr(value, "__array_interface__"):
                raise
            tensor = torch.as_tensor(value.copy())  # of an array that is read backwards
    return tensor.detach().to("cpu", torch.float32)


def _streams(value: Any) -> List[torch.Tensor]:
    """[n, D] of each stream: of one array, or of a list of arrays."""
    many = isinstance(value, (list, tuple)) and len(value) > 0 and _tensor(value[0]).dim() == 2
    return [_tensor(one) for one in value] if many else [_tensor(value)]


class Predictor:
    """A trained model, with all that it needs to predict conversations.

    modalities: [{"name", "width", "num_streams"}] as in training. class_names: in the model's order. temperature:
    what probabilities are calibrated by, or None.
    """

    def __init__(self, checkpoint: str, overrides: Sequence[str] = ()) -> None:
        path = os.path.expanduser(os.fspath(checkpoint))
        if not os.path.exists(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self._predictor = torch.classes.cmerc.Predictor(path, list(overrides))
        description = json.loads(self._predictor.describe())
        self.modalities = [{"name": one["name"], "width": int(one["width"]), "num_streams": int(one["num_streams"])}
                           for one in description["modalities"]]
        self.views: List[str] = ops.views([one["name"] for one in self.modalities])
        self.class_names: List[str] = description["class_names"]
        self.temperature: Optional[float] = self._predictor.temperature() or None

    def predict(self, conversations: Iterable[Mapping[str, Any]], *, explain: bool = False,
                coverage: Optional[float] = None, method: str = "split", abstain_below: Optional[float] = None,
                batch_size: int = 16) -> List[Dict[str, Any]]:
        """What `cmerc predict` says of each conversation (docs/predict.md), in order.

        A conversation is {"features": {modality: [n, D]}, "speakers": n names or numbers, "id": optional}, n >= 1;
        features are tensors, NumPy arrays, anything with DLPack's interface, or lists; float32 on the CPU is not
        copied. Several streams of a modality are a list of them. A modality that is left out or None is missing;
        "present": {modality: [n] bool} says which utterances have it. explain: also what each source of evidence is
        worth; coverage, method, abstain_below: as `--sets` and `--abstain_below` (docs/sets.md).
        """
        ops.answer_by(self._predictor, coverage or 0.0, method, abstain_below or 0.0)
        given = [{"id": str(number), **one} for number, one in enumerate(conversations)]
        answers: List[Dict[str, Any]] = []
        for begin in range(0, len(given), batch_size):
            answers += self._predict(given[begin:begin + batch_size], self.views if explain else [])
        return answers

    def _predict(self, conversations: List[Dict[str, Any]], views: List[str]) -> List[Dict[str, Any]]:
        """predict() of one batch."""
        ids, speakers, features, present = [], [], [], []
        for one in conversations:
            if "speakers" not in one or "features" not in one:
                raise ValueError(f'conversation {one["id"]}: want "speakers" and "features", has {sorted(one)}')
            names = one["speakers"].tolist() if hasattr(one["speakers"], "tolist") else list(one["speakers"])
            ids.append(str(one["id"]))
            speakers.append(names)
            features.append({name: _streams(value) for name, value in one["features"].items() if value is not None})
            present.append({name: torch.as_tensor(value, dtype=torch.bool)
                            for name, value in one.get("present", {}).items()})
        texts = ops.predict(self._predictor, ids, [[str(name) for name in names] for names in speakers], features,
                            present, views)
        answers = [json.loads(text) for text in texts]
        for answer, one, names in zip(answers, conversations, speakers):
            answer["id"] = one["id"]
            for utterance, name in zip(answer["utterances"], names):
                utterance["speaker"] = name
        return answers


def load(checkpoint: str, overrides: Sequence[str] = ()) -> Predictor:
    """The model in a file that `cmerc train` wrote. overrides: as `--set` ("training.batch_size=4")."""
    return Predictor(checkpoint, overrides)


def predict(checkpoint: str, conversations: Iterable[Mapping[str, Any]], **options: Any) -> List[Dict[str, Any]]:
    """load(checkpoint).predict(conversations, **options)."""
    return load(checkpoint).predict(conversations, **options)
