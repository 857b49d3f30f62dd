"""CMERC for PyTorch: calibrates any model of emotions in conversations.

    calibrated = cmerc.Calibrated(model, **cmerc.recipe({"text": 1024, "audio": 300}))  # widths of the modalities
    loss = calibrated.loss(batch, labels)         # in place of F.nll_loss(model(batch), labels)
    print(cmerc.table(cmerc.evaluate(calibrated, test_batches)["test"]))

torch.ops.cmerc has the operators that this package is made of; cmerc.plugins() lists all options.
"""
from ._library import VERSION as __version__
from .calibrated import Calibrated, Prediction
from .losses import (Loss, confidence_labels, context_mask, context_without, masked_mean, plugin_text, plugins, recipe,
                     schedule)
from .measures import (SplitPredictions, calibration, compare, difficulties, evaluate, evidence, means_over_views, predict_split,
                       prediction_sets, table)
from .predictor import Predictor, load, predict

__all__ = [
    "Calibrated", "Loss", "Prediction", "Predictor", "SplitPredictions", "__version__", "calibration", "compare",
    "confidence_labels", "context_mask", "context_without", "difficulties", "evaluate", "evidence", "load", "masked_mean",
    "means_over_views", "plugin_text", "plugins", "predict", "predict_split", "prediction_sets", "recipe", "schedule", "table",
]
