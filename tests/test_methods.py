"""Methods: pairs and losses against plain loops, and the training loop against scripts of what it
should do.
"""

import copy
import csv
import hashlib
import itertools
import math
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from steps import reconstruct, train
from torch import nn

from workflow_src import artifacts, encoders, kinds, seeds
from workflow_src.ari import labels
from workflow_src.config.methods import Method, MethodProtocol, Training
from workflow_src.config.reading import merge
from workflow_src.config.run import Config, defaults
from workflow_src.encoders.architectures.nature import NatureCNN, NatureDecoder
from workflow_src.encoders.charts import Charts
from workflow_src.encoders.classifier import Classifier, SharedClassifier
from workflow_src.encoders.profiles import ProfilesOfLevels
from workflow_src.episodes.dataset import read_split
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError
from workflow_src.methods import st_dim
from workflow_src.training import loop, objective
from workflow_src.training.objective import EpisodeIndex, Objective, draw_pairs

ROOT = Path(__file__).parents[1]
PAPER = MethodProtocol(wrap_pairs=True, keep="last", sampling="replacement")
CORRECTED = MethodProtocol(wrap_pairs=False, keep="best", sampling="permutation")
SETTINGS = defaults(
    {
        "training": {
            "epochs": 3,
            "batch_size": 8,
            "lr": 3e-3,
            "precision": "float32",
            "channels_last": False,
            "threads": 1,
        }
    }
).training


pytestmark = pytest.mark.usefixtures("one_thread")


def index(*lengths, start=0):
    lengths = np.array(lengths)
    return EpisodeIndex(start + np.cumsum(lengths) - lengths, lengths)


def pairs(episodes, switches, seed=0, epochs=1):
    rng = np.random.default_rng(seed)
    return np.concatenate([draw_pairs(episodes, switches, rng) for _ in range(epochs)])


# Pairs


def test_every_pair_of_neighbours_once():
    # Three episodes that do not follow one another: frames 10; 20, 21, 22; 40, 41.
    episodes = EpisodeIndex(np.array([10, 20, 40]), np.array([1, 3, 2]))
    found = pairs(episodes, CORRECTED)
    assert found.dtype == np.int64
    assert sorted(map(tuple, found)) == [(20, 21), (21, 22), (40, 41)]
    orders = {tuple(map(tuple, pairs(episodes, CORRECTED, seed))) for seed in range(50)}
    assert orders == set(itertools.permutations([(20, 21), (21, 22), (40, 41)]))


def test_pairs_of_the_2019_code_wrap_within_their_episode():
    episodes = EpisodeIndex(np.array([10, 20, 40]), np.array([1, 3, 2]))
    found = pairs(episodes, PAPER, epochs=200)
    assert len(found) == 200 * 6
    assert set(map(tuple, found)) == {(10, 10), (22, 20), (20, 21), (21, 22), (41, 40), (40, 41)}


@pytest.mark.parametrize("wrap_pairs", [True, False])
@pytest.mark.parametrize("lengths", [(2, 300), (1, 50, 7, 2)])
def test_with_replacement_episodes_are_alike_and_so_are_the_frames_of_each(wrap_pairs, lengths):
    switches = PAPER.model_copy(update={"wrap_pairs": wrap_pairs})
    episodes = index(*lengths)
    found = pairs(episodes, switches, epochs=40000 // sum(lengths))
    eligible = [n if wrap_pairs else n - 1 for n in lengths]
    alive = sum(n > 0 for n in eligible)
    for first, length, places in zip(episodes.first, lengths, eligible, strict=True):
        mine = found[(found[:, 1] >= first) & (found[:, 1] < first + length)]
        deviation = math.sqrt(len(found) / alive)
        assert abs(len(mine) - len(found) * (places > 0) / alive) <= 5 * deviation
        counts = np.unique(mine[:, 1], return_counts=True)[1]
        assert len(counts) == places
        assert all(
            abs(counts - len(mine) / max(places, 1)) < 6 * math.sqrt(len(mine) / max(places, 1))
        )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from(["replacement", "permutation"]),
    st.integers(0, 99),
)
def test_every_pair_is_two_frames_of_one_episode(lengths, wrap_pairs, sampling, seed):
    episode = np.repeat(np.arange(len(lengths)), lengths)
    if all(n == 1 for n in lengths) and not wrap_pairs:
        lengths.append(2)
        episode = np.append(episode, [len(lengths) - 1] * 2)
    switches = MethodProtocol(wrap_pairs=wrap_pairs, keep="last", sampling=sampling)
    found = pairs(index(*lengths, start=5), switches, seed) - 5
    assert len(found) == (sum(lengths) if wrap_pairs else sum(lengths) - len(lengths))
    before, after = found.T
    assert np.array_equal(episode[before], episode[after])
    wrapped = np.array([lengths[e] - 1 for e in episode[after]]) == before - after
    assert ((after - before == 1) | wrapped).all()
    if not wrap_pairs:
        assert (after - before == 1).all()
    if sampling == "permutation":
        assert len(set(after)) == len(after)


@pytest.mark.parametrize("sampling", ["replacement", "permutation"])
def test_episodes_of_one_frame_have_no_pairs(sampling):
    switches = MethodProtocol(wrap_pairs=False, keep="last", sampling=sampling)
    assert pairs(index(1, 1, 1), switches).shape == (0, 2)


@pytest.mark.parametrize("switches", [PAPER, CORRECTED])
def test_pairs_depend_on_the_seed(switches):
    one, again, other = (pairs(index(40, 60), switches, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


# ST-DIM


def stdim(seed=0, feature_size=32):
    return st_dim.STDIM(
        Method(kind="st-dim", feature_size=feature_size), torch.Generator().manual_seed(seed)
    )


def noise(*shape, seed=0):
    return torch.from_numpy(
        np.random.default_rng(seed).integers(256, size=(*shape, 210, 160), dtype=np.uint8)
    )


def plain_losses(model, frames):
    """The paper's formula, place by place and pair by pair, in the precision of the model."""
    images = frames.to(next(model.parameters()).dtype) / 255
    local_before, _ = model.encoder.maps(images[:, 0])
    local_after, z = model.encoder.maps(images[:, 1])
    w_g, w_l = model.global_local, model.local_local
    losses = {"global_local": 0.0, "local_local": 0.0}
    size, _, height, width = local_before.shape
    assert (height, width) == (11, 8)
    for y in range(height):
        for x in range(width):
            before, after = local_before[:, :, y, x], local_after[:, :, y, x]
            for name, predicted in (
                ("global_local", z @ w_g.weight.T + w_g.bias),
                ("local_local", after @ w_l.weight.T + w_l.bias),
            ):
                for i in range(size):
                    scores = torch.stack([predicted[i] @ before[j] for j in range(size)])
                    losses[name] = losses[name] - (scores[i] - torch.logsumexp(scores, 0)) / (
                        size * height * width
                    )
    return losses


def test_st_dim_is_the_formula_and_so_are_its_gradients():
    model, frames = stdim(), noise(5, 2, 1)
    plain = copy.deepcopy(model).double()
    found, expected = model(frames), plain_losses(plain, frames)
    assert list(found) == list(expected)
    for name in expected:
        assert found[name].item() == pytest.approx(expected[name].item(), rel=1e-5)
    sum(found.values()).backward()
    sum(expected.values()).backward()
    for (name, fast), slow in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert slow.grad.abs().max() > 0, name
        error = (fast.grad.double() - slow.grad).norm() / slow.grad.norm()
        assert error < 1e-5, name


def test_st_dim_tells_before_from_after():
    model, frames = stdim(), noise(4, 2, 1)
    with torch.no_grad():
        one, other = model(frames), model(frames.flip(1))
    assert all(abs(one[name] - other[name]) > 1e-6 for name in one)


def test_info_nce_by_hand():
    # One place, two pairs: scores [[2, 0], [0, 1]], of which the diagonal is right.
    predictions, targets = torch.tensor([[[2.0, 0], [0, 1]]]), torch.eye(2)[None]
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-1))) / 2
    assert st_dim.info_nce(predictions, targets).item() == pytest.approx(expected, rel=1e-6)
    assert st_dim.info_nce(torch.zeros(3, 7, 2), torch.rand(3, 7, 2)).item() == pytest.approx(
        math.log(7), rel=1e-6
    )


def test_bfloat16_is_for_the_convolutions_only(monkeypatch):
    model, frames, seen, bmm = stdim(), noise(6, 2, 1), [], torch.bmm
    monkeypatch.setattr(
        torch, "bmm", lambda *inputs: seen.append((*inputs, bmm(*inputs))) or seen[-1][-1]
    )
    trunk = []
    model.encoder.local.register_forward_hook(lambda _, __, output: trunk.append(output.dtype))
    with torch.no_grad():
        expected = model(frames)
        with torch.autocast("cpu", torch.bfloat16):
            found = model(frames)
    assert trunk == [torch.float32, torch.bfloat16]
    assert len(seen) == 4
    assert all(tensor.dtype == torch.float32 for call in seen for tensor in call)
    for name, loss in found.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(expected[name].item(), rel=0.02)
        assert loss.item() != expected[name].item()


def test_linear_is_pytorch_s_own_from_the_generator():
    layer = objective.linear(100, 400, generator=torch.Generator().manual_seed(0))
    again = objective.linear(100, 400, generator=torch.Generator().manual_seed(0))
    assert torch.equal(layer.weight, again.weight) and torch.equal(layer.bias, again.bias)
    for values in (layer.weight, layer.bias):
        assert 0.097 < values.abs().max() <= 0.1
        assert values.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.1)


# The training loop


class Scripted(Objective):
    """Losses by epoch as written down; encoder and head fall by about lr a step, so that they tell
    the epoch.
    """

    def __init__(self, val, train=None, batches=1):
        nn.Module.__init__(self)
        self.encoder = nn.Linear(1, 1, bias=False)
        self.head = nn.Linear(1, 1, bias=False)
        for layer in (self.encoder, self.head):
            nn.init.zeros_(layer.weight)
        self.scripts, self.batches, self.modes = (
            {"train": iter(train or itertools.repeat(1.0)), "val": iter([1.0, *val])},
            batches,
            [],
        )

    def draw(self, episodes, switches, rng):
        self.part = "train" if episodes is TRAIN else "val"
        self.loss = next(self.scripts[self.part])
        return np.zeros((self.batches * SETTINGS.batch_size, 1), np.int64)

    def forward(self, frames, labels=None):
        self.modes.append((self.part, self.training, torch.is_grad_enabled()))
        weight = self.encoder.weight.sum() + self.head.weight.sum()
        return {"term": self.loss + weight - weight.detach()}


TRAIN, VAL = index(100), index(50, start=100)


def rng(*names):
    return seeds.generator(0, *names)


def fit(model, switches=CORRECTED, frames=None, rng=rng, **change):
    chosen = SETTINGS.model_copy(
        update={key: change.pop(key) for key in list(change) if key in Training.model_fields}
    )
    frames = torch.zeros(150, 2, 2, dtype=torch.uint8) if frames is None else frames
    return loop.fit(
        model, frames, TRAIN, VAL, chosen, switches, rng, name="it", progress=False, **change
    )


def when_to_stop(val, epochs, patience):
    """(epochs trained, best epoch), as plainly as can be; epochs count from 1."""
    for epoch in range(1, epochs + 1):
        best = 1 + val.index(min(val[:epoch]))
        if epoch - best >= patience:
            return epoch, best
    return epochs, best


LOSSES = st.lists(st.sampled_from([0.5, 0.75, 1.0, 1.25, 1.5]), min_size=12, max_size=12)


@settings(max_examples=60, deadline=None)
@given(LOSSES, st.integers(1, 12), st.integers(1, 5), st.sampled_from(["best", "last"]))
def test_early_stopping_and_whose_weights_are_kept(val, epochs, patience, keep):
    model = Scripted(val)
    rows = fit(
        model,
        CORRECTED.model_copy(update={"keep": keep}),
        epochs=epochs,
        patience=patience,
        lr=0.01,
    )
    trained, best = when_to_stop(val, epochs, patience)
    assert [row["epoch"] for row in rows] == list(range(trained + 1))
    assert [row["val_loss"] for row in rows] == [1.0, *val[:trained]]
    # Adam's steps are lr long while the gradient does not change.
    for layer in (model.encoder, model.head):
        assert -layer.weight.item() / 0.01 == pytest.approx(
            best if keep == "best" else trained, rel=1e-3
        )


class Accurate(Scripted):
    """Losses that fall, beside accuracies by epoch as written down."""

    def __init__(self, accuracies):
        super().__init__([1 / (2 + i) for i in range(len(accuracies))])
        self.scripts["accuracy"] = iter([0.0, *accuracies])

    def draw(self, episodes, switches, rng):
        found = super().draw(episodes, switches, rng)
        if self.part == "val":
            self.accuracy = torch.tensor(next(self.scripts["accuracy"]))
        else:
            self.accuracy = torch.tensor(0.0)
        return found


def test_a_method_with_an_accuracy_stops_on_it():
    model = Accurate([0.2, 0.5, 0.4, 0.5, 0.6])
    keep = CORRECTED.model_copy(update={"keep": "best"})
    rows = fit(model, keep, epochs=5, patience=2, lr=0.01)
    assert [row["val_accuracy"] for row in rows] == pytest.approx([0, 0.2, 0.5, 0.4, 0.5])
    assert rows[-1]["val_loss"] < rows[2]["val_loss"] and "train_accuracy" not in rows[0]
    assert [row["val_loss"] for row in rows] == [row["val_term"] for row in rows]
    assert -model.encoder.weight.item() / 0.01 == pytest.approx(2, rel=1e-3)  # the second epoch


class Several(loop.Objective):
    """Three models that each move by one rate a step, with accuracies as written down."""

    parts = ("a", "b", "c")
    plateau: ClassVar = {"plateau_patience": 1, "plateau_factor": 0.5, "min_lr": 1e-4}

    def __init__(self, accuracies):
        torch.nn.Module.__init__(self)
        self.encoder = torch.nn.Linear(1, 3, bias=False)
        torch.nn.init.zeros_(self.encoder.weight)
        self.accuracies, self.validations = [[0.0] * 3, *accuracies], 0

    def draw(self, episodes, switches, rng):
        self.validating = episodes is VAL
        return episodes.first[0] + np.arange(10)[:, None]

    def forward(self, frames, labels=None):
        given = self.accuracies[self.validations] if self.validating else [0.0] * 3
        self.accuracy = torch.tensor(given)
        self.validations += self.validating
        return {"term": self.encoder.weight.sum()}


ACCURACIES = [[0.1, 0.5, 0.3], [0.2, 0.5, 0.2], [0.3, 0.4, 0.2], [0.4, 0.4, 0.9], [0.5, 0.9, 0.9]]


@pytest.mark.parametrize("keep", ["last", "best"])
def test_independent_models_stop_and_slow_down_by_themselves(keep):
    model = Several(ACCURACIES)
    rows = fit(
        model,
        CORRECTED.model_copy(update={"keep": keep}),
        epochs=5,
        patience=3,
        lr=0.01,
        batch_size=10,
    )
    # a: better in every epoch; b: best in the first, slower after the third, and stopped after
    # the fourth; c: slower after the third, and better again.
    moved = (-model.encoder.weight / 0.01).flatten().tolist()
    expected = [5, 3.5, 4] if keep == "last" else [5, 1, 3.5]
    assert moved == pytest.approx(expected, rel=1e-3)
    assert [row["val_accuracy_b"] for row in rows[1:]] == pytest.approx([0.5, 0.5, 0.4, 0.4, 0.9])
    assert "train_accuracy_b" not in rows[0] and rows[1]["val_loss"] == rows[1]["val_term"]


def test_training_ends_with_the_last_of_its_models():
    model = Several([[0.5, 0.5, 0.5]] * 9)
    assert len(fit(model, epochs=9, patience=2, lr=0.01, batch_size=10)) == 1 + 3


def test_independent_models_go_on_where_they_were_interrupted(tmp_path):
    def trained(model, **change):
        fit(model, epochs=5, patience=3, lr=0.01, batch_size=10, fingerprint="x", **change)
        return model.encoder.weight.tolist()

    whole = trained(Several(ACCURACIES))
    path, model = tmp_path / "checkpoint", Several([*ACCURACIES[:3], [float("nan")]])
    model.accuracies.pop()
    with pytest.raises(IndexError):
        trained(model, checkpoint=path, checkpoint_seconds=0.0)
    again = Several(ACCURACIES)
    again.validations = 4
    assert trained(again, checkpoint=path) == whole


def test_epoch_0_learns_nothing_and_is_not_the_best():
    model = Scripted([5.0, 4.0, 4.0, 3.0])  # all worse than the untrained 1.0
    rows = fit(model, epochs=4, lr=0.01)
    assert len(rows) == 5
    assert -model.encoder.weight.item() / 0.01 == pytest.approx(4, rel=1e-3)
    validates = ("val", False, False)
    assert model.modes == [
        ("train", False, False),
        validates,
        *[("train", True, True), validates] * 4,
    ]


def test_each_epoch_goes_through_all_batches():
    model = Scripted([1.0] * 3, batches=4)
    fit(model, PAPER, epochs=3, lr=0.01)
    assert -model.encoder.weight.item() / 0.01 == pytest.approx(12, rel=1e-3)


class Mean(Objective):
    """Learns the frames' mean; small enough to train in no time, and all that a checkpoint has to
    keep is there.
    """

    def __init__(self, seed=0, fail_at=None):
        nn.Module.__init__(self)
        self.encoder = objective.linear(4, 3, generator=torch.Generator().manual_seed(seed))
        self.decoder = objective.linear(3, 1, generator=torch.Generator().manual_seed(seed + 1))
        self.fail_at, self.epochs = fail_at, []

    def draw(self, episodes, switches, rng):
        if episodes is TRAIN:
            self.epochs.append(len(self.epochs))
        return draw_pairs(episodes, switches, rng)

    def forward(self, frames, labels=None):
        if self.training and len(self.epochs) - 1 == self.fail_at:
            raise KeyboardInterrupt
        images = frames.float().flatten(2) / 255
        found = self.decoder(self.encoder(images[:, 0])).squeeze(1)
        return {
            "error": F.mse_loss(found, images[:, 1].mean(1)),
            "size": 1e-3 * found.square().mean(),
        }


def images(seed=0):
    values = np.random.default_rng(seed).integers(256, size=(150, 1, 1), dtype=np.uint8)
    return torch.from_numpy(values).expand(150, 2, 2).clone()


@pytest.mark.parametrize("epochs", [1, 3])
def test_recorded_steps_are_the_same_steps(recordings, epochs):
    plain, recorded = Mean(), Mean()
    expected = result(plain, fit(plain, frames=images(), epochs=epochs, cuda_graphs=False))
    assert not recordings.replayed
    assert (
        result(recorded, fit(recorded, frames=images(), epochs=epochs, cuda_graphs=True))
        == expected
    )
    # Batches of 8: 12 of train and 6 of validation an epoch, and as many of the untrained model.
    # Each kind is warmed up once.
    assert recordings.aside == 6 and recordings.replayed == [
        12 + 6 * (epochs + 1) - 3,
        12 * epochs - 3,
    ]
    assert recordings.generators == [(), ()]


def learnable():
    """Frames that stay the same throughout an episode's neighbours, so that one tells the next."""
    return images().repeat_interleave(2, 0)[:150]


def result(model, rows):
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}, rows


def test_loss_falls_on_what_can_be_learned():
    rows = fit(Mean(), frames=learnable(), epochs=15)
    assert rows[-1]["train_loss"] < 0.5 * rows[0]["train_loss"]
    assert rows[-1]["val_loss"] < 0.5 * rows[0]["val_loss"]


def test_history_has_a_row_an_epoch_and_a_column_a_term():
    rows = fit(Mean(), frames=images(), epochs=2)
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert list(row) == [
            "epoch",
            "train_loss",
            "train_error",
            "train_size",
            "val_loss",
            "val_error",
            "val_size",
        ]
        for part in ("train", "val"):
            assert row[f"{part}_loss"] == row[f"{part}_error"] + row[f"{part}_size"]


def test_first_row_is_the_untrained_model_s():
    model, frames = Mean(), images()
    drawn = draw_pairs(TRAIN, CORRECTED, rng("epoch", 0, "train"))
    batches = drawn[: len(drawn) // 8 * 8].reshape(-1, 8, 2)
    with torch.no_grad():
        losses = [sum(model(frames[batch]).values()).item() for batch in batches]
    assert len(batches) == 12
    assert fit(model, frames=frames, epochs=1)[0]["train_loss"] == pytest.approx(
        np.mean(losses), rel=1e-5
    )


@pytest.mark.parametrize("switches", [PAPER, CORRECTED], ids=["paper", "corrected"])
def test_same_seed_same_bytes_and_other_seed_others(switches):
    def once(seed=0, drawn=0):
        model = Mean(seed)
        return result(
            model, fit(model, switches, images(), lambda *names: seeds.generator(drawn, *names))
        )

    assert once() == once()
    for other in (once(seed=1), once(drawn=1)):
        assert other[0] != once()[0] and other[1] != once()[1]


@pytest.mark.parametrize("switches", [PAPER, CORRECTED], ids=["paper", "corrected"])
def test_what_is_drawn_anew_every_epoch(switches):
    """Validation is not, unless the protocol draws with replacement: epochs are compared on the
    same batches.
    """
    asked = []
    fit(Mean(), switches, images(), rng=lambda *names: asked.append(names) or rng(*names), epochs=2)
    val = [("epoch", epoch, "val") if switches is PAPER else ("val",) for epoch in range(3)]
    assert asked == [name for epoch in range(3) for name in (("epoch", epoch, "train"), val[epoch])]


@pytest.mark.parametrize(
    ("train", "val", "text"),
    [
        (
            [1.0, 1.2, math.nan],
            [1.0] * 9,
            r"it diverged in epoch 2: train loss nan; lower its lr or set training\.precision",
        ),
        ([1.0, math.inf], [1.0] * 9, r"it diverged in epoch 1: train loss inf; lower its lr"),
        ([1.0, 1.0, 1.0], [1.0, math.nan], r"it diverged in epoch 2: val loss nan; lower its lr"),
        ([math.nan], [1.0], r"it diverged in epoch 0: train loss nan; lower its lr"),
        (
            [2.0, 2.9, 3.0, 3.001],
            [1.0] * 9,
            r"it diverged in epoch 3: train loss 3\.001; lower its lr",
        ),
    ],
)
def test_a_divergence_names_its_epoch_and_loss(tmp_path, train, val, text):
    with pytest.raises(UserError, match=f"^{text}"):
        fit(Scripted(val, train), epochs=9, checkpoint=tmp_path / "state")


def test_a_real_divergence_is_noticed():
    with pytest.raises(UserError, match=r"^it diverged in epoch 1: train loss \d"):
        fit(Mean(), frames=learnable(), lr=1.0, batch_size=2)


@pytest.mark.parametrize(("part", "size", "drawn"), [("train", 100, 99), ("val", 50, 49)])
def test_too_few_examples_are_refused(part, size, drawn):
    text = rf"^it: {drawn} {part} examples, fewer than a batch of {size}: collect more frames$"
    with pytest.raises(UserError, match=text):
        fit(Mean(), frames=images(), batch_size=size)
    assert len(fit(Mean(), frames=images(), batch_size=49, epochs=1)) == 2


def interrupted(path, epoch, **change):
    with pytest.raises(KeyboardInterrupt):
        fit(Mean(fail_at=epoch), frames=images(), checkpoint=path, checkpoint_seconds=0, **change)
    assert path.exists()


@pytest.fixture
def undisturbed():
    model = Mean()
    return result(model, fit(model, frames=images(), epochs=4))


@pytest.mark.parametrize("switches", [PAPER, CORRECTED], ids=["paper", "corrected"])
@pytest.mark.parametrize("epoch", [1, 2, 4])
def test_a_training_goes_on_where_it_was_interrupted(tmp_path, epoch, switches):
    path, whole, second = tmp_path / "state", Mean(), Mean(seed=5)
    expected = result(whole, fit(whole, switches, images(), epochs=4))
    with pytest.raises(KeyboardInterrupt):
        fit(
            Mean(fail_at=epoch), switches, images(), epochs=4, checkpoint=path, checkpoint_seconds=0
        )
    assert [left.name for left in tmp_path.iterdir()] == ["state"]
    found = result(
        second, fit(second, switches, images(), epochs=4, checkpoint=path, checkpoint_seconds=0)
    )
    assert found == expected
    assert len(second.epochs) == 5 - epoch
    done = Mean(
        seed=6
    )  # the checkpoint of a finished training gives its result again, without an epoch
    assert (
        result(done, fit(done, switches, images(), epochs=4, checkpoint=path)) == expected
        and not done.epochs
    )


def test_what_early_stopping_counts_is_kept(tmp_path):
    val = [0.5, 0.9, 0.8, 0.7, 0.6, 0.55, 0.4]
    whole = fit(Scripted(val), epochs=9, patience=5, lr=0.01)

    def script(losses):
        return itertools.chain(losses, [KeyboardInterrupt()])

    class Stops(Scripted):
        def forward(self, frames, labels=None):
            if isinstance(self.loss, BaseException):
                raise self.loss
            return super().forward(frames, labels)

    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        fit(
            Stops(val, script([1.0] * 4)),
            epochs=9,
            patience=5,
            lr=0.01,
            checkpoint=path,
            checkpoint_seconds=0,
        )
    model = Scripted(val[3:])
    next(model.scripts["val"])  # the untrained model's, which is not asked for again
    assert fit(model, epochs=9, patience=5, lr=0.01, checkpoint=path) == whole
    assert len(whole) == 7
    assert -model.encoder.weight.item() / 0.01 == pytest.approx(1, rel=1e-3)


def test_a_checkpoint_of_another_training_is_ignored(tmp_path, undisturbed):
    interrupted(tmp_path / "state", 3, fingerprint="another")
    model = Mean()
    rows = fit(model, frames=images(), epochs=4, checkpoint=tmp_path / "state", fingerprint="this")
    assert result(model, rows) == undisturbed
    assert len(model.epochs) == 5


def test_a_damaged_checkpoint_is_ignored(tmp_path, undisturbed):
    path = tmp_path / "state"
    interrupted(path, 3)
    whole = path.read_bytes()
    places = np.random.default_rng(0).choice(8 * len(whole), 60, replace=False)
    flipped = [
        bytes(byte ^ (1 << p % 8 if i == p // 8 else 0) for i, byte in enumerate(whole))
        for p in places
    ]
    for damaged in [
        b"",
        b"nothing",
        bytes(range(256)),
        whole[:-1],
        whole[: len(whole) // 2],
        whole[:10],
        *flipped,
    ]:
        path.write_bytes(damaged)
        model = Mean()
        assert result(model, fit(model, frames=images(), epochs=4, checkpoint=path)) == undisturbed
        assert len(model.epochs) == 5


def test_checkpoints_are_written_so_often(tmp_path, monkeypatch):
    clock, written = itertools.count(), []
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    save = loop._save
    monkeypatch.setattr(loop, "_save", lambda *a: written.append(a[-1].epoch) or save(*a))
    fit(Mean(), frames=images(), epochs=6, checkpoint=tmp_path / "state", checkpoint_seconds=3)
    assert written == [
        3,
        6,
        7,
    ]  # the clock moves by one a look, and by one more after writing; the last epoch always is
    written.clear()
    fit(Mean(), frames=images(), epochs=6)
    assert not written


# The step, on real frames


def arguments(collected, directory, **change):
    made = {"frames": collected.frames("pretrain"), "split": collected.split("pretrain")}
    named = {
        "game": "breakout",
        "policy": "random_agent",
        "protocol": "paper",
        "method": "st-dim",
        "seed": 0,
    }
    files = {name: directory / name for name in ("out", "history", "checkpoint")}
    return named | made | files | {"checkpoint_seconds": 0, "progress": False} | change


def bytes_of(directory):
    assert sorted(path.name for path in directory.iterdir()) == ["history", "out"]
    return (directory / "out").read_bytes(), (directory / "history").read_bytes()


@pytest.fixture(scope="module")
def trained(collected, tmp_path_factory):
    """An undisturbed run."""
    directory = tmp_path_factory.mktemp("trained")
    train(collected.config, **arguments(collected, directory))
    return bytes_of(directory)


def test_st_dim_learns(trained):
    text = trained[1].decode().splitlines()
    parts = ["loss", "global_local", "local_local"]
    columns = [f"{part}_{name}" for part in ("train", "val") for name in parts]
    assert text[0] == ",".join(["epoch", *columns, "sha256"])
    losses = [float(line.split(",")[1]) for line in text[1:]]
    assert len(losses) == 3
    assert losses[0] == pytest.approx(2 * math.log(16), rel=0.05)
    assert losses[2] < losses[1] < losses[0]


def stopped_at(monkeypatch, epoch):
    """Make the objective give up in the training of ``epoch``."""
    draw = st_dim.STDIM.draw
    state = {"draws": 0}

    def counting(self, *args):
        state["draws"] += 1
        if state["draws"] > 2 * epoch:
            raise KeyboardInterrupt
        return draw(self, *args)

    monkeypatch.setattr(st_dim.STDIM, "draw", counting)
    return state


def test_an_interrupted_step_leaves_no_output_and_goes_on(
    collected, trained, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        stopped_at(patched, 2)
        train(collected.config, **arguments(collected, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    state = stopped_at(monkeypatch, 9)
    train(collected.config, **arguments(collected, tmp_path))
    assert bytes_of(tmp_path) == trained
    assert state["draws"] == 2


SCRIPT = """
import pickle, sys
from steps import train
if __name__ == "__main__":
    config, arguments = pickle.load(sys.stdin.buffer)
    train(config, **arguments)
"""


def test_a_killed_step_leaves_no_output_and_goes_on(collected, trained, tmp_path, monkeypatch):
    given = pickle.dumps((collected.config, arguments(collected, tmp_path)))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        process.stdin.write(given)
        process.stdin.close()
        while not (tmp_path / "checkpoint").exists():
            assert process.poll() is None, "the step ended without a checkpoint"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    left = {path.name for path in tmp_path.iterdir()}
    assert "checkpoint" in left
    assert all(re.fullmatch(r"checkpoint|\.checkpoint\.\w+-\d+\.tmp", name) for name in left)
    state = stopped_at(monkeypatch, 9)
    train(collected.config, **arguments(collected, tmp_path))
    assert bytes_of(tmp_path) == trained
    assert state["draws"] < 6


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"seed": 1}, {}),
        ({}, {"epochs": 1}),
        ({}, {"patience": 1}),
        ({}, {"lr": 1e-3}),
    ],
    ids=["seed", "epochs", "patience", "lr"],
)
def test_a_step_of_other_settings_starts_from_the_beginning(
    collected, tmp_path, monkeypatch, change, again
):
    seen = []
    monkeypatch.setattr(loop, "fit", lambda *_, fingerprint, **__: seen.append(fingerprint) or [])
    content = collected.config.model_dump()
    content["training"] |= again
    for config, more in (
        (collected.config, {}),
        (collected.config, {}),
        (Config.check(content, "x"), change),
    ):
        train(config, **arguments(collected, tmp_path, **more))
    assert seen[0] == seen[1] != seen[2]


def configured(collected, **methods):
    """The collection's configuration with these rows as its methods."""
    return Config.check(
        collected.config.model_dump(exclude={"methods", "ledger", "scaling"})
        | {"methods": methods},
        "x",
    )


def test_another_row_of_the_configuration_starts_from_the_beginning(
    collected, tmp_path, monkeypatch
):
    seen = []
    monkeypatch.setattr(loop, "fit", lambda *_, fingerprint, **__: seen.append(fingerprint) or [])
    for change in (
        {},
        {"options": {"beta": 2.0}},
        {"feature_size": 8},
        {"encoder": "impala"},
        {"frame_stack": 2},
        {},
    ):
        config = configured(collected, vae={"kind": "vae", "feature_size": 16} | change)
        train(config, **arguments(collected, tmp_path, method="vae"))
    assert seen[0] == seen[-1] and len(set(seen)) == 5


TINY_VAE = {"kind": "vae", "feature_size": 16, "epochs": 1}


def losses_of(directory):
    return list(csv.DictReader((directory / "history").read_text().splitlines()))


@pytest.mark.parametrize(
    ("kind", "decodes", "row"),
    [
        ("vae", 0, {"epochs": 2}),
        ("pixel-pred", 1, {"epochs": 1, "frame_stack": 3}),
        ("vae", 0, {"epochs": 1, "frame_stack": 2}),
    ],
)
def test_what_a_decoder_shows(collected, tmp_path, kind, decodes, row):
    config = configured(collected, it={"kind": kind, "feature_size": 16} | row)
    given = arguments(collected, tmp_path, method="it")
    train(config, **given)
    history = losses_of(tmp_path)
    assert float(history[-1]["train_loss"]) < float(history[0]["train_loss"])
    named = {
        key: given[key]
        for key in ("game", "policy", "protocol", "method", "seed", "frames", "split")
    }
    for name in ("1", "2"):
        reconstruct(config, **named, weights=tmp_path / "out", out=tmp_path / name)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    arrays, header = artifacts.read_arrays(tmp_path / "1", "examples")
    assert header == header | {
        "game": "breakout",
        "method": "it",
        "seed": 0,
        "protocol": "paper",
        "decodes": decodes,
    }
    assert sorted(arrays) == ["input", "output", "target"]
    assert all((array.shape, array.dtype) == ((6, 210, 160), np.uint8) for array in arrays.values())
    # Which frames: of validation, spread over it, and the frame that is shown is of the same
    # episode.
    store, rows = FrameStore.open(given["frames"]), read_split(given["split"]).parts["val"].rows
    everything = store.read(np.arange(len(store.episode)))
    found = []
    for shown, target in zip(arrays["input"], arrays["target"], strict=True):
        same = [t for t in rows if (everything[t] == shown).all() and t + decodes in rows]
        same = [t for t in same if (everything[t + decodes] == target).all()]
        same = [t for t in same if store.episode[t] == store.episode[t + decodes]]
        assert same
        found.append(same)
    assert found[0][0] == rows[0] and found[-1][-1] == rows[-1 - decodes]
    # Decoded by hand.
    heads = encoders.load_heads(tmp_path / "out")
    decoder = NatureDecoder(16, torch.Generator(), row.get("frame_stack", 1))
    decoder.load_state_dict(
        {
            name.removeprefix("decoder."): t
            for name, t in heads.items()
            if name.startswith("decoder.")
        }
    )
    encoder, _ = encoders.load(tmp_path / "out", config.methods["it"])
    for same, output in zip(found, arrays["output"], strict=True):
        candidates = []
        for t in same:
            past = [t]
            while len(past) < row.get("frame_stack", 1):
                before = past[0] - 1
                past.insert(
                    0,
                    before
                    if before >= 0 and store.episode[before] == store.episode[t]
                    else past[0],
                )
            with torch.no_grad():
                z = encoder(torch.from_numpy(everything[past])[None].float() / 255)
                z = z @ heads["step.weight"].T + heads["step.bias"] if kind == "pixel-pred" else z
                candidates.append(decoder(z)[0, -1].numpy() * 255)
        assert any(np.abs(candidate - output).max() < 0.51 for candidate in candidates)


@pytest.fixture(scope="module")
def reconstructing(collected, tmp_path_factory):
    """A configuration, the weights of its `vae` and all else that its examples are made of."""
    directory = tmp_path_factory.mktemp("vae")
    config = configured(
        collected, vae=TINY_VAE, other=TINY_VAE | {"frame_stack": 2}, stdim={"kind": "st-dim"}
    )
    given = arguments(collected, directory, method="vae")
    train(config, **given)
    named = {
        key: given[key]
        for key in ("game", "policy", "protocol", "method", "seed", "frames", "split")
    }
    return config, named | {"weights": directory / "out", "out": directory / "examples"}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"method": "stdim"}, r"^stdim has no decoder: choose a method that has one, such as vae$"),
        (
            {"method": "other"},
            r"out belongs to vae on breakout, not other on breakout: name the right file$",
        ),
        (
            {"game": "pong"},
            r"out belongs to vae on breakout, not vae on pong: name the right file$",
        ),
        (
            {"split": "probe"},
            r"^the split was made from other frames than .* holds: make the split again$",
        ),
    ],
)
def test_examples_that_cannot_be_made(collected, reconstructing, change, text):
    config, given = reconstructing
    if "split" in change:
        change = {"split": collected.split(change["split"])}
    with pytest.raises(UserError, match=text):
        reconstruct(config, **given | change)
    assert not given["out"].exists()


def by_rows(write_store, tmp_path, parts, episode, kind, **row):
    """What examples are made of, with an untrained model: 12 frames of noise, of which ``parts``
    names those of each part.
    """
    config = Config.check(
        yaml.safe_load((ROOT / "config.yaml").read_text())
        | {
            "methods": {"it": {"kind": kind, "feature_size": 8} | row},
            "ledger": None,
            "scaling": None,
        },
        "x",
    )
    frames = noise(12).numpy()
    path = write_store("frames", frames, {"game": "pong"}, episode=np.array(episode))
    part = np.full(12, 2, np.uint8)
    for code, rows in enumerate(parts.values()):
        part[list(rows)] = code
    columns = {
        "part": part,
        "reason": part * 0,
        "label_row": np.arange(12, dtype=np.int32),
        "episode": np.array(episode),
    }
    header = {
        "parts": [*parts, "dropped"],
        "frames_sha256": FrameStore.open(path).sha256,
        "purpose": "pretrain",
    }
    artifacts.write_arrays(tmp_path / "split", "split", columns, header)
    settings = config.methods["it"]
    model = objective.find(kind)(settings, torch.Generator().manual_seed(0))
    heads = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith("encoder.")
    }
    header = {
        "game": "pong",
        "method": "it",
        "encoder": "nature",
        "feature_size": 8,
        "frame_stack": settings.frame_stack,
    }
    encoders.save(tmp_path / "weights", model.encoder, header, heads)
    named = {
        "game": "pong",
        "policy": "random_agent",
        "protocol": "corrected",
        "method": "it",
        "seed": 0,
    }
    files = {
        "frames": path,
        "split": tmp_path / "split",
        "weights": tmp_path / "weights",
        "out": tmp_path / "examples",
    }
    return config, model, frames, named | files


def test_examples_end_with_their_episode(write_store, tmp_path):
    """Two episodes that follow one another: no frame shows the next episode's first, none has the
    last one's in its stack.
    """
    episode = [0] * 4 + [1] * 4 + [2] * 4
    parts = {"train": range(4), "val": range(4, 12)}
    config, model, frames, given = by_rows(
        write_store, tmp_path, parts, episode, "pixel-pred", frame_stack=2
    )
    reconstruct(config, **given)
    arrays, _ = artifacts.read_arrays(given["out"], "examples")
    rows = np.array([4, 5, 6, 8, 9, 10])
    assert np.array_equal(arrays["input"], frames[rows]) and np.array_equal(
        arrays["target"], frames[rows + 1]
    )
    stacks = torch.from_numpy(frames[np.array([[4, 4], [4, 5], [5, 6], [8, 8], [8, 9], [9, 10]])])
    with torch.no_grad():
        expected = 255 * model.decoder(model.step(model.encoder(stacks.float() / 255)))[:, 1]
    assert np.abs(arrays["output"] - expected.numpy()).max() < 0.51


@pytest.mark.parametrize("val", [[5], [4, 6, 8], [7, 8]])
def test_examples_of_nothing_that_follows_are_refused(write_store, tmp_path, val):
    episode = [0] * 4 + [1] * 4 + [2] * 4
    config, _, _, given = by_rows(
        write_store, tmp_path, {"train": range(4), "val": val}, episode, "pixel-pred"
    )
    with pytest.raises(
        UserError, match=r"split has no validation frame that another follows: collect more frames"
    ):
        reconstruct(config, **given)


@pytest.mark.parametrize("kind", ["supervised", "supervised-shared"])
def test_a_supervised_encoder_learns_from_the_probe_s_frames(
    collected, tmp_path, monkeypatch, kind
):
    config = configured(
        collected,
        it={
            "kind": kind,
            "feature_size": 16,
            "lr": 2e-3,
            "epochs": 1 if kind == "supervised" else 3,
        },
    )
    purpose = {"frames": collected.frames("probe"), "split": collected.split("probe")}
    seen, fit = {}, loop.fit

    def looking(objective, frames, train, val, *others, labels, **more):
        seen.update(frames=frames, train=train, val=val, labels=labels)
        return fit(objective, frames, train, val, *others, labels=labels, **more)

    monkeypatch.setattr(loop, "fit", looking)
    train(config, **arguments(collected, tmp_path, method="it", **purpose))
    store, split = FrameStore.open(purpose["frames"]), read_split(purpose["split"])
    kept = [name for name, variable in split.variables.items() if variable["kept"]]
    history = losses_of(tmp_path)
    classifier, header = encoders.load(tmp_path / "out", config.methods["it"], kept, 256)
    alone = [f"accuracy_{name}" for name in kept] if kind == "supervised" else []
    assert list(history[0]) == [
        "epoch",
        *(f"train_{name}" for name in ("loss", *kept)),
        *(f"val_{name}" for name in ("loss", *kept, *alone)),
        "sha256",
    ]
    assert float(history[-1]["train_loss"]) < 0.8 * float(history[0]["train_loss"])
    expected = {
        "variables": kept,
        "classes": 256,
        "shared": kind == "supervised-shared",
        "method": "it",
        "frame_stack": 1,
    }
    assert header == header | expected
    # What it was given: each frame of train and validation beside the labels of its own row of RAM.
    slips = 0
    for name in ("train", "val"):
        part, index = split.parts[name], seen[name]
        places = places_of(index)
        assert np.array_equal(index.lengths, part.lengths)
        assert np.array_equal(seen["frames"][places].numpy(), store.read(part.rows))
        for place, row in zip(places, part.label_rows, strict=True):
            values = labels.labels(store.ram[[row]], config.label_set, "breakout")[0]
            named = dict(zip(labels.variables(config.label_set, "breakout"), values, strict=True))
            assert seen["labels"][place].tolist() == [named[variable] for variable in kept]
        slips += np.count_nonzero(part.rows != part.label_rows)
    assert slips > 0 and len(seen["frames"]) == sum(
        len(split.parts[name].rows) for name in ("train", "val")
    )
    # What it finds: the likeliest value of each, and after three epochs more than always the same
    # one where that is easy.
    part = split.parts["train"]
    frames, true = store.read(part.rows), seen["labels"][places_of(seen["train"])].numpy()
    found = encoders.classify(classifier, frames, torch.device("cpu"))
    assert found.shape == true.shape == (len(part.rows), len(kept)) and found.dtype == np.int64
    with torch.no_grad():
        scores = classifier(torch.from_numpy(frames[:4]).float().unsqueeze(1) / 255)
    assert scores.shape == (4, len(kept), 256) and np.array_equal(
        scores.argmax(-1).numpy(), found[:4]
    )
    if kind == "supervised-shared":
        score = kept.index("score")
        most_frequent = np.bincount(true[:, score]).max() / len(true)
        assert (found[:, score] == true[:, score]).mean() > most_frequent + 0.1


def places_of(index):
    return np.concatenate(
        [np.arange(n) + first for first, n in zip(index.first, index.lengths, strict=True)]
    )


@pytest.mark.parametrize(
    ("kind", "wrong", "right"), [("supervised", "pretrain", "probe"), ("vae", "probe", "pretrain")]
)
def test_frames_of_another_purpose_are_refused(collected, tmp_path, kind, wrong, right):
    given = {"method": kind, "frames": collected.frames(wrong), "split": collected.split(wrong)}
    text = rf"{wrong}\.safetensors was made from {wrong} frames; {kind} needs {right} frames: "
    with pytest.raises(UserError, match=text):
        train(collected.config, **arguments(collected, tmp_path, **given))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["vae", "supervised"])
def test_a_method_that_learns_needs_frames(collected, tmp_path, method):
    with pytest.raises(
        UserError,
        match=rf"^{method} needs frames: name the files of its frames and their split$",
    ):
        train(
            collected.config,
            **arguments(collected, tmp_path, method=method, frames=None, split=None),
        )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"label_set": "atariari-2019"},
            r"probe\.safetensors has label set {made}, not {asked}: make the split again$",
        ),
        (
            {"probe": {"classes": 100}},
            r"^a label is \d+, but there are 100 classes: set probe\.classes to 256$",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused(collected, tmp_path, change, text):
    content = collected.config.model_dump()
    if "label_set" in change:
        change["label_set"] = next(
            name for name in labels.LABEL_SETS if name != collected.config.label_set
        )
        text = text.format(made=collected.config.label_set, asked=change["label_set"])
    config = Config.check(merge(content, change), "x")
    given = {
        "method": "supervised",
        "frames": collected.frames("probe"),
        "split": collected.split("probe"),
    }
    with pytest.raises(UserError, match=text):
        train(config, **arguments(collected, tmp_path, **given))


MODULE = """
import torch

class Columns(torch.nn.Module):
    def __init__(self, number, gain=1.0):
        super().__init__()
        self.map = torch.nn.Linear(160, number)
        self.gain = gain

    def forward(self, frames):
        return self.gain * self.map(frames.mean(dim=(1, 2)))
"""


def test_an_encoder_of_one_s_own(collected, tmp_path):
    file, weights = tmp_path / "mine.py", tmp_path / "mine.safetensors"
    file.write_text(MODULE)
    state = {"map.weight": torch.full((7, 160), 0.5), "map.bias": torch.arange(7.0)}
    safetensors.torch.save_file(state, weights)
    row = {
        "kind": "custom",
        "module": f"{file}:Columns",
        "kwargs": {"number": 7, "gain": 2.0},
        "frame_stack": 2,
    }
    config = configured(collected, drawn=row, given=row | {"weights": str(weights)})
    made = {}
    for name, method, seed in (
        ("1", "drawn", 0),
        ("2", "drawn", 0),
        ("3", "drawn", 1),
        ("4", "given", 0),
        ("5", "given", 1),
    ):
        (tmp_path / name).mkdir()
        train(
            config,
            **arguments(
                collected, tmp_path / name, method=method, seed=seed, frames=None, split=None
            ),
        )
        made[name] = bytes_of(tmp_path / name)
        assert made[name][1].startswith(b"epoch,sha256 ")
    assert made["1"] == made["2"]
    one, other = (
        encoders.load(tmp_path / name / "out", config.methods["drawn"])[0].map.weight
        for name in "13"
    )
    assert not torch.equal(one, other)  # the header alone would make other bytes
    frames = noise(3, 2)
    for name, same in (("1", False), ("4", True), ("5", True)):
        encoder, header = encoders.load(tmp_path / name / "out", config.methods["drawn"])
        expected = {
            "encoder": "custom",
            "module": str(file),
            "class": "Columns",
            "feature_size": 7,
            "frame_stack": 2,
        }
        assert header == header | expected | {"kwargs": {"number": 7, "gain": 2.0}}
        assert header["module_sha256"] == hashlib.sha256(MODULE.encode()).hexdigest()
        features = encoders.encode(encoder, frames, torch.device("cpu"))
        by_hand = (
            frames.float().mean(dim=(1, 2)) / 255 @ encoder.map.weight.detach().T
            + encoder.map.bias.detach()
        )
        assert np.allclose(features, 2 * by_hand.numpy(), rtol=1e-5, atol=1e-5)
        assert all(torch.equal(encoder.state_dict()[key], state[key]) for key in state) == same


def test_an_untrained_encoder_needs_no_frames(collected, tmp_path):
    made = {}
    for name, seed in (("1", 0), ("2", 0), ("3", 1)):
        (tmp_path / name).mkdir()
        train(
            collected.config,
            **arguments(
                collected, tmp_path / name, method="random-cnn", seed=seed, frames=None, split=None
            ),
        )
        made[name] = bytes_of(tmp_path / name)
        assert made[name][1].startswith(b"epoch,sha256 ")
    assert made["1"] == made["2"]
    assert made["1"][0] != made["3"][0]


# Registry


def test_every_kind_has_a_class():
    rows = yaml.safe_load((ROOT / "config.yaml").read_text())["methods"]
    assert {row["kind"] for row in rows.values()} <= set(kinds.names("methods"))
    # These need files: test_an_encoder_of_one_s_own, test_agents_as_encoders.py and
    # test_conditioned.py.
    for kind in set(kinds.names("methods")) - {"majority", "custom", "agent", "conditioned"}:
        cls, row = objective.find(kind), Method(kind=kind, feature_size=8)
        assert issubclass(cls, Objective)
        assert cls.__module__ == f"workflow_src.methods.{kind.replace('-', '_')}"
        supervision = {"variables": ["x", "y"], "classes": 5} if row.learns_from == "probe" else {}
        model = cls(row, torch.Generator().manual_seed(0), **supervision)
        expected = {
            "supervised": Classifier,
            "supervised-shared": SharedClassifier,
            "dim-ua": Charts,
            "profiles": ProfilesOfLevels,
        }.get(kind, NatureCNN)
        assert isinstance(model.encoder, expected)
        assert set(model.header) == ({"variables", "classes", "shared"} if supervision else set())
        # What the file declares is what the class does.
        assert (row.learns_from is not None) == (cls.draw is not Objective.draw)
        assert (row.decodes is not None) == (cls.reconstruct is not Objective.reconstruct)
    assert objective.find("custom").__module__ == "workflow_src.methods.custom"


def test_a_kind_cannot_stand_twice():
    objective.find("st-dim")
    with pytest.raises(
        ValueError,
        match=r"^two entries of methods are called st-dim: workflow_src\.methods\.st_dim and "
        ".*test_methods$",
    ):

        @objective.method("st-dim")
        class Another(Objective):
            pass

    assert objective.find("st-dim") is st_dim.STDIM


def test_a_method_that_learns_nothing_says_so():
    model = objective.find("random-cnn")(Method(kind="random-cnn"), torch.Generator())
    with pytest.raises(TypeError, match="RandomCNN learns nothing"):
        model(noise(1, 2, 1))
    with pytest.raises(TypeError, match="RandomCNN learns nothing"):
        model.draw(TRAIN, PAPER, np.random.default_rng())
    with pytest.raises(TypeError, match="RandomCNN has no decoder"):
        model.reconstruct(noise(1, 1))
