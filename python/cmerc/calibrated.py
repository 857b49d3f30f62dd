"""Any PyTorch model, calibrated: views of its batches, and the losses that compare their predictions."""
from __future__ import annotations

import contextlib
import copy
import warnings
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import torch

from ._library import eager, ops
from .losses import Loss, context_mask, context_without, masked_mean

CONTEXT_VIEWS = ("same_speaker", "other_speakers")
VIEW_WEIGHTS = ("EPOCH_SNAPSHOT", "LIVE", "LIVE_WITH_GRADIENT", "LIVE_PAIRED")


class Prediction(NamedTuple):
    """log_probs [N, C] of the utterances that are no padding; features [N, H] or None."""

    log_probs: torch.Tensor
    features: Optional[torch.Tensor]


class _Plan(NamedTuple):
    """What a step computes: losses by their names in `terms`, a weight each, and the views that they need."""

    losses: Dict[str, Loss]
    weights: List[float]
    views: List[str]


def _get(batch: Any, name: str, default: Any = None) -> Any:
    return batch.get(name, default) if isinstance(batch, Mapping) else getattr(batch, name, default)


def _with(batch: Any, **changes: Any) -> Any:
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

    losses: Loss objects, or pairs (weight, Loss); what one remembers from step to step (TargetShare) is in `memory` and
    in state_dict(), and moves with each loss() in training mode with gradient. views: names of modalities, "same_speaker", "other_speakers";
    default: all of them. view_weights: how views are predicted (docs/python.md). past: utterances draw on the past
    alone. class_counts [C]: of the training split, for losses that want them. evidence_flags: width of each
    modality; shows the model which evidence is missing by shifts that are learnt (docs/evidence.md); then optimize
    parameters() of this module.
    """

    def __init__(self, model: torch.nn.Module, *, modalities: Sequence[str],
                 losses: Sequence[Union[Loss, Tuple[float, Loss]]], views: Optional[Sequence[str]] = None,
                 view_weights: str = "LIVE_PAIRED", class_counts: Sequence[int] = (), past: bool = False,
                 evidence_flags: Optional[Mapping[str, int]] = None) -> None:
        super().__init__()
        all_views = list(modalities) + list(CONTEXT_VIEWS)
        for view in views or ():
            if view not in all_views:
                raise ValueError(f"views has {view!r}, must be among {', '.join(all_views)}")
        if view_weights not in VIEW_WEIGHTS:
            raise ValueError(f"view_weights = {view_weights!r}, must be one of {', '.join(VIEW_WEIGHTS)}")
        self.model, self.modalities, self.past = model, list(modalities), past
        self.views = all_views if views is None else list(views)
        self.view_weights, self.class_counts = view_weights, list(class_counts)
        self.losses = [entry if isinstance(entry, tuple) else (1.0, entry) for entry in losses]
        # Of the last loss(): name of the plugin ("Nll", a second one "Nll:2") -> value before its weight.
        self.terms: Dict[str, torch.Tensor] = {}
        self.memory: Dict[str, torch.Tensor] = {}  # "TargetShare/weight/text" -> what it is after the last step
        self._plan: Optional[_Plan] = None
        self._snapshot: List[torch.nn.Module] = []  # in a list, so that it is no part of this module's state
        self.flags = torch.nn.ParameterList([
            torch.nn.Parameter(torch.zeros(len(all_views), evidence_flags[name])) for name in self.modalities
        ]) if evidence_flags else None

    def new_epoch(self) -> None:
        """Keeps the weights as they are now; to be called before each epoch with view_weights="EPOCH_SNAPSHOT"."""
        if self.view_weights == "EPOCH_SNAPSHOT":
            self._snapshot = [copy.deepcopy(self.model).eval()]

    def forward(self, batch: Any) -> Any:
        """What the model returns for the batch."""
        return self.model(self._shown(self._whole(batch)))

    @eager
    def loss(self, batch: Any, labels: Optional[torch.Tensor] = None) -> torch.Tensor:
        """The weighted sum of the losses, a scalar; `terms` then has each of them."""
        batch = self._whole(batch)
        labels = self._labels(batch, labels)
        begin = self._random_states()
        full = self._predict(self.model, batch)
        plan = self._planned(full.log_probs.shape[1], batch)
        views = [one.log_probs for one in self._views(batch, plan.views, begin)]
        arguments = ([loss.text for loss in plan.losses.values()], full.log_probs, full.features, labels, plan.views,
                     views, self.modalities, self.class_counts, list(self.memory.values()))
        values = ops.losses(*arguments)
        if self.memory and self.training and torch.is_grad_enabled():
            self.memory = dict(zip(self.memory, ops.remember_step(*arguments)))
        self.terms = {name: value.detach() for name, value in zip(plan.losses, values)}
        return torch.stack([weight * value for weight, value in zip(plan.weights, values)]).sum()

    def get_extra_state(self) -> Dict[str, torch.Tensor]:
        """What losses remember, for state_dict()."""
        return dict(self.memory)

    def set_extra_state(self, state: Dict[str, torch.Tensor]) -> None:
        self.memory = dict(state)

    @eager
    @torch.no_grad()
    def predict(self, batch: Any) -> Tuple[Prediction, Dict[str, torch.Tensor]]:
        """In evaluation mode: the prediction, and of each of `views` log_probs [N, C] without it."""
        batch = self._whole(batch)
        with _evaluating(self):
            full = self._predict(self.model, batch)
            views = {view: self._predict(self.model, self.without(batch, view), view).log_probs for view in self.views}
        return full, views

    def without(self, batch: Any, view: str) -> Any:
        """The batch without one source of evidence; all else is shared with it."""
        batch = self._whole(batch)
        if view in self.modalities:
            streams = _get(batch, view)
            def mean(stream: torch.Tensor) -> torch.Tensor:
                return masked_mean(stream, _get(batch, "lengths"), past=self.past)
            masked = mean(streams) if isinstance(streams, torch.Tensor) else [mean(stream) for stream in streams]
            return _with(batch, **{view: masked})
        if _get(batch, "speakers") is None:
            raise ValueError(f'the view {view!r} needs batch["speakers"], [B, T] int64; leave it out: '
                             f"views={self.modalities}")
        return _with(batch, context=context_without(view, _get(batch, "context"), _get(batch, "speakers")))

    def _whole(self, batch: Any) -> Any:
        """The batch with a context."""
        missing = [name for name in self.modalities + ["lengths"] if _get(batch, name) is None]
        if missing:
            raise ValueError(f"the batch has no {', '.join(missing)}; want {', '.join(self.modalities)}, lengths")
        if _get(batch, "context") is not None:
            return batch
        first = _get(batch, self.modalities[0])
        first = first if isinstance(first, torch.Tensor) else first[0]
        context = context_mask(_get(batch, "lengths"), past=self.past).to(first.device)
        more = first.shape[1] - context.shape[1]  # rows that are padding of every conversation
        if more < 0:
            raise ValueError(f"lengths holds {context.shape[1]}, but {self.modalities[0]} has {first.shape[1]} rows")
        return _with(batch, context=torch.nn.functional.pad(context, (0, more, 0, more)))

    def _valid(self, batch: Any) -> torch.Tensor:
        """[B, T] bool: which rows of padded tensors are utterances."""
        context = _get(batch, "context")
        lengths = _get(batch, "lengths").to(context.device)
        return torch.arange(context.shape[1], device=context.device) < lengths.unsqueeze(1)

    def _labels(self, batch: Any, labels: Optional[torch.Tensor]) -> torch.Tensor:
        labels = _get(batch, "labels") if labels is None else labels
        if labels is None:
            raise ValueError("there are no labels: neither given nor in the batch")
        return labels[self._valid(batch)] if labels.dim() == 2 else labels

    @eager
    def _shown(self, batch: Any, removed: Optional[str] = None) -> Any:
        """The batch with features shifted where evidence is missing; itself without evidence flags."""
        if self.flags is None:
            return batch
        evidence = _get(batch, "evidence")
        if evidence is None:
            evidence = self._valid(batch).unsqueeze(2).repeat(1, 1, len(self.modalities) + 2)
        if removed is not None:
            index = (self.modalities + list(CONTEXT_VIEWS)).index(removed)
            evidence = evidence.clone()
            evidence[:, :, index] = False
        given = [_get(batch, name) for name in self.modalities]
        streams = [[one] if isinstance(one, torch.Tensor) else list(one) for one in given]
        shown = iter(ops.show_evidence(sum(streams, []), [len(one) for one in streams], evidence,
                                       _get(batch, "lengths"), list(self.flags)))
        of_modality = [[next(shown) for _ in one] for one in streams]
        return _with(batch, **{name: many[0] if isinstance(one, torch.Tensor) else many
                               for name, one, many in zip(self.modalities, given, of_modality)})

    def _predict(self, model: torch.nn.Module, batch: Any, removed: Optional[str] = None) -> Prediction:
        result = model(self._shown(batch, removed))
        if isinstance(result, torch.Tensor):
            log_probs, features = result, None
        elif isinstance(result, (tuple, list)) and not hasattr(result, "log_probs"):
            log_probs, features = result
        else:
            log_probs, features = _get(result, "log_probs"), _get(result, "features")
        valid = self._valid(batch)
        log_probs, features = (tensor[valid] if tensor is not None and tensor.dim() == 3 else tensor
                               for tensor in (log_probs, features))
        return Prediction(log_probs, features)

    def _planned(self, num_classes: int, batch: Any) -> _Plan:
        """The losses, restricted to `views`, and what they need; looks at the model the first time."""
        if self._plan is not None:
            return self._plan
        plan, memory, data = _Plan({}, [], []), {}, (self.modalities, num_classes, self.class_counts)
        for number, (weight, loss) in enumerate(self.losses, 1):
            if weight == 0:
                continue
            asked, teaches, remembered = loss.needs(*data)
            if not set(asked) <= set(self.views):
                loss, (asked, teaches, remembered) = self._restricted(loss, asked, *data)
            if teaches and self.view_weights in ("EPOCH_SNAPSHOT", "LIVE"):
                raise ValueError(f"view_weights = {self.view_weights!r}: {loss.plugin} teaches the predictions without a "
                                 'source of evidence, which have no gradient then; view_weights="LIVE_PAIRED"')
            name = f"{loss.plugin}:{number}" if loss.plugin in plan.losses else loss.plugin
            plan.losses[name] = loss
            plan.weights.append(weight)
            plan.views.extend(view for view in asked if view not in plan.views)
            memory.update({f"{name}/{key}": value for key, value in remembered.items()})
        if not plan.losses:
            raise ValueError("there is no loss with a weight above 0")
        if self.memory and self.memory.keys() != memory.keys():
            raise ValueError(f"the state that was loaded is of losses that remember {', '.join(self.memory)}, these "
                             f"remember {', '.join(memory) or 'nothing'}")
        self._check(batch, plan.views)
        self.memory = {name: self.memory.get(name, value) for name, value in memory.items()}
        self._plan = plan
        return plan

    def _restricted(self, loss: Loss, asked: Sequence[str], *data: Any) -> Tuple[Loss, Any]:
        """A loss that asks for more than `views`, over those of them, and what it then needs."""
        allowed = [view for view in asked if view in self.views]
        if allowed and "views" not in loss.options:
            with contextlib.suppress(ValueError):  # of a loss whose views cannot be chosen
                return loss.over(allowed), loss.over(allowed).needs(*data)
        raise ValueError(f"the loss {loss.plugin} needs {', '.join(view for view in asked if view not in allowed)}, which "
                         f"views={self.views} leaves out")

    @torch.no_grad()
    def _check(self, batch: Any, needed: Sequence[str]) -> None:
        """Raises ValueError where the model gives no log-probabilities; warns of a view that it cannot see."""
        with self._as_it_was(), _evaluating(self):
            full = self._predict(self.model, batch).log_probs
            views = [self._predict(self.model, self.without(batch, view), view).log_probs for view in needed]
        sums = full.exp().sum(1)
        if not bool(((sums - 1).abs() < 1e-3).all()):
            raise ValueError(f"the model gives no log-probabilities: exp of the {full.shape[1]} numbers of a row sums to "
                             f"{float(sums[(sums - 1).abs().argmax()]):.4g}, not 1; end it with log_softmax(-1)")
        for view in (view for view, log_probs in zip(needed, views) if full.equal(log_probs)):
            entry = repr(view) if view in self.modalities else "'context'"
            warnings.warn(f"the model predicts the same without {view}: does it read batch[{entry}]? If not, leave the view "
                          f"out: views={[name for name in self.views if name != view]}", stacklevel=4)

    def _random_states(self) -> List[Tuple[Optional[torch.device], torch.Tensor]]:
        """The states of the generators that the model draws from."""
        devices = {parameter.device for parameter in self.parameters() if parameter.is_cuda}
        return [(None, torch.get_rng_state())] + [(device, torch.cuda.get_rng_state(device)) for device in devices]

    def _set_random_states(self, states: List[Tuple[Optional[torch.device], torch.Tensor]]) -> None:
        for device, state in states:
            if device is None:
                torch.set_rng_state(state)
            else:
                torch.cuda.set_rng_state(state, device)

    @contextlib.contextmanager
    def _as_it_was(self) -> Iterator[None]:
        """Afterwards random numbers and buffers, such as running statistics, are as they were before."""
        states, buffers = self._random_states(), [buffer.clone() for buffer in self.buffers()]
        yield
        self._set_random_states(states)
        for buffer, kept in zip(self.buffers(), buffers):
            buffer.data.copy_(kept)  # past autograd, which may have kept the buffer

    def _views(self, batch: Any, names: Sequence[str], begin: Any) -> List[Prediction]:
        """The predictions of views, as view_weights says; `begin`: the random states before the full prediction."""
        if not names:
            return []
        predictions = []
        if self.view_weights == "LIVE_PAIRED":
            with self._as_it_was():  # as the full prediction alone leaves it
                for name in names:
                    self._set_random_states(begin)
                    predictions.append(self._predict(self.model, self.without(batch, name), name))
            return predictions
        if self.view_weights == "EPOCH_SNAPSHOT" and not self._snapshot:
            raise ValueError('view_weights = "EPOCH_SNAPSHOT": call new_epoch() before each epoch')
        model = self._snapshot[0] if self.view_weights == "EPOCH_SNAPSHOT" else self.model
        with _evaluating(model), torch.set_grad_enabled(self.view_weights == "LIVE_WITH_GRADIENT" and
                                                        torch.is_grad_enabled()):
            return [self._predict(model, self.without(batch, name), name) for name in names]
