"""A callback for PyTorch Lightning, which is imported where the callback is made and not before.

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.calibrated = cmerc.Calibrated(Model(), modalities=["text", "audio"], losses=[...])

        def training_step(self, batch, index):
            return self.calibrated.loss(batch)

    trainer = pl.Trainer(callbacks=[cmerc.lightning.callback()])
"""
from __future__ import annotations

import importlib
from typing import Any, Optional, Sequence

from .measures import evaluate, means_over_views


def _base() -> Any:
    for name in ("lightning.pytorch", "pytorch_lightning"):
        try:
            return importlib.import_module(name).Callback
        except ImportError:
            continue
    raise ImportError("there is neither lightning nor pytorch_lightning: pip install lightning")


def callback(attribute: str = "calibrated", class_names: Optional[Sequence[str]] = None) -> Any:
    """A Callback for a module whose `attribute` is a Calibrated.

    Keeps the weights of each epoch's start where view_weights asks for them, logs every loss term of a step
    ("loss/Nll") and what losses remember ("TargetShare/weight/text"), and after each validation epoch scores the batches
    of the validation loader, the first where there are several; they have labels: "valid/weighted_f1", "valid/ece", of
    each view "valid/share_surer_without/VIEW", and the means of means_over_views(), such as "valid/share_of_right".
    """

    class CalibrationCallback(_base()):  # type: ignore[misc]
        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            getattr(pl_module, attribute).new_epoch()

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            calibrated = getattr(pl_module, attribute)
            pl_module.log_dict({**{f"loss/{name}": value for name, value in calibrated.terms.items()},
                                **calibrated.memory})

        def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if trainer.sanity_checking:
                return
            loaders = trainer.val_dataloaders
            loader = loaders[0] if isinstance(loaders, (list, tuple)) else loaders
            batches = (pl_module.transfer_batch_to_device(batch, pl_module.device, 0) for batch in loader)
            report = evaluate(getattr(pl_module, attribute), batches, class_names=class_names)["test"]
            scores = {"weighted_f1": report["weighted_f1"], "ece": report["calibration"]["ece"], **means_over_views(report),
                      **{f"share_surer_without/{one['view']}": one["share_surer_without"] for one in report.get("views", ())}}
            pl_module.log_dict({f"valid/{name}": value for name, value in scores.items()})

    return CalibrationCallback()
