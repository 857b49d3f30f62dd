"""Any PyTorch model, calibrated: views of its batches, and the losses that compare their predictions."""
from __future__ import annotations

import contextlib
import copy
import warnings
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import torch

from ._library import eager, ops
from .losses import Loss

VIEW_WEIGHTS = ("EPOCH_SNAPSHOT", "LIVE", "LIVE_WITH_GRADIENT", "LIVE_PAIRED")


class Prediction(NamedTuple):
    """log_probs [N, C] of the utterances that are no padding; features [N, H] or None."""

    log_probs: torch.Tensor
    features: Optional[torch.Tensor]


class _Planned(NamedTuple):
    """A loss of a step: its name in `terms`, its weight, the options that it is made of, the views that it needs."""

    name: str
    weight: float
    options: str
    views: List[str]


def _get(batch: Any, name: str) -> Any:
    return batch.get(name) if isinstance(batch, Mapping) else getattr(batch, name, None)


def _with(batch: Any, changes: Mapping[str, Any]) -> Any:
    """A shallow copy of the batch with these entries; the batch itself stays as it is."""
    if hasattr(batch, "_replace"):
        return batch._replace(**changes)
    changed = copy.copy(batch)
    for name, value in changes.items():
        if isinstance(batch, Mapping):
            changed[name] = value
        else:
            setattr(changed, name, value)
    return changed


@contextlib.contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and each of its modules afterwards in the mode in which it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


class Calibrated(torch.nn.Module):
    """A model of emotions in conversations whose loss also compares its predictions with those of views.

    model(batch) returns log_probs, or (log_probs, features), or a dict or object with these two: [N, C] of all
    utterances, conversation by conversation, or [B, T, C] padded. A batch is a dict or an object with

        each of `modalities`   [B, T, D] floating point, 0 on padding, or a list of such streams
        "lengths"              [B] int64
        "speakers"             [B, T] int64; needed for the views of context alone
        "context"              [B, T, T] bool, "utterance i may draw on utterance j"; made where it is missing
        "labels"               [N] or [B, T] int64, -1 or -100 for none; or given to loss()

    A view is a copy of the batch with one entry changed, so the model has never heard of it; one that does not
    read "context" is calibrated over modalities alone: views=modalities.

    losses: Loss objects, or pairs (weight, Loss); what one remembers from step to step (TargetShare) is in `memory`
    and in state_dict(), and moves with each loss() in training mode with gradient. views: names of modalities,
    "same_speaker", "other_speakers"; default: all. view_weights: how they are predicted (docs/python.md).
    views_per_step: how many of those that losses ask for loss() predicts in training mode, drawn anew from PyTorch's
    generator; 0: all. past: utterances draw on the past alone. class_counts [C]: of the training split, for losses
    that want them. evidence_flags: width of each modality; shows the model which evidence is missing by shifts that
    are learnt (docs/evidence.md); then optimize parameters() of this module.
    """

    def __init__(self, model: torch.nn.Module, *, modalities: Sequence[str],
                 losses: Sequence[Union[Loss, Tuple[float, Loss]]], views: Optional[Sequence[str]] = None,
                 view_weights: str = "LIVE_PAIRED", views_per_step: int = 0, class_counts: Sequence[int] = (),
                 past: bool = False, evidence_flags: Optional[Mapping[str, int]] = None) -> None:
        super().__init__()
        if view_weights not in VIEW_WEIGHTS:
            raise ValueError(f"view_weights = {view_weights!r}, must be one of {', '.join(VIEW_WEIGHTS)}")
        if views_per_step < 0:
            raise ValueError(f"views_per_step = {views_per_step}, must be >= 0")
        self.model, self.modalities, self.past = model, list(modalities), past
        self.views: List[str] = ops.views(self.modalities, views)
        self.view_weights, self.views_per_step, self.class_counts = view_weights, views_per_step, list(class_counts)
        self.losses = [entry if isinstance(entry, tuple) else (1.0, entry) for entry in losses]
        # Of the last loss(): name of the plugin ("Nll", a second one "Nll:2") -> value before its weight.
        self.terms: Dict[str, torch.Tensor] = {}
        self.memory: Dict[str, torch.Tensor] = {}  # "TargetShare/weight/text" -> what it is after the last step
        self._plan: List[_Planned] = []
        self._snapshot: List[torch.nn.Module] = []  # in a list, so that it is no part of this module's state
        self.flags = torch.nn.ParameterList([
            torch.nn.Parameter(torch.zeros(len(ops.views(self.modalities)), evidence_flags[name]))
            for name in self.modalities] if evidence_flags else [])

    def new_epoch(self) -> None:
        """Keeps the weights as they are now; to be called before each epoch with view_weights="EPOCH_SNAPSHOT"."""
        if self.view_weights == "EPOCH_SNAPSHOT":
            self._snapshot = [copy.deepcopy(self.model).eval()]

    def forward(self, batch: Any) -> Any:
        """What the model returns for the batch."""
        return self.model(self._seen(batch, flags=self.flags))

    @eager
    def loss(self, batch: Any, labels: Optional[torch.Tensor] = None) -> torch.Tensor:
        """The weighted sum of the losses, a scalar; `terms` then has each of those of which a view was predicted."""
        batch = self._seen(batch)
        labels = self._labels(batch, labels)
        begin = self._random_states()
        full = self._predict(self.model, batch)
        losses = self._planned(full.log_probs.shape[1], batch)
        asked = list(dict.fromkeys(view for loss in losses for view in loss.views))
        views = self._drawn(asked)
        losses = [loss for loss in losses if not loss.views or set(views) & set(loss.views)]
        arguments = ([loss.options for loss in losses], full.log_probs, full.features, labels, views,
                     self._without(batch, views, begin), self.modalities, self.class_counts, list(self.memory.values()))
        values = ops.losses(*arguments, len(views) < len(asked))
        if self.memory and self.training and torch.is_grad_enabled():
            self.memory = dict(zip(self.memory, ops.remember_step(*arguments)))
        self.terms = {loss.name: value.detach() for loss, value in zip(losses, values)}
        return torch.stack([loss.weight * value for loss, value in zip(losses, values)]).sum()

    def get_extra_state(self) -> Dict[str, torch.Tensor]:
        """What losses remember, for state_dict()."""
        return dict(self.memory)

    def set_extra_state(self, state: Dict[str, torch.Tensor]) -> None:
        self.memory = dict(state)

    @eager
    @torch.no_grad()
    def predict(self, batch: Any) -> Tuple[Prediction, Dict[str, torch.Tensor]]:
        """In evaluation mode: the prediction, and of each of `views` log_probs [N, C] without it."""
        batch = self._seen(batch)
        with _evaluating(self):
            full = self._predict(self.model, batch)
            return full, {view: self._predict(self.model, batch, view).log_probs for view in self.views}

    def without(self, batch: Any, view: str) -> Any:
        """The batch without one source of evidence; all else is shared with it."""
        return self._seen(batch, view)

    @eager
    def _seen(self, batch: Any, view: str = "", flags: Sequence[torch.Tensor] = ()) -> Any:
        """The batch with a context, without `view`, and with features shifted where evidence is missing."""
        given = {name: _get(batch, name) for name in self.modalities + ["lengths"]}
        missing = [name for name, value in given.items() if value is None]
        if missing:
            raise ValueError(f"the batch has no {', '.join(missing)}; want {', '.join(given)}")
        lengths = given.pop("lengths")
        streams = {name: [one] if isinstance(one, torch.Tensor) else list(one) for name, one in given.items()}
        seen, context = ops.seen_batch(view, streams, lengths, _get(batch, "context"), _get(batch, "speakers"),
                                       _get(batch, "evidence"), list(flags), self.past)
        changes = {name: seen[name][0] if isinstance(one, torch.Tensor) else seen[name] for name, one in given.items()}
        return _with(batch, {**changes, "context": context})

    def _valid(self, batch: Any) -> torch.Tensor:
        """[B, T] bool: which rows of padded tensors are utterances."""
        context = _get(batch, "context")
        lengths = _get(batch, "lengths").to(context.device)
        return torch.arange(context.shape[1], device=context.device) < lengths.unsqueeze(1)

    def _labels(self, batch: Any, labels: Optional[torch.Tensor] = None) -> torch.Tensor:
        """[N] int64: those of the utterances that are no padding."""
        labels = _get(batch, "labels") if labels is None else labels
        if labels is None:
            raise ValueError("there are no labels: neither given nor in the batch")
        return labels[self._valid(self._seen(batch))] if labels.dim() == 2 else labels

    def _predict(self, model: torch.nn.Module, batch: Any, view: str = "") -> Prediction:
        """What the model says without `view`. batch: one that has a context."""
        result = model(self._seen(batch, view, self.flags))
        if isinstance(result, torch.Tensor):
            result = result, None
        elif hasattr(result, "log_probs") or not isinstance(result, (tuple, list)):
            result = _get(result, "log_probs"), _get(result, "features")
        valid = self._valid(batch)
        return Prediction(*(one[valid] if one is not None and one.dim() == 3 else one for one in result))

    def _drawn(self, views: List[str]) -> List[str]:
        """Those that a step predicts of the views that losses ask for, each as likely as any other."""
        if not self.training or self.views_per_step == 0 or self.views_per_step >= len(views):
            return views
        return [views[index] for index in torch.randperm(len(views))[:self.views_per_step].sort().values]

    def _planned(self, num_classes: int, batch: Any) -> List[_Planned]:
        """The losses of a step, which ask for no other views than `views`; looks at the model the first time."""
        if self._plan:
            return self._plan
        losses: Dict[str, Tuple[float, Loss]] = {}
        for number, (weight, loss) in enumerate(self.losses, 1):
            if weight != 0:
                losses[f"{loss.plugin}:{number}" if loss.plugin in losses else loss.plugin] = weight, loss
        if not losses:
            raise ValueError("there is no loss with a weight above 0")
        options, views, memory = ops.plan_losses(
            list(losses), [loss.text for _, loss in losses.values()], self.views, self.view_weights,
            self.views_per_step, self.modalities, self.class_counts, num_classes)
        if self.memory and self.memory.keys() != memory.keys():
            raise ValueError(f"the state that was loaded is of losses that remember {', '.join(self.memory)}, these "
                             f"remember {', '.join(memory) or 'nothing'}")
        self._check(batch, list(dict.fromkeys(sum(views, []))))
        self.memory = {**memory, **self.memory}
        self._plan = [_Planned(name, weight, *made) for (name, (weight, _)), *made in zip(losses.items(), options, views)]
        return self._plan

    @torch.no_grad()
    def _check(self, batch: Any, views: Sequence[str]) -> None:
        """Raises ValueError where the model gives no log-probabilities; warns of a view that it cannot see."""
        with self._as_it_was(), _evaluating(self):
            full = self._predict(self.model, batch).log_probs
            unseen = [view for view in views if self._predict(self.model, batch, view).log_probs.equal(full)]
        sums = full.exp().sum(1)
        if not bool(((sums - 1).abs() < 1e-3).all()):
            raise ValueError(f"the model gives no log-probabilities: exp of the {full.shape[1]} numbers of a row sums to "
                             f"{float(sums[(sums - 1).abs().argmax()]):.4g}, not 1; end it with log_softmax(-1)")
        for view in unseen:
            entry = repr(view) if view in self.modalities else "'context'"
            warnings.warn(f"the model predicts the same without {view}: does it read batch[{entry}]? If not, leave the view "
                          f"out: views={[name for name in self.views if name != view]}", stacklevel=4)

    def _random_states(self) -> List[Tuple[torch.Generator, torch.Tensor]]:
        """The generators that the model draws from, and the states in which they are."""
        devices = {parameter.device.index for parameter in self.parameters() if parameter.is_cuda}
        generators = [torch.default_generator] + [torch.cuda.default_generators[index] for index in devices]
        return [(generator, generator.get_state()) for generator in generators]

    @contextlib.contextmanager
    def _as_it_was(self) -> Iterator[None]:
        """Afterwards random numbers and buffers, such as running statistics, are as they were before."""
        states, buffers = self._random_states(), [buffer.clone() for buffer in self.buffers()]
        yield
        for generator, state in states:
            generator.set_state(state)
        for buffer, kept in zip(self.buffers(), buffers):
            buffer.data.copy_(kept)  # past autograd, which may have kept the buffer

    def _without(self, batch: Any, views: Sequence[str],
                 begin: List[Tuple[torch.Generator, torch.Tensor]]) -> List[torch.Tensor]:
        """log_probs [N, C] without each view, as view_weights says; `begin`: before the full prediction."""
        if not views:
            return []
        if self.view_weights == "LIVE_PAIRED":
            log_probs = []
            with self._as_it_was():  # as the full prediction alone leaves it
                for view in views:
                    for generator, state in begin:
                        generator.set_state(state)
                    log_probs.append(self._predict(self.model, batch, view).log_probs)
            return log_probs
        if self.view_weights == "EPOCH_SNAPSHOT" and not self._snapshot:
            raise ValueError('view_weights = "EPOCH_SNAPSHOT": call new_epoch() before each epoch')
        model = self._snapshot[0] if self.view_weights == "EPOCH_SNAPSHOT" else self.model
        with_gradient = self.view_weights == "LIVE_WITH_GRADIENT" and torch.is_grad_enabled()
        with _evaluating(model), torch.set_grad_enabled(with_gradient):
            return [self._predict(model, batch, view).log_probs for view in views]
