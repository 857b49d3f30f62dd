"""The operators within Python: the official code's numbers, gradients, and what they say to wrong use."""
import json
import os

import pytest
import torch

import cmerc

DATA = os.path.join(os.environ["CMERC_ROOT"], "tests/golden/data")
MODALITIES = ["text", "audio", "visual"]
VIEWS = MODALITIES + ["same_speaker", "other_speakers"]
KEYS = ["t", "a", "v", "intra", "inter"]  # the official names of these views
SETS = ["iemocap", "meld", "meldnolin"]
CLASS_SHARES = [0.086747, 0.144406, 0.227883, 0.160585, 0.127711, 0.252668]


def golden(name):
    return torch.load(os.path.join(DATA, name))


def config(name):
    with open(os.path.join(DATA, "index.json"), encoding="utf-8") as file:
        return json.load(file)["sets"][name]["config"]


def base(name):
    if config(name)["loss"] == "weighted_nll":
        return cmerc.Loss("Nll", class_weights="GIVEN", weight=[1 / share for share in CLASS_SHARES])
    return cmerc.Loss("Focal", form="OFFICIAL_ALL_CLASSES")


def terms(name):
    return {
        "base": base(name), "rank": cmerc.Loss("CalibrationRanking"),
        "rank_modal": cmerc.Loss("CalibrationRanking", views=VIEWS[:3]),
        "rank_context": cmerc.Loss("CalibrationRanking", views=VIEWS[3:]),
        "mscl": cmerc.Loss("Mscl", semantics="OFFICIAL"), "cscl": cmerc.Loss("Cscl", semantics="OFFICIAL")}


def compute(loss, tensors):
    return loss(tensors["log_prob"], tensors["labels_flat"], features=tensors["hidden"], modalities=MODALITIES,
                views={view: tensors[f"{key}.log_prob"] for view, key in zip(VIEWS, KEYS)})


def difference(a, b):
    return float((a.double() - b.double()).abs().max() / max(1, float(b.double().abs().max())))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_losses_are_the_official_ones(name, mode):
    tensors = golden(f"{name}_{mode}.pt")
    for key, loss in terms(name).items():
        assert difference(compute(loss, tensors), tensors[key]) <= 1e-5, key


@pytest.mark.parametrize("name", SETS)
def test_gradients_are_the_official_ones(name):
    tensors = golden(f"{name}_train.pt")
    for key, leaf in (("base", "log_prob"), ("rank", "log_prob"), ("mscl", "hidden"), ("cscl", "hidden")):
        leaves = dict(tensors, **{leaf: tensors[leaf].clone().requires_grad_()})
        gradient, = torch.autograd.grad(compute(terms(name)[key], leaves), leaves[leaf])
        assert difference(gradient, tensors["d%s_d%s" % (key, leaf.replace("_", ""))]) <= 1e-5, key


@pytest.mark.parametrize("name", SETS)
def test_confidence_labels_are_the_official_ones(name):
    tensors = golden(f"{name}_eval.pt")
    for key in KEYS:
        labels, weights = cmerc.confidence_labels(tensors["log_prob"], tensors[f"{key}.log_prob"],
                                                  tensors["labels_flat"])
        assert labels.equal(tensors[f"{key}.scl_label"])
        assert weights.equal(tensors[f"{key}.class_weight"])


@pytest.mark.parametrize("corpus", ["IEMOCAP", "MELD"])
def test_baby_step_is_the_official_one(corpus):
    with open(os.path.join(DATA, "curriculum.json"), encoding="utf-8") as file:
        wanted = json.load(file)[corpus]
    ids = [one[0] for one in wanted["difficulty"]]
    difficulties = torch.tensor([one[1] for one in wanted["difficulty"]])
    assert wanted["epochs"]
    for epoch in wanted["epochs"]:
        chosen = cmerc.schedule("BabyStep", epoch["e"], difficulties, epoch_ratio=wanted["epoch_ratio_arg"],
                                scheduler_steps=wanted["scheduler_steps"])
        chosen = {ids[index] for index in chosen.tolist()}
        selected = [one for one in wanted["trainVid"] if one in chosen]
        assert len(selected) == epoch["kept"], epoch["e"]
        if epoch["keys"] is not None:  # left out of the file where it is all of them
            assert selected == epoch["keys"], epoch["e"]


def test_every_schedule_ends_with_all():
    difficulties = torch.tensor([0.3, 0.1, 0.2, 0.4])
    names = [line.split("cmerc.")[1].split("Options")[0] for line in cmerc.plugins("scheduler").splitlines()
             if "type.googleapis.com/cmerc." in line]
    assert {"BabyStep", "Constant", "Linear", "Root", "Geometric", "Anti"} <= set(names)
    for name in set(names):
        assert cmerc.schedule(name, 10000, difficulties).tolist() == [0, 1, 2, 3]
    assert cmerc.schedule("BabyStep", 0, difficulties, epoch_ratio=0.5).tolist() == [1, 2]


@pytest.mark.parametrize("name", SETS)
def test_difficulty_is_the_official_one(name):
    """The files have the sum of the ranking loss and the difficulty: (ranking + S) / (S + n)."""
    torch.manual_seed(3)
    full = torch.randn(6, 4).log_softmax(1)
    views = [torch.randn(6, 4).log_softmax(1) for _ in range(5)]
    labels = torch.randint(4, (6,))
    rises = [(view - full).gather(1, labels[:, None]).clamp_min(0).sum() for view in views]
    assert torch.ops.cmerc.difficulty(full, views, labels, 3) == pytest.approx(float(sum(rises) + 3) / (3 + 6))
    tensors = golden(f"{name}_diff.pt")
    batch = "b0"
    for index, wanted in enumerate(tensors[f"{batch}.difficulty"].tolist()):
        length = tensors[f"{batch}.d{index}.log_prob"].shape[0]
        ranking = float(tensors[f"{batch}.rank_modal"][index] + tensors[f"{batch}.rank_context"][index])
        # A view that is surer by the ranking, spread over one utterance.
        full = torch.full((length, 2), -1.0)
        view = full.clone()
        view[0, 0] += ranking
        speakers = round((ranking - wanted * length) / (wanted - 1))
        got = torch.ops.cmerc.difficulty(full, [view], torch.zeros(length, dtype=torch.int64), speakers)
        assert got == pytest.approx(wanted, abs=1e-5)


def inputs(dtype=torch.float64, count=7, classes=3):
    torch.manual_seed(1)
    full = torch.randn(count, classes, dtype=dtype).log_softmax(1).requires_grad_()
    features = torch.randn(count, 4, dtype=dtype).requires_grad_()
    views = [torch.randn(count, classes, dtype=dtype).log_softmax(1).requires_grad_() for _ in VIEWS]
    return full, features, views, torch.randint(classes, (count,))


@pytest.mark.parametrize("loss", [
    cmerc.Loss("Nll"), cmerc.Loss("Nll", class_weights="INVERSE_FREQUENCY"), cmerc.Loss("Focal"),
    cmerc.Loss("LabelSmoothing"), cmerc.Loss("SupCon"), cmerc.Loss("CalibrationRanking", reduction="MEAN"),
    cmerc.Loss("Mscl"), cmerc.Loss("Cscl", temperature=0.5), cmerc.Loss("ViewNll"),
    cmerc.Loss("ShrunkDistillation", view_shrinkage=[{"view": "audio", "shrinkage": 0.5}])], ids=lambda loss: loss.text)
def test_gradcheck(loss):
    full, features, views, labels = inputs()

    def value(full, features, *views):
        return loss(full, labels, features=features, views=dict(zip(VIEWS, views)), modalities=MODALITIES,
                    class_counts=[3, 4, 5])
    def plan(view_weights):
        return torch.ops.cmerc.plan_losses([loss.plugin], [loss.text], VIEWS, view_weights, 0, MODALITIES, [3, 4, 5], 3)
    options, (needed,), memory = plan("LIVE_PAIRED")
    assert set(needed) <= set(VIEWS) and memory == {}
    assert cmerc.plugins(loss.plugin).count("cmerc." + loss.plugin) and loss.plugin in options[0]
    # Distillation holds the full prediction, and so does its numerical gradient.
    if loss.plugin == "ShrunkDistillation":
        with pytest.raises(ValueError, match="teaches"):
            plan("LIVE")
        assert torch.autograd.gradcheck(lambda *views: value(full.detach(), features, *views), views)
    else:
        assert torch.autograd.gradcheck(value, (full, features, *views))


def test_utterances_without_a_label_have_no_part():
    full, features, views, labels = inputs(torch.float32)
    loss = cmerc.Loss("Mscl")
    for none in (-1, -100):
        some = labels.clone()
        some[2], some[5] = none, none
        got = loss(full, some, features=features, views=dict(zip(VIEWS, views)), modalities=MODALITIES)
        rows = torch.tensor([0, 1, 3, 4, 6])
        want = loss(full[rows], labels[rows], features=features[rows],
                    views={name: view[rows] for name, view in zip(VIEWS, views)}, modalities=MODALITIES)
        assert got.equal(want)
    with pytest.raises(ValueError, match="no utterance of the batch has a label"):
        loss(full, torch.full_like(labels, -1), features=features, views=dict(zip(VIEWS, views)), modalities=MODALITIES)


@pytest.mark.parametrize("call, said", [
    (lambda: cmerc.Loss("Nnl")(*_pair()), "did you mean cmerc.NllOptions"),
    (lambda: cmerc.Loss("Focal", gamma=-1)(*_pair()), "gamma"),
    (lambda: cmerc.Loss("Focal", gama=1)(*_pair()), "gama"),
    (lambda: cmerc.Loss("Focal", form="NONE_SUCH")(*_pair()), "NONE_SUCH"),
    (lambda: cmerc.Loss("CalibrationRanking", views=["smell"])(*_pair(), modalities=["text"]), "smell.*text"),
    (lambda: cmerc.Loss("CalibrationRanking")(*_pair(), modalities=["text"]), 'no prediction for the view "text"'),
    (lambda: cmerc.Loss("Nll", class_weights="INVERSE_FREQUENCY")(*_pair()), "needs a count for each of the 3"),
    (lambda: cmerc.Loss("SupCon")(*_pair()), r"features \[N, H\]"),
    (lambda: cmerc.Loss("Nll")(_pair()[0], torch.tensor([0, 3])), r"labels\[1\] = 3, want a class from 0 to 2"),
    (lambda: cmerc.Loss("Nll")(_pair()[0], torch.tensor([0, -7])), r"labels\[1\] = -7"),
    (lambda: cmerc.Loss("Nll")(_pair()[0], torch.tensor([0])), r"labels has shape \[1\]"),
    (lambda: cmerc.Loss("Nll")(_pair()[0], torch.tensor([0.0, 1.0])), "Long"),
    (lambda: cmerc.Loss("Nll")(_pair()[0][None], torch.tensor([0])), r"log_probs has shape \[1, 2, 3\]"),
    (lambda: cmerc.Loss("Nll")(*_pair(), views={"audio": torch.zeros(2, 3)}, modalities=["text"]), "audio.*text"),
    (lambda: cmerc.Loss("Nll")(*_pair(), views={"text": torch.zeros(2, 4)}, modalities=["text"]), r"\[2, 4\]"),
    (lambda: cmerc.schedule("BabyStep", -1, torch.rand(3)), "epoch = -1"),
    (lambda: cmerc.schedule("BabyStep", 0, torch.tensor([float("nan")])), "finite"),
    (lambda: cmerc.schedule("BabyStp", 0, torch.rand(3)), "did you mean cmerc.BabyStepOptions"),
    (lambda: cmerc.masked_mean(torch.rand(2, 3), torch.tensor([1, 2])), r"\[2, 3\]"),
    (lambda: cmerc.masked_mean(torch.rand(2, 3, 4), torch.tensor([1, 4])), "lengths holds 4"),
    (lambda: cmerc.masked_mean(torch.rand(2, 3, 4), torch.tensor([1, 0])), "lengths holds 0"),
    (lambda: cmerc.context_without("text", torch.ones(1, 2, 2, dtype=torch.bool), torch.zeros(1, 2).long()), "text"),
    (lambda: cmerc.plugins("nonsense"), "nonsense"),
])
def test_says_what_is_wrong(call, said):
    with pytest.raises(ValueError, match=f"(?s){said}"):
        call()


def _pair():
    return torch.randn(2, 3).log_softmax(1), torch.tensor([0, 2])


def test_masked_mean():
    features = torch.tensor([[[1.0], [3.0], [0.0]], [[2.0], [4.0], [9.0]]])
    lengths = torch.tensor([2, 3])
    assert cmerc.masked_mean(features, lengths).flatten().tolist() == [2, 2, 0, 5, 5, 5]
    assert cmerc.masked_mean(features, lengths, past=True).flatten().tolist() == [1, 2, 0, 2, 3, 5]
    padded = cmerc.masked_mean(features, lengths, padded_rows=True).flatten().tolist()
    assert padded == pytest.approx([4 / 3] * 3 + [5] * 3)
    wide = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda one: cmerc.masked_mean(one, lengths), wide)


def test_context_masks():
    context = cmerc.context_mask(torch.tensor([3, 2]))
    assert context.dtype == torch.bool and context.shape == (2, 3, 3)
    assert context[0].all() and context[1].tolist() == [[True, True, False]] * 2 + [[False] * 3]
    past = cmerc.context_mask(torch.tensor([3, 2]), past=True)
    assert past.equal(context.tril())
    speakers = torch.tensor([[0, 1, 0], [1, 1, 0]])
    same = speakers[:, :, None] == speakers[:, None, :]
    itself = torch.eye(3, dtype=torch.bool)
    assert cmerc.context_without("same_speaker", context, speakers).equal(context & (~same | itself))
    assert cmerc.context_without("other_speakers", context, speakers).equal(context & same)


def test_evidence_is_shown_with_a_gradient():
    torch.manual_seed(1)
    text, audio = torch.randn(1, 3, 4), torch.randn(1, 3, 2)
    shifts = [torch.randn(4, 4, requires_grad=True), torch.randn(4, 2, requires_grad=True)]
    evidence = torch.ones(1, 3, 4, dtype=torch.bool)
    evidence[0, 1, 1], evidence[0, 1, 3], evidence[0, 2] = False, False, False  # the last one is padding
    lengths = torch.tensor([2])
    streams, nothing = {"text": [text, text * 2], "audio": [audio]}, (None, None)
    shown, context = torch.ops.cmerc.seen_batch("", streams, lengths, *nothing, evidence, shifts)
    assert list(shown) == ["text", "audio"] and context.equal(torch.tensor([[[1, 1, 0], [1, 1, 0], [0, 0, 0]]]).bool())
    for got, stream, shift in zip(shown["text"] + shown["audio"], (text, text * 2, audio), (shifts[0], shifts[0], shifts[1])):
        want = stream.clone()
        want[0, 1] += shift[1] + shift[3]
        assert torch.allclose(got, want) and got[0, [0, 2]].equal(stream[0, [0, 2]])
    sum(one.sum() for one in shown["text"] + shown["audio"]).backward()
    assert shifts[0].grad.sum(1).tolist() == [0, 8, 0, 8] and shifts[1].grad.sum(1).tolist() == [0, 2, 0, 2]
    with pytest.raises(ValueError, match=r"want \[B, T, 4\] Bool"):
        torch.ops.cmerc.seen_batch("", streams, lengths, *nothing, evidence.float(), shifts)


@pytest.mark.parametrize("view, change, said", [
    ("smell", {}, 'views has "smell", must be among text, audio, same_speaker'),
    ("same_speaker", {}, 'the view "same_speaker" needs batch'),
    ("same_speaker", {"speakers": torch.zeros(2)}, r"speakers \[2\] and Float; want"),
    ("audio", {"streams": {"text": [torch.ones(1, 3, 4)], "audio": [torch.ones(1, 2, 4)]}}, r"audio has shape \[1, 2, 4\]"),
    ("audio", {"streams": {"text": [torch.ones(1, 3, 4)], "audio": [torch.ones(1, 3)]}}, r"audio has shape \[1, 3\]"),
    ("", {"streams": {"text": [], "audio": []}}, "text has no stream"), ("", {"streams": {}}, "no modality"),
    ("", {"streams": {"text": [torch.ones(3)]}}, r"text has shape \[3\]"),
    ("", {"lengths": torch.tensor([4])}, "lengths holds 4"),
    ("", {"shifts": [torch.zeros(4, 4), torch.zeros(3, 2)]}, r"the shifts of audio have shape \[3, 2\], want \[4, D\]"),
])
def test_says_what_is_wrong_with_what_a_model_sees(view, change, said):
    given = {"streams": {"text": [torch.ones(1, 3, 4)], "audio": [torch.ones(1, 3, 2)]}, "lengths": torch.tensor([2]),
             "speakers": None, "shifts": [], **change}
    with pytest.raises(ValueError, match=said):
        torch.ops.cmerc.seen_batch(view, given["streams"], given["lengths"], None, given["speakers"], None, given["shifts"])


def test_operators_alone_need_no_package():
    """torch.ops.load_library() is all that is needed."""
    full, _, _, labels = inputs(torch.float32)
    text = "[type.googleapis.com/cmerc.NllOptions] {}"
    got = torch.ops.cmerc.loss(text, full, None, labels, [], [], [], [])
    assert got.equal(torch.nn.functional.nll_loss(full, labels))


@pytest.mark.skipif(not hasattr(torch, "compile"), reason=f"torch {torch.__version__} has no torch.compile")
def test_torch_compile_leaves_losses_alone():
    full, features, views, labels = inputs(torch.float32)
    loss = cmerc.Loss("Mscl")

    def step(scale):
        return loss(full, labels, features=features * scale, views=dict(zip(VIEWS, views)), modalities=MODALITIES) * scale
    got, want = torch.tensor(2.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    value = torch.compile(step, backend="eager")(got)
    assert torch.allclose(value, step(want))
    value.backward()
    step(want).backward()
    assert torch.allclose(got.grad, want.grad)
