"""Any model, calibrated: what a training loop sees of it."""
import dataclasses
import itertools
import warnings

import pytest
import torch

import cmerc
from small_model import CLASSES, MODALITIES, WIDTHS, Model, batch, calibrated

VIEWS = MODALITIES + ["same_speaker", "other_speakers"]


def parameters_after(module, steps=3, loss=None):
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    for step in range(steps):
        optimizer.zero_grad()
        (loss or module.loss)(batch(step)).backward()
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def test_a_loss_without_views_is_the_plain_loop_bit_for_bit():
    torch.manual_seed(0)
    plain = Model()

    def loss(one):
        whole = dict(one, context=cmerc.context_mask(one["lengths"]))
        log_probs, _ = plain(whole)
        valid = one["labels"] >= 0
        return torch.nn.functional.nll_loss(log_probs[valid], one["labels"][valid])
    torch.manual_seed(7)
    want = parameters_after(plain, loss=loss)
    wrapped = calibrated([cmerc.Loss("Nll")])
    torch.manual_seed(7)
    # The first step looks at the model, and leaves the random numbers alone.
    assert parameters_after(wrapped).equal(want)


@pytest.mark.parametrize("view_weights", ["EPOCH_SNAPSHOT", "LIVE", "LIVE_WITH_GRADIENT", "LIVE_PAIRED"])
def test_views_leave_no_trace(view_weights):
    """Dropout draws the same numbers after a loss with views as after one without, and statistics are the same."""
    states = []
    for losses in ([cmerc.Loss("Nll")], [cmerc.Loss("Nll"), cmerc.Loss("CalibrationRanking")]):
        module = calibrated(losses, model=None, view_weights=view_weights)
        module.model.norm = torch.nn.BatchNorm1d(8)
        module.new_epoch()
        torch.manual_seed(3)
        one = batch()
        before = {name: value for name, value in one.items()}
        module.loss(one)
        assert module.training and module.model.dropout.training
        assert one.keys() == before.keys() and all(one[name] is value for name, value in before.items())
        states.append((torch.rand(4), module.model.norm.running_mean.clone(), module.model.norm.running_var.clone()))
    for without, with_views in zip(*states):
        assert without.equal(with_views)


def test_paired_views_have_the_dropout_masks_of_the_full_prediction():
    module = calibrated([cmerc.Loss("Nll"), cmerc.Loss("ViewNll")])
    one = batch()
    # A batch whose modality is its own mean everywhere: its view is the batch itself.
    one["audio"] = cmerc.masked_mean(one["audio"], one["lengths"])
    alone = calibrated([cmerc.Loss("Nll"), cmerc.Loss("ViewNll", views=["audio"])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone.loss(one)
        assert alone.terms["Nll"].equal(alone.terms["ViewNll"])  # of the same masks, or they would differ
        module.loss(one)
    assert not module.terms["Nll"].equal(module.terms["ViewNll"])


def test_gradients_reach_the_views_where_they_should():
    for view_weights, moves in (("LIVE_PAIRED", True), ("LIVE_WITH_GRADIENT", True), ("LIVE", False)):
        loss = cmerc.Loss("CalibrationRanking", stop_gradient="FULL")
        if not moves:
            with pytest.raises(ValueError, match="CalibrationRanking teaches"):
                calibrated([cmerc.Loss("Nll"), loss], view_weights=view_weights).loss(batch())
            continue
        module = calibrated([cmerc.Loss("Nll"), loss], view_weights=view_weights)
        module.loss(batch())
        nll = calibrated([cmerc.Loss("Nll")], view_weights=view_weights)
        assert not parameters_after(module).equal(parameters_after(nll))


def test_snapshot_is_of_the_start_of_the_epoch():
    module = calibrated(view_weights="EPOCH_SNAPSHOT")
    with pytest.raises(ValueError, match="new_epoch"):
        module.loss(batch())
    module.new_epoch()
    torch.manual_seed(1)
    module.loss(batch())
    first = module.terms["CalibrationRanking"]
    with torch.no_grad():
        for parameter in module.model.parameters():
            parameter += 1
    torch.manual_seed(1)
    module.loss(batch())
    live = module.terms["CalibrationRanking"]
    full = module.model(module._seen(batch()))
    assert full[0].requires_grad and not first.equal(live)
    assert not any(name.startswith("_snapshot") for name in module.state_dict())
    module.new_epoch()
    torch.manual_seed(1)
    module.loss(batch())
    assert not module.terms["CalibrationRanking"].equal(live)


def test_views_are_the_operators():
    module, one = calibrated(), batch()
    masked = module.without(one, "audio")
    assert masked["audio"].equal(cmerc.masked_mean(one["audio"], one["lengths"])) and masked["text"] is one["text"]
    context = cmerc.context_mask(one["lengths"])
    for view in ("same_speaker", "other_speakers"):
        assert module.without(one, view)["context"].equal(cmerc.context_without(view, context, one["speakers"]))


def test_batches_may_be_objects_and_features_streams():
    @dataclasses.dataclass
    class Batch:
        text: list
        audio: torch.Tensor
        lengths: torch.Tensor
        speakers: torch.Tensor
        labels: torch.Tensor
        context: torch.Tensor = None

    class OfObjects(Model):
        def forward(self, one):
            log_probs, hidden = super().forward({"text": sum(one.text) / 2, "audio": one.audio, "context": one.context})
            return {"log_probs": log_probs, "features": hidden}
    one = batch()
    of_dict, of_object = calibrated(), calibrated(model=(torch.manual_seed(0), OfObjects())[1])
    of_object.load_state_dict(of_dict.state_dict())
    torch.manual_seed(5)
    want = of_dict.loss(one)
    torch.manual_seed(5)
    streams = [one["text"] * 0.5, one["text"] * 1.5]
    got = of_object.loss(Batch(streams, one["audio"], one["lengths"], one["speakers"], one["labels"]))
    assert float(got) == pytest.approx(float(want), rel=1e-5)


def target_share(**options):
    losses = [cmerc.Loss("Nll"), cmerc.Loss("TargetShare", target=0.0, utterances="ALL", initial_weight=0.5,
                                            loss=cmerc.Loss("CalibrationRanking", reduction="MEAN"))]
    return calibrated(losses, **options)


def test_what_a_loss_remembers_moves_with_training():
    module, one = target_share(model=Model(dropout=0)), batch()
    module.eval().loss(one)
    begin = dict(module.memory)
    assert sorted(begin) == sorted(f"TargetShare/weight/{view}" for view in VIEWS)
    assert all(float(weight) == 0.5 for weight in begin.values())  # evaluation is no step
    full, views = module.predict(one)
    truth = one["labels"][one["labels"] >= 0][:, None]
    module.train().loss(one)
    for view, without in views.items():
        share = (without.gather(1, truth) > full.log_probs.gather(1, truth)).double().mean()
        assert float(module.memory[f"TargetShare/weight/{view}"]) == pytest.approx(0.5 + 0.05 * float(share))
    again = target_share(model=Model(dropout=0))
    again.load_state_dict(module.state_dict())
    assert again.loss(one).equal(module.loss(one)) and again.memory == module.memory
    other = calibrated()
    other.load_state_dict(module.state_dict())
    with pytest.raises(ValueError, match="these remember nothing"):
        other.loss(one)
    with pytest.raises(ValueError, match="memory has 0 tensors"):
        cmerc.Loss("TargetShare")(full.log_probs, truth[:, 0], views=views, modalities=MODALITIES)


def of_all_views():
    """Losses that ask for every view and are means over them, in float64, without dropout."""
    losses = [cmerc.Loss("Nll"), (3, cmerc.Loss("ShrunkDistillation", shrinkage=0.2, center="UNIFORM")),
              (0.5, cmerc.Loss("ViewNll")), (2, cmerc.Loss("CalibrationRanking", reduction="MEAN"))]
    return calibrated(losses, model=Model(dropout=0), views_per_step=1).double()


def test_draws_of_views_are_all_views_in_expectation():
    """By enumeration of all draws: value and gradients."""
    one = {name: value.double() if name in MODALITIES else value for name, value in batch().items()}

    def value_and_gradients(module):
        module.zero_grad()
        value = module.loss(one)
        value.backward()
        return torch.cat([value.detach()[None]] + [parameter.grad.flatten() for parameter in module.parameters()])
    module = of_all_views()
    module.views_per_step = 0
    want = value_and_gradients(module)
    for count in (1, 2, 3):
        module.views_per_step = count
        of_draws = []
        for draw in itertools.combinations(VIEWS, count):
            module._drawn = lambda views, draw=draw: [view for view in views if view in draw]
            of_draws.append(value_and_gradients(module))
        assert len(of_draws) in (4, 6) and not of_draws[0].allclose(of_draws[1])
        assert torch.stack(of_draws).mean(0).allclose(want, rtol=1e-12, atol=1e-12), count
    # A sum over views becomes the V-th part of it.
    summed = calibrated([cmerc.Loss("CalibrationRanking")], model=Model(dropout=0))
    whole, parts = summed.loss(batch()), []
    for view in VIEWS:
        summed._drawn = lambda views, view=view: [view]
        parts.append(summed.loss(batch()))
    assert float(sum(parts) / 4) == pytest.approx(float(whole) / 4)


def test_views_are_drawn_anew_for_every_step():
    module, asked = of_all_views(), []
    module.views_per_step = 2
    one = {name: value.double() if name in MODALITIES else value for name, value in batch().items()}
    module.loss(one)  # the first step looks at the model
    predict = module._predict
    module._predict = lambda model, one, view="": (asked.append(view), predict(model, one, view))[1]
    torch.manual_seed(8)
    for _ in range(300):
        module.loss(one)
    steps = [tuple(asked[begin:begin + 3]) for begin in range(0, 900, 3)]
    assert len(asked) == 900 and {step[0] for step in steps} == {""}
    counts = [sum(step[1:] == pair for step in steps) for pair in itertools.combinations(VIEWS, 2)]
    assert sum(counts) == 300 and min(counts) > 25, counts  # of 50, in the order of the views
    again = list(asked)
    asked.clear()
    torch.manual_seed(8)
    for _ in range(300):
        module.loss(one)
    assert asked == again
    asked.clear()
    module.eval().loss(one)  # no step: all of them
    assert asked == [""] + VIEWS


def test_a_loss_of_which_no_view_was_drawn_is_left_out():
    losses = [cmerc.Loss("Nll"), cmerc.Loss("ViewNll", views=["text"]), cmerc.Loss("ViewNll", views=["audio"])]
    module, seen = calibrated(losses, model=Model(dropout=0), views_per_step=1), set()
    for _ in range(10):
        value = module.loss(batch())
        assert float(value) == pytest.approx(float(sum(module.terms.values())))
        seen.add(tuple(module.terms))
    assert seen == {("Nll", "ViewNll"), ("Nll", "ViewNll:3")}


@pytest.mark.parametrize("loss, options, said", [
    (cmerc.Loss("TargetShare"), {"views_per_step": 2}, "views_per_step = 2: TargetShare cannot be computed from some"),
    (cmerc.Loss("ViewNll"), {"views_per_step": -1}, "views_per_step = -1, must be >= 0"),
    (cmerc.Loss("ShrunkDistillation", center="UNIFORM"), {"view_weights": "LIVE"}, "ShrunkDistillation teaches"),
    (cmerc.Loss("ViewNll", 'views: "text" views: "same_speaker"'), {"views": MODALITIES}, "ViewNll needs same_speaker"),
])
def test_refuses_losses_that_no_step_can_be_taken_with(loss, options, said):
    with pytest.raises(ValueError, match=said):
        calibrated([cmerc.Loss("Nll"), loss], **options).loss(batch())


def test_recipe_is_the_recommended_config():
    recipe = cmerc.recipe(WIDTHS)
    assert {name: value for name, value in recipe.items() if name != "losses"} == {
        "modalities": MODALITIES, "view_weights": "LIVE_PAIRED", "views_per_step": 2, "evidence_flags": WIDTHS}
    assert [(weight, loss.plugin) for weight, loss in recipe["losses"]] == [(1, "Nll"), (3, "ShrunkDistillation")]
    of_recipe, written = (calibrated(losses, model=Model(dropout=0)) for losses in (
        recipe["losses"], [cmerc.Loss("Nll"), (3, cmerc.Loss("ShrunkDistillation", shrinkage=0.2, center="UNIFORM"))]))
    of_recipe.load_state_dict(written.state_dict())
    assert of_recipe.loss(batch()).equal(written.loss(batch()))
    module = cmerc.Calibrated(Model(), **recipe)
    module.loss(batch()).backward()
    assert [tuple(flag.shape) for flag in module.flags] == [(4, 5), (4, 3)]
    config = torch.ops.cmerc.calibration_of_config
    for text, said in (("losses { warm_up_epochs: 2 loss { [type.googleapis.com/cmerc.NllOptions] {} } }", "warm_up_epochs"),
                       ("calibration { masked_mean: PADDED_ROWS }", "PADDED_ROWS"), ("losses { los {} }", "los")):
        with pytest.raises(ValueError, match=said):
            config(text)


def test_two_losses_of_a_plugin_are_two_terms():
    module = calibrated([cmerc.Loss("Nll"), cmerc.Loss("ViewNll", views=["text"]), cmerc.Loss("ViewNll", views=["audio"])])
    module.loss(batch())
    assert list(module.terms) == ["Nll", "ViewNll", "ViewNll:3"]
    assert not module.terms["ViewNll"].equal(module.terms["ViewNll:3"])


def test_modules_stay_in_their_modes():
    module = calibrated(view_weights="LIVE")
    module.model.dropout.eval()  # frozen by its owner
    module.loss(batch())
    module.predict(batch())
    assert module.training and module.model.last.training and not module.model.dropout.training


def test_more_padding_changes_nothing():
    one = batch()
    padded = {name: torch.nn.functional.pad(value, (0, 0, 0, 3) if value.dim() == 3 else (0, 3), value=-1)
              if name in ("labels", "speakers") else torch.nn.functional.pad(value, (0, 0, 0, 3))
              for name, value in one.items() if name not in ("lengths", "names")}
    padded.update(lengths=one["lengths"], speakers=padded["speakers"].clamp_min(0))
    module = calibrated(model=Model(dropout=0))
    assert float(module.loss(padded)) == pytest.approx(float(module.loss(one)), rel=1e-5)


def test_without_context():
    module = calibrated([cmerc.Loss("Nll"), cmerc.Loss("CalibrationRanking"), cmerc.Loss("Mscl")], views=MODALITIES)
    one = batch()
    del one["speakers"]
    assert torch.isfinite(module.loss(one))
    assert module.predict(one)[1].keys() == set(MODALITIES)
    with pytest.raises(ValueError, match="Cscl needs same_speaker, other_speakers"):
        calibrated([cmerc.Loss("Nll"), cmerc.Loss("Cscl")], views=MODALITIES).loss(one)
    with pytest.raises(ValueError, match="speakers"):
        calibrated().loss(one)


def test_says_that_a_model_reads_no_context():
    module = calibrated(model=Model(reads_context=False))
    with pytest.warns(UserWarning, match="the same without same_speaker.*context"):
        module.loss(batch())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module.loss(batch(2))  # once
        calibrated().loss(batch())


@pytest.mark.parametrize("change, said", [
    (lambda one: one.pop("audio"), "no audio"), (lambda one: one.pop("lengths"), "no lengths"),
    (lambda one: one.pop("labels"), "no labels"),
    (lambda one: one.update(labels=torch.full((3, 4), 9)), "want a class from 0 to 2"),
    (lambda one: one.update(labels=torch.full((3, 4), -1)), "no utterance of the batch has a label"),
    (lambda one: one.update(lengths=torch.tensor([4, 2, 5])), "lengths"),
])
def test_says_what_is_wrong_with_a_batch(change, said):
    one = batch()
    change(one)
    with pytest.raises((ValueError, RuntimeError), match=said):
        calibrated().loss(one)


def test_says_that_logits_are_none():
    class Logits(Model):
        def forward(self, one):
            log_probs, hidden = super().forward(one)
            return log_probs + 1, hidden
    with pytest.raises(ValueError, match="log_softmax"):
        calibrated(model=Logits()).loss(batch())
    with pytest.raises(ValueError, match='views has "smell"'):
        calibrated(views=["smell"])
    with pytest.raises(ValueError, match="view_weights = 'FROZEN'"):
        calibrated(view_weights="FROZEN")


def test_evidence_flags():
    flagged = calibrated(evidence_flags=WIDTHS)
    plain = calibrated()
    assert [tuple(flag.shape) for flag in flagged.flags] == [(4, 5), (4, 3)]
    one = batch()
    torch.manual_seed(2)
    want = plain.loss(one)
    torch.manual_seed(2)
    loss = flagged.loss(one)
    assert loss.equal(want)  # flags of 0 show nothing
    loss.backward()
    assert all(flag.grad.abs().sum() > 0 for flag in flagged.flags)
    with torch.no_grad():
        flagged.flags[0][1] += 1  # without audio, text is shifted
    assert flagged.predict(one)[0].log_probs.equal(plain.predict(one)[0].log_probs)
    assert not flagged.predict(one)[1]["audio"].equal(plain.predict(one)[1]["audio"])
    assert flagged.predict(one)[1]["text"].equal(plain.predict(one)[1]["text"])
    # What the data lacks is shown in the same way, of that utterance alone.
    evidence = torch.ones(3, 4, 4, dtype=torch.bool)
    evidence[1, 0, 1] = False
    shown = flagged._seen(dict(one, evidence=evidence), flags=flagged.flags)
    assert (shown["text"] != one["text"]).any(2).nonzero().tolist() == [[1, 0]]
    assert shown["audio"].equal(one["audio"])


@pytest.mark.skipif(not hasattr(torch, "compile"), reason=f"torch {torch.__version__} has no torch.compile")
@pytest.mark.parametrize("compiled", ["model", "loss"])
def test_torch_compile(compiled):
    """Of the model, which is compiled then, and of a whole step, which is left alone."""
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward
    losses = [cmerc.Loss("Nll"), cmerc.Loss("ShrunkDistillation")]
    options = {"class_counts": [4, 3, 5], "evidence_flags": WIDTHS}
    module, want = calibrated(losses, model=Model(dropout=0), **options), calibrated(losses, model=Model(dropout=0), **options)
    want.load_state_dict(module.state_dict())
    step = module.loss
    if compiled == "model":
        module.model = torch.compile(module.model, backend=backend)
    else:
        step = torch.compile(lambda one: module.loss(one) * 1, backend=backend)
    assert parameters_after(module, loss=step).allclose(parameters_after(want), atol=1e-6)
    assert graphs
    assert torch.compile(module, backend=backend)(batch())[0].allclose(module(batch())[0])


def test_learns_to_be_surer_with_all_evidence():
    """What ranking is for: fewer utterances are surer of the truth without a source of evidence."""
    train, test = [batch(seed, (6, 5, 6, 4)) for seed in range(6)], [batch(seed, (6, 6, 6)) for seed in range(50, 60)]
    reports = []
    for losses in ([cmerc.Loss("Nll")], [cmerc.Loss("Nll"), (0.5, cmerc.Loss("ShrunkDistillation"))]):
        module = calibrated(losses, class_counts=[40, 40, 40])
        optimizer = torch.optim.Adam(module.parameters(), 1e-2)
        for _ in range(15):
            for one in train:
                optimizer.zero_grad()
                module.loss(one).backward()
                optimizer.step()
        reports.append(cmerc.evaluate(module, test)["test"])
    shares = [sum(view["share_surer_without"] for view in report["views"]) / 4 for report in reports]
    assert [view["view"] for view in reports[0]["views"]] == VIEWS
    assert shares[1] < shares[0]
    assert all(report["accuracy"] > 1.3 / CLASSES for report in reports)
