"""The training loop against scripts of what it should do."""

import itertools
import math
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from trainings import CORRECTED, PAPER, index

from workflow_src import seeds
from workflow_src.config.methods import Training
from workflow_src.config.run import defaults
from workflow_src.errors import UserError
from workflow_src.training import loop, objective
from workflow_src.training.objective import Objective, draw_pairs

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
