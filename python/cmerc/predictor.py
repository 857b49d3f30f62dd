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
    array of NumPy, or whatever has DLPack's interface."""
    if isinstance(value, torch.Tensor):
        tensor = value.detach()
    elif type(value).__module__.split(".")[0] == "numpy":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of arrays that cannot be written to, which nobody here does
            try:
                tensor = torch.from_numpy(value)
            except ValueError:  # an array that is read backwards
                tensor = torch.from_numpy(value.copy())
    elif hasattr(value, "__dlpack__"):
        tensor = torch.from_dlpack(value)
    else:
        tensor = torch.as_tensor(value)
    return tensor.to("cpu", torch.float32)


def _shown(value: Any) -> str:
    return f"a list of {len(value)}" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"


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
        self.class_names: List[str] = description["class_names"]
        self.temperature: Optional[float] = self._predictor.temperature() or None

    @property
    def views(self) -> List[str]:
        return [one["name"] for one in self.modalities] + ["same_speaker", "other_speakers"]

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
        conversations = list(conversations)
        answers: List[Dict[str, Any]] = []
        for begin in range(0, len(conversations), batch_size):
            answers += self._predict(conversations[begin:begin + batch_size], begin, self.views if explain else [])
        return answers

    def _predict(self, conversations: List[Mapping[str, Any]], begin: int, views: List[str]) -> List[Dict[str, Any]]:
        ids, lengths, speakers, features, present = [], [], [], [], []
        for number, conversation in enumerate(conversations, begin):
            ids.append(str(conversation.get("id", number)))
            if "speakers" not in conversation or "features" not in conversation:
                raise ValueError(f'conversation {ids[-1]}: want "speakers" and "features", has {sorted(conversation)}')
            names = conversation["speakers"]
            names = [str(name) for name in (names.tolist() if hasattr(names, "tolist") else names)]
            lengths.append(len(names))
            speakers += names
            features += self._features(conversation, ids[-1], len(names))
            present.append(self._present(conversation, ids[-1], len(names)))
        texts = ops.predict(self._predictor, ids, lengths, speakers, features, present, views)
        answers = [json.loads(text) for text in texts]
        for answer, conversation in zip(answers, conversations):
            if "id" in conversation:
                answer["id"] = conversation["id"]
            named = conversation["speakers"]
            for utterance, name in zip(answer["utterances"], named.tolist() if hasattr(named, "tolist") else named):
                utterance["speaker"] = name
        return answers

    def _features(self, conversation: Mapping[str, Any], name: str, length: int) -> List[torch.Tensor]:
        given = conversation["features"]
        known = [one["name"] for one in self.modalities]
        unknown = [modality for modality in given if modality not in known]
        if unknown and not any(modality in given for modality in known):
            raise ValueError(f"conversation {name}: features of {', '.join(unknown)}, the model has {', '.join(known)}")
        tensors: List[torch.Tensor] = []
        for one in self.modalities:
            value = given.get(one["name"])
            if value is None:
                tensors += [torch.zeros(length, one["width"])] * one["num_streams"]
            elif one["num_streams"] > 1:
                if not isinstance(value, (list, tuple)) or len(value) != one["num_streams"]:
                    raise ValueError(f"conversation {name}: {one['name']} is {_shown(value)}, want a list of "
                                     f"{one['num_streams']} streams, as in training")
                tensors += [_tensor(stream) for stream in value]
            else:
                alone = isinstance(value, (list, tuple)) and len(value) == 1 and getattr(value[0], "ndim", 0) == 2
                tensors.append(_tensor(value[0] if alone else value))
        return tensors

    def _present(self, conversation: Mapping[str, Any], name: str, length: int) -> torch.Tensor:
        given = conversation.get("present") or {}
        columns = []
        for one in self.modalities:
            column = torch.full((length,), conversation["features"].get(one["name"]) is not None)
            if one["name"] in given:
                column = column & torch.as_tensor(given[one["name"]], dtype=torch.bool)
            columns.append(column)
        unknown = [modality for modality in given if modality not in [one["name"] for one in self.modalities]]
        if unknown:
            raise ValueError(f"conversation {name}: present has {', '.join(unknown)}, no modality of the model")
        return torch.stack(columns, 1)


def load(checkpoint: str, overrides: Sequence[str] = ()) -> Predictor:
    """The model in a file that `cmerc train` wrote. overrides: as `--set` ("training.batch_size=4")."""
    return Predictor(checkpoint, overrides)


def predict(checkpoint: str, conversations: Iterable[Mapping[str, Any]], **options: Any) -> List[Dict[str, Any]]:
    """load(checkpoint).predict(conversations, **options)."""
    return load(checkpoint).predict(conversations, **options)
