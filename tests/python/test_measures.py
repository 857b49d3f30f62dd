"""Scores: of a model, and single measures, against definitions written out in PyTorch."""
import pytest
import torch

import cmerc
from small_model import CLASSES, batch, calibrated

NAMES = ["calm", "angry", "sad"]


def predictions(count=60, seed=4):
    generator = torch.Generator().manual_seed(seed)
    full = (2 * torch.randn(count, CLASSES, generator=generator)).log_softmax(1)
    view = (2 * torch.randn(count, CLASSES, generator=generator)).log_softmax(1)
    return full, view, torch.randint(CLASSES, (count,), generator=generator)


def test_calibration_is_what_it_says():
    full, _, labels = predictions()
    report = cmerc.calibration(full, labels, [20, 30, 10])
    confidence, predicted = full.double().exp().max(1)
    bins = (confidence * 15).ceil().long() - 1
    gaps = [abs(float(((predicted == labels).double() - confidence)[bins == b].sum())) for b in range(15)]
    assert report["ece"] == pytest.approx(sum(gaps) / len(labels))
    assert report["nll"] == pytest.approx(float(torch.nn.functional.nll_loss(full.double(), labels)))
    truth = torch.nn.functional.one_hot(labels, CLASSES)
    assert report["brier"] == pytest.approx(float(((full.double().exp() - truth) ** 2).sum(1).mean()))
    assert report["ece_floor"] > 0 and report["ece_error"] > 0
    assert "ece_floor" not in cmerc.calibration(full, labels)


def test_evidence_is_what_it_says():
    full, view, labels = predictions()
    report = cmerc.evidence(full, view, labels)
    truth = labels[:, None]
    surer = (view.gather(1, truth) > full.gather(1, truth)).double()
    assert report["share_surer_without"] == pytest.approx(float(surer.mean()))
    floor = (full.double().exp() * (view > full)).sum(1).mean()
    assert report["evidence"]["floor"] == pytest.approx(float(floor))
    violating = (view.max(1).values > full.max(1).values).double().mean()
    assert report["evidence"]["violating_ranking_rate"] == pytest.approx(float(violating))


def test_prediction_sets_cover():
    full, _, labels = predictions(3000)
    # Labels that have the probabilities: the sets are of a model that is calibrated.
    labels = torch.multinomial(full.exp(), 1, generator=torch.Generator().manual_seed(1)).squeeze(1)
    valid = cmerc.SplitPredictions(full[:1500], labels[:1500], [10] * 150, {})
    for method in ("split", "class_conditional", "adaptive"):
        sets = cmerc.prediction_sets(valid, full[1500:], coverage=0.8, method=method)
        assert sets.dtype == torch.bool and sets.shape == (1500, CLASSES)
        assert 0.75 < float(sets.gather(1, labels[1500:, None]).double().mean()) < (1 if method == "adaptive" else 0.86)
    with pytest.raises(ValueError, match="method = .*adaptive"):
        cmerc.prediction_sets(valid, full, method="splt")
    with pytest.raises(ValueError, match="coverage = 1"):
        cmerc.prediction_sets(valid, full, coverage=1.0)


def test_evaluate_has_what_summary_json_has():
    module = calibrated([cmerc.Loss("Nll")])
    test, valid = [batch(seed) for seed in range(5)], [batch(seed, (3, 4)) for seed in range(90, 96)]
    alone = cmerc.evaluate(module, test, class_names=NAMES)
    report = alone["test"]
    assert alone["test"]["risk_coverage"]["points"]
    assert "valid" not in alone and report["conversations"] == 15 and report["utterances"] == 45
    assert [one["name"] for one in report["classes"]] == NAMES
    assert "post_hoc" not in report or not report["post_hoc"]
    held_out = cmerc.evaluate(module, test, valid=valid, class_names=NAMES, coverage=0.7)
    assert held_out["valid"]["utterances"] == 42
    assert held_out["test"]["accuracy"] == report["accuracy"] and held_out["test"]["views"] == report["views"]
    assert [one["method"] for one in held_out["test"]["sets"]["methods"]] == ["split", "class_conditional", "adaptive"]
    assert {one["asked"] for one in held_out["test"]["sets"]["methods"]} == {0.7}
    assert held_out["test"]["risk_coverage"]["points"]
    withheld = [line for line in held_out["warnings"] if "is withheld" in line]
    assert len(held_out["test"].get("post_hoc", [])) + len(withheld) == 3
    split = cmerc.predict_split(module, test)
    assert report["calibration"]["ece"] == cmerc.calibration(split.log_probs, split.labels)["ece"]
    text = cmerc.table(held_out["test"])
    assert all(name in text for name in NAMES) and "ECE" in text
    both = cmerc.compare(held_out, alone)
    assert "weighted F1" in both and "same_speaker" in both


def test_means_over_views():
    report = cmerc.evaluate(calibrated([cmerc.Loss("Nll")]), [batch(seed) for seed in range(5)])["test"]
    means = cmerc.means_over_views(report)
    for name, values in (("mean_share_surer_without", [one["share_surer_without"] for one in report["views"]]),
                         ("violating_ranking_rate", [one["evidence"]["violating_ranking_rate"] for one in report["views"]]),
                         ("share_of_right", [one["evidence"]["share_of_right"] for one in report["views"]]),
                         ("ece_of_views", [one["calibration"]["ece"] for one in report["views"]])):
        assert means[name] == pytest.approx(sum(values) / 4), name
    assert cmerc.means_over_views({**report, "views": []}) == {}


def test_scores_are_of_labelled_utterances():
    module, one = calibrated([cmerc.Loss("Nll")]), batch()
    some = dict(one, labels=one["labels"].clone())
    some["labels"][0, 1] = -100
    report = cmerc.evaluate(module, [some])["test"]
    assert report["utterances"] == 8 and report["unlabelled_utterances"] == 1


def test_difficulties():
    module = calibrated()
    one = batch(lengths=(4,))
    full, views = module.predict(one)
    labels = one["labels"][0]
    ranking = sum(float((view - full.log_probs).gather(1, labels[:, None]).clamp_min(0).sum())
                  for view in views.values())
    speakers = int(one["speakers"].max()) + 1
    got = cmerc.difficulties(module, [one, batch(2, (3,))])
    assert got.shape == (2,) and got.dtype == torch.float32
    assert float(got[0]) == pytest.approx((ranking + speakers) / (speakers + 4))
    with pytest.raises(ValueError, match="3 conversations"):
        cmerc.difficulties(module, [batch()])


@pytest.mark.parametrize("call, said", [
    (lambda full, labels: cmerc.calibration(full * 2, labels), "sum"),
    (lambda full, labels: cmerc.calibration(full, labels, [3]), "sum of lengths is 3, want 60"),
    (lambda full, labels: cmerc.calibration(full, labels[:5]), r"want \[60\]"),
    (lambda full, labels: cmerc.calibration(full.fill_(float("nan")), labels), "finite"),
    (lambda full, labels: cmerc.evaluate(calibrated(), []), "no batch"),
    (lambda full, labels: cmerc.evaluate(calibrated(), [batch()], class_names=["one"]), "1 class_names"),
    (lambda full, labels: cmerc.table({"accuracy": "high"}), "report of a split"),
])
def test_says_what_is_wrong(call, said):
    full, _, labels = predictions()
    with pytest.raises(ValueError, match=said):
        call(full, labels)
