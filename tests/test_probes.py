"""Probes: against scikit-learn, and against plain PyTorch, one module, optimizer and scheduler per
variable.
"""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import steps
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workflow_src import artifacts, encoders
from workflow_src.ari.labels import CATEGORIES, variables
from workflow_src.config.probes import Probe, ProbeProtocol
from workflow_src.config.run import Config
from workflow_src.episodes import dataset
from workflow_src.errors import UserError
from workflow_src.means import summarise
from workflow_src.probes import fitting, metrics, probe
from workflow_src.probes.kinds import linear, logistic, mlp
from workflow_src.probes.majority import majority
from workflow_src.schedules import Limits, Schedule

CPU = torch.device("cpu")
SETTINGS = Probe(
    kinds=["linear", "mlp", "observed", "logistic"],
    options={"mlp": {"hidden": 7}, "logistic": {"C": 0.5, "max_iter": 500}},
    classes=8,
    epochs=3,
    patience=15,
    batch_size=16,
    eps=1e-5,
    plateau_patience=5,
    plateau_factor=0.2,
    min_lr=1e-5,
    threads=1,
)


pytestmark = pytest.mark.usefixtures("one_thread")


def changed(**change):
    return SETTINGS.model_copy(update=change)


def quirks(keep="last", sampling="permutation", lr=3e-3):
    return ProbeProtocol(keep=keep, sampling=sampling, lr=lr)


def part(n, d=6, variables=3, classes=8, seed=0):
    """Features of four episodes, and labels that have nothing to do with them."""
    rng = np.random.default_rng(seed)
    lengths = np.array([len(piece) for piece in np.array_split(np.arange(n), 4)])
    return linear.Features(
        rng.normal(size=(n, d)).astype(np.float32),
        rng.integers(classes, size=(n, variables)),
        lengths,
    )


def regression(train, settings):
    """Logistic regression, for which validation and the protocol play no role."""
    return logistic.fit(train, train, settings, quirks(), np.random.default_rng(0), CPU)


def separable(n, seed, width=12):
    """First variable: which quadrant the features are in; second: nothing to do with them."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, width)).astype(np.float32)
    values[:, :2] += np.sign(values[:, :2])
    quadrant = (values[:, 0] > 0) * 2 + (values[:, 1] > 0)
    labels = np.stack([quadrant, rng.integers(4, size=n)], axis=1)
    return linear.Features(values, labels, np.array([n // 2, n - n // 2]))


def exclusive(n, seed, width=6):
    """First variable: whether two features are of one sign, which no linear classifier finds;
    second: the sign of a third.
    """
    values = np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)
    above = values > 0
    return linear.Features(
        values,
        np.stack([above[:, 0] ^ above[:, 1], above[:, 2]], axis=1).astype(np.uint8),
        np.array([n]),
    )


def fit(train, val, settings=SETTINGS, switches=None, seed=0, kind=linear, **how):
    return kind.fit(
        train, val, settings, switches or quirks(), np.random.default_rng(seed), CPU, **how
    )


def accuracy(probes, test):
    return metrics.scores(test.labels, probes.predict(test.values))["accuracy"]


# Metrics


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 3), st.integers(1, 256), st.integers(0, 2**32))
def test_scores_are_those_of_scikit_learn(n, variables, values, seed):
    true, predicted = np.random.default_rng(seed).integers(values, size=(2, n, variables))
    found = metrics.scores(true.astype(np.uint8), predicted)
    for v in range(variables):
        f1 = f1_score(true[:, v], predicted[:, v], average="weighted", zero_division=0)
        assert found["f1"][v] == pytest.approx(f1, abs=1e-12)
        assert found["accuracy"][v] == pytest.approx(
            accuracy_score(true[:, v], predicted[:, v]), abs=1e-12
        )


def test_scores_of_degenerate_predictions():
    true = np.array([[0, 255, 3], [0, 255, 4], [0, 255, 3], [0, 255, 4]], np.uint8)
    predicted = np.array([[0, 0, 3], [0, 0, 3], [0, 0, 3], [0, 0, 3]])
    found = metrics.scores(true, predicted)
    # Third variable: class 3 has F1 2*2/(2+4) = 2/3 and half the weight, class 4 has 0.
    np.testing.assert_allclose(found["f1"], [1, 0, 1 / 3])
    np.testing.assert_allclose(found["accuracy"], [1, 0, 0.5])


def test_summary_of_categories_a_member_of_one_and_an_outsider():
    values = {
        "ball_x": 0.2,
        "ball_y": 0.4,
        "num_lives_direction": 0.9,
        "room_number": 0.5,
        "tile_color": 1.0,
    }
    found = summarise(
        {name: {"f1": value, "accuracy": value / 2, "support": 7} for name, value in values.items()}
    )
    # num_lives_direction is in two categories, tile_color in none.
    assert {name: row["f1"] for name, row in found["categories"].items()} == pytest.approx(
        {"small_object_localization": 0.3, "score_clock_lives_display": 0.9, "misc": 0.7}
    )
    assert found["mean_over_categories"] == pytest.approx({"f1": 1.9 / 3, "accuracy": 0.95 / 3})
    assert found["mean_over_variables"] == pytest.approx({"f1": 0.6, "accuracy": 0.3})
    # Small objects have 2 variables, the display 1, misc 2: num_lives_direction counts twice,
    # tile_color not at all.
    assert found["mean_weighted"] == pytest.approx(
        {"f1": (2 * 0.3 + 0.9 + 2 * 0.7) / 5, "accuracy": 1.45 / 5}
    )
    assert all(
        type(value) is float for row in found["categories"].values() for value in row.values()
    )


def test_summary_without_any_category_is_refused():
    with pytest.raises(UserError, match="tile_color"):
        summarise({"tile_color": {"f1": 1.0, "accuracy": 1.0}})


def test_majority_takes_the_smallest_of_the_most_frequent():
    labels = np.array([[7, 255, 1], [7, 255, 0], [2, 9, 1], [2, 255, 0], [0, 255, 3]], np.uint8)
    assert majority(labels).tolist() == [2, 255, 0]


# The stack of all variables against one module, optimizer, scheduler and early stopper for each


class EarlyStopping:
    """The 2019 code's rule, as a plain loop."""

    def __init__(self, patience):
        self.patience, self.counter, self.best, self.stop = patience, 0, None, False

    def __call__(self, accuracy):
        better = self.best is None or accuracy > self.best
        if better:
            self.best, self.counter = accuracy, 0
        else:
            self.counter += 1
            self.stop = self.counter >= self.patience
        return better


class Masked(torch.nn.Module):
    """A linear classifier of the classes in ``seen``, bool (classes,)."""

    def __init__(self, d, seen):
        super().__init__()
        self.layer, self.seen = torch.nn.Linear(d, len(seen)), seen

    def forward(self, x):
        return self.layer(x).masked_fill(~self.seen, -torch.inf)


def modules(train, settings, rng, kind="linear"):
    """One module a variable, with the weights that the stack of ``kind`` draws."""
    variables, d = train.labels.shape[1], train.values.shape[1]
    hidden = settings.resolved_options("mlp")["hidden"]
    sizes = [(d, hidden), (hidden, settings.classes)] if kind == "mlp" else [(d, settings.classes)]
    weights = [
        tensor
        for inputs, units in sizes
        for tensor in fitting.initial(variables, units, inputs, rng)
    ]
    found = []
    for v in range(variables):
        if kind == "mlp":
            layers = [torch.nn.Linear(*size) for size in sizes]
            model = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])
        else:
            seen = torch.tensor(np.isin(np.arange(settings.classes), train.labels[:, v]))
            model = Masked(d, seen if kind == "observed" else torch.ones_like(seen))
        for parameter, drawn in zip(model.parameters(), weights, strict=True):
            parameter.data = drawn[v].clone()
        found.append(model)
    return found


def plain(train, val, settings, switches, rng, kind="linear"):
    """What ``fit`` does, one variable after the other: modules, and (accuracy, learning rate) an
    epoch.
    """
    size = settings.batch_size
    models = modules(train, settings, rng, kind)
    epochs = []
    for _ in range(settings.epochs):
        order = dataset.draw(train.lengths, switches.sampling, rng)
        if switches.sampling == "replacement":
            drawn = dataset.draw(val.lengths, "replacement", rng)
            epochs.append((order, drawn[: len(drawn) // size * size]))
        else:
            epochs.append((order, np.arange(len(val.values))))
    results = []
    for v, model in enumerate(models):
        optimizer = torch.optim.Adam(model.parameters(), lr=switches.lr, eps=settings.eps)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            mode="max",
            factor=settings.plateau_factor,
            patience=settings.plateau_patience,
            min_lr=settings.min_lr,
        )
        stopper, best, history = EarlyStopping(settings.patience), None, []
        for order, val_order in epochs:
            if stopper.stop:
                break
            rate = optimizer.param_groups[0]["lr"]
            for i in range(len(order) // size):
                batch = order[i * size : (i + 1) * size]
                optimizer.zero_grad()
                scores = model(torch.tensor(train.values[batch]))
                torch.nn.functional.cross_entropy(
                    scores, torch.tensor(train.labels[batch, v])
                ).backward()
                optimizer.step()
            with torch.no_grad():
                hits = (
                    model(torch.tensor(val.values[val_order])).argmax(1).numpy()
                    == val.labels[val_order, v]
                )
            if stopper(hits.mean()):
                best = copy.deepcopy(model)
            scheduler.step(hits.mean())
            history.append((hits.mean(), rate))
        results.append((best if switches.keep == "best" else model, np.array(history)))
    return results


STACKED = {"linear": {}, "observed": {"observed": True}, "mlp": {"kind": mlp}}


def assert_same_weights(probes, v, model):
    """The probe of variable ``v`` has the weights of ``model``, where a score can show it."""
    names = (
        ("hidden_weight", "hidden_bias", "weight", "bias")
        if isinstance(probes, mlp.MlpProbes)
        else ("weight", "bias")
    )
    for name, expected in zip(names, model.parameters(), strict=True):
        found = getattr(probes, name)[v]
        if isinstance(model, Masked):
            found, expected = found[model.seen], expected[model.seen]
        torch.testing.assert_close(found, expected.detach(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sampling", ["permutation", "replacement"])
@pytest.mark.parametrize("keep", ["last", "best"])
@pytest.mark.parametrize("kind", STACKED)
def test_all_variables_at_once_equal_one_after_the_other(kind, keep, sampling):
    # Labels without meaning: accuracies go up and down, rates fall at different times, variables
    # stop at different epochs.
    train, val, switches = (
        part(100, variables=5),
        part(43, variables=5, seed=1),
        quirks(keep, sampling),
    )
    train.labels[train.labels[:, 1] > 4, 1] = (
        0  # the second variable's validation has classes that train has not
    )
    settings = changed(epochs=25, patience=7, plateau_patience=1)
    found = fit(train, val, settings, switches, seed=13, **STACKED[kind])
    expected = plain(train, val, settings, switches, np.random.default_rng(13), kind)
    epochs = [len(history) for _, history in expected]
    assert len(set(epochs)) > 2, "the case is too easy: variables should stop at different epochs"
    for v, (model, history) in enumerate(expected):
        assert_same_weights(found, v, model)
        np.testing.assert_array_equal(found.accuracy[: epochs[v], v], history[:, 0])
        np.testing.assert_allclose(found.rate[: epochs[v], v], history[:, 1], rtol=1e-12)
        assert np.isnan(found.accuracy[epochs[v] :, v]).all()
    assert np.nanmin(found.rate) < switches.lr / 20, "the case is too easy: rates should fall twice"


@pytest.mark.parametrize("kind", STACKED)
def test_steps_equal_autograd_at_the_papers_size(kind):
    train, val = part(64 * 20, d=256, classes=256), part(64, d=256, classes=256, seed=1)
    settings, switches = (
        changed(classes=256, options={"mlp": {"hidden": 256}}, batch_size=64, epochs=1),
        quirks(lr=3e-4),
    )
    found = fit(train, val, settings, switches, **STACKED[kind])
    for v, (model, _) in enumerate(
        plain(train, val, settings, switches, np.random.default_rng(0), kind)
    ):
        assert_same_weights(found, v, model)


@pytest.mark.parametrize("rate", [1, 0.04])
def test_gradients_of_the_hidden_layer_equal_autograd_at_any_rate(rate):
    train, settings = part(16), changed()
    models = modules(train, settings, np.random.default_rng(0), "mlp")
    bank = mlp.Bank(
        [torch.stack(p).detach() for p in zip(*(m.parameters() for m in models), strict=True)],
        1e-3,
        1e-5,
        CPU,
    )
    bank.set_rates(np.array([1, rate, rate]))
    x, y = torch.tensor(train.values), torch.tensor(train.labels)
    bank.learn(x.unsqueeze(0), y.unsqueeze(0))
    for v, model in enumerate(models):
        torch.nn.functional.cross_entropy(model(x), y[:, v]).backward()
        for found, parameter in zip(bank.parameters, model.parameters(), strict=True):
            torch.testing.assert_close(found.grad[v], parameter.grad, atol=1e-7, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), min_size=1, max_size=60),
    st.sampled_from([1e-6, 1e-4, 3e-4, 5e-2]),
    st.integers(2, 60),
)
def test_schedule_equals_torch_and_a_plain_loop(sequence, lr, patience):
    # Steps of a hundred thousandth fall on both sides of the plateau's threshold.
    schedule = Schedule(3, lr, Limits(patience, 2, 0.2, 1e-5))
    optimizers = [torch.optim.SGD([torch.zeros(1)], lr=lr) for _ in range(3)]
    plateaus = [
        torch.optim.lr_scheduler.ReduceLROnPlateau(o, "max", factor=0.2, patience=2, min_lr=1e-5)
        for o in optimizers
    ]
    stoppers = [EarlyStopping(patience) for _ in range(3)]
    for accuracies in 0.1 + np.array(sequence) / 12e4:
        better, stopped = schedule.step(accuracies)
        assert better.tolist() == [
            stopper(a) for stopper, a in zip(stoppers, accuracies, strict=True)
        ]
        assert stopped.tolist() == [stopper.stop for stopper in stoppers]
        for plateau, accuracy in zip(plateaus, accuracies, strict=True):
            plateau.step(accuracy)
        assert schedule.rate.tolist() == [o.param_groups[0]["lr"] for o in optimizers]
        if stopped.any():
            break


@pytest.mark.parametrize("kind", [linear, mlp])
def test_a_rate_that_changes_and_neighbours_that_leave_do_not_change_weights_and_predictions(kind):
    rng, train = np.random.default_rng(0), part(32)
    layers = [(8, 6)] if kind is linear else [(7, 6), (8, 7)]
    bank = kind.Bank(
        [tensor for layer in layers for tensor in fitting.initial(3, *layer, rng)], 1e-3, 1e-5, CPU
    )
    x = torch.tensor(train.values)
    bank.learn(x.view(2, 16, 6), torch.tensor(train.labels).view(2, 16, 3))
    before, scores = bank.weights(), bank.scores(x)
    factor = np.array([1, 0.2, 0.04], np.float32)
    bank.set_rates(factor)
    torch.testing.assert_close(
        bank.scores(x) * torch.tensor(factor)[:, None], scores, atol=1e-6, rtol=1e-5
    )
    bank.retain(torch.tensor([True, False, True]))
    for old, new in zip(before, bank.weights(), strict=True):
        torch.testing.assert_close(old[[0, 2]], new, atol=0, rtol=3e-7)


def test_a_stopped_variable_keeps_the_weights_of_the_epoch_it_stopped_at():
    train, val = separable(128, 0), separable(64, 1)
    val.labels[:, 1] = (
        9  # never right, so the first accuracy is never exceeded: it stops after 1 + 3 epochs
    )
    long, short = (
        fit(train, val, changed(patience=3, classes=16, epochs=epochs)) for epochs in (9, 4)
    )
    assert np.isfinite(long.accuracy).sum(0)[1] == 4
    assert torch.equal(long.weight[1], short.weight[1]) and torch.equal(long.bias[1], short.bias[1])
    assert not torch.equal(long.weight[0], short.weight[0])


def test_best_and_last_weights_differ_where_validation_gets_worse():
    # Validation contradicts training: whatever the first variable learns makes it worse, so its
    # first epoch is the best.
    train, val = separable(128, 0), separable(64, 1)
    val.labels[:] = (val.labels + 1) % 4
    which = (1, "last"), (6, "best"), (6, "last")
    first, best, last = (
        fit(train, val, changed(epochs=epochs), quirks(keep, lr=1e-2)) for epochs, keep in which
    )
    assert first.accuracy[0, 0] >= best.accuracy[:, 0].max(), "the case is not as described"
    assert torch.equal(best.weight[0], first.weight[0]) and torch.equal(best.bias[0], first.bias[0])
    assert not torch.equal(last.weight[0], best.weight[0])


# Learning


@pytest.mark.parametrize("sampling", ["permutation", "replacement"])
def test_what_is_there_is_learnt_and_what_is_not_stays_at_chance(sampling):
    test = separable(1000, 2)
    probes = fit(
        separable(1500, 0), separable(300, 1), changed(epochs=15), quirks("best", sampling, lr=1e-2)
    )
    f1 = metrics.scores(test.labels, probes.predict(test.values), classes=8)["f1"]
    assert f1[0] > 0.95 and f1[1] < 0.35


@pytest.mark.parametrize("kind", STACKED)
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(kind):
    train, val = part(100), part(43, seed=1)
    first, again, other = (fit(train, val, seed=seed, **STACKED[kind]) for seed in (3, 3, 4))
    assert first.weight.numpy().tobytes() == again.weight.numpy().tobytes()
    assert not torch.equal(first.weight, other.weight)


@pytest.mark.parametrize("kind", STACKED)
def test_fitting_leaves_the_features_alone(kind):
    train, val = part(100), part(43, seed=1)
    before = copy.deepcopy(train)
    fit(train, val, **STACKED[kind])
    np.testing.assert_array_equal(train.values, before.values)
    np.testing.assert_array_equal(train.labels, before.labels)


@pytest.mark.parametrize("kind", STACKED)
def test_predictions_do_not_depend_on_the_size_of_chunks(monkeypatch, kind):
    probes, values = fit(part(100), part(43, seed=1), **STACKED[kind]), part(77, seed=2).values
    whole = probes.predict(values)
    monkeypatch.setattr(fitting, "_CHUNK", 10)
    np.testing.assert_array_equal(probes.predict(values), whole)
    assert whole.shape == (77, 3) and whole.dtype == np.int64


def test_a_hidden_layer_finds_what_no_linear_classifier_does():
    train, val, test = (exclusive(n, seed) for n, seed in ((1500, 0), (300, 1), (1000, 2)))
    settings, switches = (
        changed(epochs=30, options={"mlp": {"hidden": 32}}),
        quirks("best", lr=1e-2),
    )
    flat, deep = (
        accuracy(fit(train, val, settings, switches, kind=kind), test) for kind in (linear, mlp)
    )
    assert flat[0] < 0.6 and deep[0] > 0.9
    assert flat[1] > 0.95 and deep[1] > 0.95


def test_classes_never_seen_are_never_predicted_and_always_wrong():
    train, val, test = part(100), part(43, seed=1), part(400, seed=2)
    for labels, unseen in ((train.labels, 3), (test.labels, 5)):
        labels[:, 0] = np.where(labels[:, 0] == unseen, 0, labels[:, 0])
    train.labels[:, 0] = np.where(train.labels[:, 0] == 6, 0, train.labels[:, 0])
    everything = fit(train, val, changed(epochs=1), quirks(lr=1e-5)).predict(test.values)
    found = fit(train, val, changed(epochs=1), quirks(lr=1e-5), observed=True).predict(test.values)
    assert {3, 6} <= set(everything[:, 0]), (
        "the case is too easy: a probe that has learnt nothing should predict them"
    )
    assert not {3, 6} & set(found[:, 0]) and set(found[:, 0]) <= set(train.labels[:, 0])
    assert not (found == test.labels)[test.labels[:, 0] == 3, 0].any()
    np.testing.assert_array_equal(
        found[:, 1:], everything[:, 1:]
    )  # which have all classes in train


# Logistic regression


def test_logistic_is_scikit_learns_on_standardised_features():
    train, test = separable(600, 0), separable(200, 1)
    train.values[:] = train.values * 30 + 5
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=500))
    expected = np.stack(
        [model.fit(train.values, y).predict(test.values) for y in train.labels.T], axis=1
    )
    found = regression(train, SETTINGS)
    np.testing.assert_array_equal(found.predict(test.values), expected)
    np.testing.assert_array_equal(found.models[1].coef_, model[1].coef_)
    assert found.predict(test.values).dtype == np.int64


def test_logistic_of_a_variable_that_never_changes_is_its_value():
    train = part(100)
    train.labels[:, 1] = 6
    train.values[:, 2] = 1  # a feature that never changes has no variance to divide by
    predicted = regression(train, SETTINGS).predict(part(40, seed=1).values)
    assert (predicted[:, 1] == 6).all() and len(set(predicted[:, 0])) > 1


@pytest.mark.filterwarnings("error")
def test_logistic_takes_what_its_iterations_reach_without_a_word():
    found = regression(separable(300, 0), changed(options={"logistic": {"C": 1.0, "max_iter": 2}}))
    assert found.models[0].n_iter_ == 2


# What is refused


@pytest.mark.parametrize("kind", STACKED)
def test_divergence_names_variable_epoch_and_loss(kind):
    train, val = part(100), part(43, seed=1)
    train.values[:] = 3e38  # finite, but its scores are not
    with pytest.raises(
        UserError, match=r"the probe of score diverged in epoch 0: loss (nan|inf); lower"
    ):
        fit(train, val, names=["score", "b", "c"], **STACKED[kind])


REFUSED = [("values", np.nan, "not all finite"), ("labels", 8, "there are 8 classes")]


@pytest.mark.parametrize("kind", STACKED)
@pytest.mark.parametrize(("place", "value", "message"), REFUSED)
def test_features_and_labels_that_make_no_probe_are_refused(kind, place, value, message):
    train, val = part(100), part(43, seed=1)
    getattr(val, place)[3, 2] = value
    with pytest.raises(UserError, match=message):
        fit(train, val, **STACKED[kind])


@pytest.mark.parametrize(("place", "value", "message"), REFUSED)
def test_features_and_labels_that_make_no_regression_are_refused(place, value, message):
    train = part(100)
    getattr(train, place)[3, 2] = value
    with pytest.raises(UserError, match=message):
        regression(train, SETTINGS)


def test_too_few_frames_are_refused_but_a_small_validation_part_only_where_it_is_drawn():
    with pytest.raises(UserError, match="train part has 15 frames, fewer than 16"):
        fit(part(15), part(43))
    fit(part(16), part(5))
    with pytest.raises(UserError, match="val part has 5 frames, fewer than 16"):
        fit(part(16), part(5), switches=quirks(sampling="replacement"))


# The step, on a store and a split in memory


class FirstPixels(torch.nn.Module):
    """An encoder whose features are 16 pixels."""

    def forward(self, frames):
        return frames[:, 0, 0, :16]


class EarlierPixels(torch.nn.Module):
    """An encoder whose features are 16 pixels of the earlier frame of a stack of two."""

    def forward(self, frames):
        assert frames.shape[1:] == (2, 210, 160)
        return frames[:, 0, 0, :16]


class BallOnly(torch.nn.Module):
    """A classifier of V variables that is right for one of them and says 0 for the others."""

    def __init__(self, count, ball):
        super().__init__()
        self.count, self.ball, self.sizes = count, ball, []

    def forward(self, frames):
        self.sizes.append(len(frames))
        scores = torch.zeros(len(frames), self.count, 256)
        scores[:, :, 0] = 0.5
        scores[:, self.ball, :160] = frames[:, 0, 0]
        return scores


@pytest.fixture
def world(monkeypatch, tmp_path):
    """A game whose first pixels spell a byte of its RAM, ball_x; every other variable, and ball_x,
    are kept.
    """
    rng, names = np.random.default_rng(0), variables("paper-2019", "pong")
    ram = rng.integers(4, size=(600, 128)).astype(np.uint8)
    frames = np.zeros((600, 210, 160), np.uint8)
    frames[np.arange(600), 0, ram[:, names["ball_x"]]] = 255
    store = SimpleNamespace(
        ram=ram, header={"game": "pong"}, sha256="f", path="frames", read=lambda rows: frames[rows]
    )
    store.episode = np.arange(600) // 60

    def piece(*episodes):
        rows = np.concatenate([np.arange(60 * e, 60 * e + 60) for e in episodes])
        return dataset.Part(rows, rows, np.full(len(episodes), 60))

    kept = {
        name: {"entropy": 1.0, "kept": i % 2 == 0 or name == "ball_x"}
        for i, name in enumerate(names)
    }
    header = {"game": "pong", "purpose": "probe", "label_set": "paper-2019", "frames_sha256": "f"}
    # The parts' episodes lie between one another, as shuffled ones do.
    split = dataset.Split(
        {"train": piece(0, 2, 4, 6, 8, 9), "val": piece(1, 5), "test": piece(3, 7)}, kept, header
    )
    monkeypatch.setattr(probe, "FrameStore", SimpleNamespace(open=lambda path: store))
    monkeypatch.setattr(probe, "read_split", lambda path: split)
    monkeypatch.setattr(
        encoders, "load", lambda *_: (FirstPixels(), {"game": "pong", "method": "random-cnn"})
    )
    monkeypatch.setattr(probe, "_CHUNK", 100)
    config = Config.load("config.yaml")
    quicker = {
        name: row.model_copy(update={"probes": row.probes.model_copy(update={"lr": 3e-2})})
        for name, row in config.protocols.items()
    }
    settings = config.probe.model_copy(
        update={"epochs": 30, "threads": 1, "hidden": 32, "kinds": SETTINGS.kinds}
    )
    config = config.model_copy(update={"probe": settings, "protocols": quicker, "device": "cpu"})
    return SimpleNamespace(
        config=config, store=store, split=split, kept=kept, out=tmp_path / "probe.json"
    )


def run(
    world, method="random-cnn", readout="linear", protocol="corrected", weights="weights", **change
):
    which = {
        "game": "pong",
        "policy": "random_agent",
        "protocol": protocol,
        "method": method,
        "seed": 0,
    } | change
    which["kind"] = readout
    steps.probe(
        world.config, **which, frames="frames", split="split", weights=weights, out=world.out
    )
    return artifacts.read_checked_json(world.out)


def test_step_writes_every_key_and_reads_the_variable_that_is_there(world):
    found = run(world)
    assert {key: value for key, value in found.items() if not isinstance(value, dict)} == {
        "game": "pong",
        "policy": "random_agent",
        "protocol": "corrected",
        "method": "random-cnn",
        "seed": 0,
        "label_set": "paper-2019",
        "probe": "linear",
    }
    assert set(found["variables"]) == {name for name, row in world.kept.items() if row["kept"]}
    assert found["variables"]["ball_x"] == {
        "f1": 1.0,
        "accuracy": 1.0,
        "categories": ["small_object_localization"],
        "classes": 4,
        "entropy": 1.0,
        "support": 120,
    }
    assert all(row["f1"] < 0.5 for name, row in found["variables"].items() if name != "ball_x")
    assert set(found["categories"]) <= set(CATEGORIES)
    assert (
        set(found["mean_over_categories"])
        == set(found["mean_over_variables"])
        == {"f1", "accuracy"}
    )
    assert set(found["mean_weighted"]) == {"f1", "accuracy"}


class Faulty(torch.nn.Module):
    """Encodes as it should, but for frames of episode 3, which is in test."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def forward(self, frames):
        return self.fault(frames[:, 0, 0, :8], frames)


FAULTS = {
    "some of test": (
        lambda values, frames: values / (frames[:, 0, 209, 159:] == 0),
        "the features of 60 of 600 frames are infinite or no numbers",
    ),
    "all": (lambda values, frames: values * np.nan, "the features of 600 of 600 frames"),
    "rows": (lambda values, frames: values[1:], "for 100 frames, not"),
    "no batch": (lambda values, frames: values.mean(), "the encoder"),
    "no width": (lambda values, frames: values[:, :0], r"gives \(100, 0\) for 100 frames"),
    "squeezed": (
        lambda values, frames: values.squeeze() if len(values) > 36 else values[0],
        "the encoder fails on 100 frames: RuntimeError",
    ),
    "sparse": (lambda values, frames: values.to_sparse(), "the encoder fails on 100 frames"),
    "meta": (lambda values, frames: values.to("meta"), "the encoder fails on 100 frames"),
    "list": (lambda values, frames: [values], "the encoder fails on 100 frames"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_encoder_that_gives_no_features_is_refused_in_one_line(world, monkeypatch, fault):
    gives, said = FAULTS[fault]
    read = world.store.read

    def marked(rows):
        frames = read(rows).copy()
        frames[world.store.episode[rows] == 3, 209, 159] = 255
        return frames

    world.store.read = marked
    header = {"game": "pong", "method": "random-cnn"}
    monkeypatch.setattr(encoders, "load", lambda *_: (Faulty(gives), header))
    with pytest.raises(UserError, match=said) as error:
        run(world)
    assert "\n" not in str(error.value) and not world.out.exists()


@pytest.mark.parametrize("readout", ["mlp", "observed", "logistic"])
def test_step_reads_the_variable_that_is_there_with_every_other_probe(world, readout):
    found = run(world, readout=readout)
    assert found["probe"] == readout
    assert found["variables"]["ball_x"]["f1"] == 1.0
    assert all(row["f1"] < 0.5 for name, row in found["variables"].items() if name != "ball_x")


def test_step_draws_by_readout_and_by_the_protocol_that_the_ledger_compares_with(
    world, monkeypatch
):
    """All probes of a method draw alike, so that they compare."""
    names = []
    monkeypatch.setattr(
        probe.seeds, "generator", lambda *which: names.append(which) or np.random.default_rng(0)
    )
    variant = next(
        row.protocol for row in world.config.derived.ledger.variants if row.quirk == "Q1"
    )
    for readout in ("linear", "mlp", "observed", "logistic"):
        run(world, readout=readout, protocol=variant)
    run(world, method="maj-clf", readout="majority", protocol=variant)
    learned = [("random-cnn", "fit"), ("random-cnn", "test")]
    # The majority draws nothing: it is not fitted, and scored on every test frame once.
    draws = learned * 4
    assert names == [(0, "pong", "probes", "random_agent", "paper", *draw) for draw in draws]


def test_step_gives_the_encoder_as_many_frames_as_it_was_trained_on(world, monkeypatch):
    header = {"game": "pong", "method": "random-cnn", "frame_stack": 2}
    monkeypatch.setattr(encoders, "load", lambda *_: (EarlierPixels(), header))
    stacked = {
        "random-cnn": world.config.methods["random-cnn"].model_copy(update={"frame_stack": 2})
    }
    world.config = world.config.model_copy(update={"methods": stacked})
    assert run(world)["variables"]["ball_x"]["f1"] < 0.5, (
        "an earlier frame's pixels say nothing of this one's RAM"
    )
    earlier = {}
    for name, old in world.split.parts.items():
        earlier[name] = dataset.Part(
            old.rows, np.maximum(old.rows - 1, old.rows // 60 * 60), old.lengths
        )
    world.split.parts.update(earlier)
    assert run(world)["variables"]["ball_x"]["f1"] == 1.0


def test_step_scores_what_a_classifier_says(world, monkeypatch):
    kept = [name for name, row in world.kept.items() if row["kept"]]
    header = {"game": "pong", "method": "supervised", "variables": kept}
    classifier = BallOnly(len(kept), kept.index("ball_x"))
    asked = []
    monkeypatch.setattr(
        encoders, "load", lambda *which: asked.append(which[1:]) or (classifier, header)
    )
    found = run(world, method="supervised", readout="supervised")
    assert classifier.sizes == [64, 36, 20], "only test frames are read"
    assert found["probe"] == "supervised" and found["variables"]["ball_x"]["f1"] == 1.0
    columns, test = variables("paper-2019", "pong"), world.store.ram[world.split.parts["test"].rows]
    assert all(
        found["variables"][name]["accuracy"] == (test[:, columns[name]] == 0).mean()
        for name in kept
        if name != "ball_x"
    )
    assert {
        row["support"]
        for row in run(world, "supervised", "supervised", "paper")["variables"].values()
    } == {64}
    assert asked == [(world.config.methods["supervised"], kept, world.config.probe.classes)] * 2


def test_step_refuses_a_readout_that_the_method_does_not_have(world):
    for method, readout, known in (
        ("random-cnn", "majority", "linear, mlp, observed, logistic"),
        ("random-cnn", "liner", "linear, mlp, observed, logistic"),
        ("maj-clf", "linear", "majority"),
        ("supervised", "linear", "supervised"),
    ):
        with pytest.raises(
            UserError, match=rf"unknown probe of {method} '{readout}'.*; known: {known}$"
        ):
            run(world, method=method, readout=readout)
    assert not world.out.exists()


@pytest.mark.parametrize("readout", STACKED)
def test_step_gives_the_same_bytes_again_and_others_for_another_seed(world, readout):
    run(world, readout=readout)
    first = world.out.read_bytes()
    run(world, readout=readout)
    assert world.out.read_bytes() == first
    run(world, readout=readout, seed=1)
    assert world.out.read_bytes() != first


def test_step_scores_full_batches_drawn_with_replacement_in_the_papers_protocol(world):
    found = run(world, protocol="paper")
    assert {row["support"] for row in found["variables"].values()} == {64}
    assert found["variables"]["ball_x"]["f1"] == 1.0


def test_step_scores_the_majority_without_weights(world):
    found = run(world, method="maj-clf", readout="majority", weights=None)
    column = variables("paper-2019", "pong")["ball_x"]
    train, test = (
        world.store.ram[world.split.parts[name].rows][:, column] for name in ("train", "test")
    )
    assert found["probe"] == "majority"
    assert found["variables"]["ball_x"]["accuracy"] == (test == np.bincount(train).argmax()).mean()


def test_step_labels_frames_by_their_label_rows(world):
    """The RAM that labels a frame need not be the frame's own (quirk Q4)."""
    for name, old in world.split.parts.items():
        world.split.parts[name] = dataset.Part(old.rows, np.full_like(old.rows, 17), old.lengths)
    found = run(world, method="maj-clf", readout="majority")["variables"].values()
    assert {(row["classes"], row["accuracy"]) for row in found} == {(1, 1.0)}


def test_step_refuses_what_does_not_belong_together(world, monkeypatch):
    with pytest.raises(UserError, match="frames has game pong, not qbert"):
        run(world, game="qbert")
    with pytest.raises(UserError, match="random-cnn computes features from frames: name"):
        run(world, weights=None)
    monkeypatch.setattr(encoders, "load", lambda *_: (FirstPixels(), {"game": "qbert"}))
    with pytest.raises(UserError, match="weights has game qbert, not pong"):
        run(world)
    right = dict(world.split.header)
    for key, other, message in (
        ("game", "qbert", "split has game qbert, not pong"),
        ("purpose", "pretrain", "split has purpose pretrain, not probe"),
        ("label_set", "revised-2020", "split has label set revised-2020, not paper-2019"),
        ("frames_sha256", "g", "other frames"),
    ):
        world.split.header.update(right | {key: other})
        with pytest.raises(UserError, match=message):
            run(world)
    assert not world.out.exists()
