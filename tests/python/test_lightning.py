"""The callback for PyTorch Lightning, where that is installed."""
import sys
import types

import pytest
import torch

import cmerc
import cmerc.lightning
from small_model import batch, calibrated


def lightning():
    for name in ("lightning.pytorch", "pytorch_lightning"):
        try:
            return __import__(name, fromlist=["Trainer"])
        except ImportError:
            continue
        except ValueError as error:  # Debian 12's torch.distributed under Python 3.11
            pytest.skip(f"{name} cannot be imported: {error}")
    return None


def test_says_that_there_is_no_lightning(monkeypatch):
    for name in ("lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install lightning"):
        cmerc.lightning.callback()


def test_what_the_callback_does_when_it_is_called(monkeypatch):
    """With a stand-in for Lightning, which has to be nowhere: the test below is of Lightning itself."""
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    monkeypatch.setitem(sys.modules, "pytorch_lightning", types.SimpleNamespace(Callback=object))
    callback, logged = cmerc.lightning.callback(class_names=["calm", "angry", "sad"]), {}
    losses = [cmerc.Loss("Nll"), cmerc.Loss("CalibrationRanking"), cmerc.Loss("TargetShare", initial_weight=0.5)]
    module = types.SimpleNamespace(calibrated=calibrated(losses, view_weights="EPOCH_SNAPSHOT"), log_dict=logged.update,
                                   device="cpu", transfer_batch_to_device=lambda one, device, index: one)
    batches = [batch(seed) for seed in range(3)]
    trainer = types.SimpleNamespace(sanity_checking=True, val_dataloaders=[batches, []])
    callback.on_train_epoch_start(trainer, module)
    module.calibrated.loss(batches[0])  # which needs the snapshot
    callback.on_train_batch_end(trainer, module, None, batches[0], 0)
    assert logged == {**{f"loss/{name}": value for name, value in module.calibrated.terms.items()}, **module.calibrated.memory}
    assert {"loss/Nll", "loss/CalibrationRanking", "TargetShare/weight/audio"} <= set(logged)
    logged.clear()
    callback.on_validation_epoch_end(trainer, module)
    assert not logged
    trainer.sanity_checking = False
    callback.on_validation_epoch_end(trainer, module)
    report = cmerc.evaluate(module.calibrated, batches)["test"]
    assert logged["valid/weighted_f1"] == report["weighted_f1"] and logged["valid/ece"] == report["calibration"]["ece"]
    assert logged["valid/share_surer_without/text"] == report["views"][0]["share_surer_without"]
    assert logged["valid/share_of_right"] == cmerc.means_over_views(report)["share_of_right"]


def test_callback(tmp_path):
    pl = lightning()
    if pl is None:
        pytest.skip("neither lightning nor pytorch_lightning is installed")

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            losses = [cmerc.Loss("Nll"), cmerc.Loss("CalibrationRanking"), cmerc.Loss("TargetShare", initial_weight=0.5)]
            self.calibrated = calibrated(losses, view_weights="EPOCH_SNAPSHOT")

        def training_step(self, one, index):
            return self.calibrated.loss(one)

        def validation_step(self, one, index):
            pass

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters())
    batches = torch.utils.data.DataLoader([batch(seed) for seed in range(3)], batch_size=None)
    trainer = pl.Trainer(max_epochs=2, default_root_dir=tmp_path, callbacks=[cmerc.lightning.callback()],
                         accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    module = Module()
    trainer.fit(module, batches, batches)
    logged = trainer.callback_metrics
    assert {"loss/Nll", "loss/CalibrationRanking", "valid/weighted_f1", "valid/ece", "TargetShare/weight/audio",
            "valid/share_surer_without/same_speaker", "valid/violating_ranking_rate"} <= set(logged)
    report = cmerc.evaluate(module.calibrated, batches)["test"]
    assert float(logged["valid/weighted_f1"]) == pytest.approx(report["weighted_f1"])
    assert float(logged["valid/share_of_right"]) == pytest.approx(cmerc.means_over_views(report)["share_of_right"])
    # A checkpoint of Lightning has what losses remember.
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = Module()
    again.load_state_dict(torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"])
    assert again.calibrated.memory == module.calibrated.memory != {}
