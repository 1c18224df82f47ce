"""The Python face: `get_episodes` and `ProbeTrainer` as people know them."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from workflow_src import encoders
from workflow_src.benchmark import EpisodeLabels, ProbeTrainer, get_episodes
from workflow_src.errors import UserError


@pytest.fixture(scope="module")
def episodes():
    return get_episodes(
        env_name="BoxingNoFrameskip-v4", steps=4000, collect_mode="random_agent", progress=False
    )


def test_order_shapes_and_labels(episodes):
    tr_episodes, val_episodes, tr_labels, val_labels, test_episodes, test_labels = episodes
    for frames, labels in (
        (tr_episodes, tr_labels),
        (val_episodes, val_labels),
        (test_episodes, test_labels),
    ):
        assert len(frames) == len(labels) >= 1
        for episode, rows in zip(frames, labels, strict=True):
            assert episode.dtype == torch.uint8 and episode.shape == (len(rows), 1, 210, 160)
            assert rows[0]["player_x"] == rows["player_x"][0] == next(iter(rows))["player_x"]
    assert len(tr_episodes) > len(test_episodes)


def test_labels_are_the_rams(tmp_path):
    """Of a game whose variables are not in alphabetical order in the label set, where a mix-up of
    columns would show.
    """
    from workflow_src.ari.labels import variables
    from workflow_src.config.run import defaults
    from workflow_src.episodes.collect import collect
    from workflow_src.episodes.store import FrameStore

    index = variables("paper-2019", "breakout")
    assert list(index) != sorted(index)
    found = get_episodes("ALE/Breakout-v5", steps=3000, protocol="corrected", progress=False)
    config = defaults({"episodes": {"frames": {"probe": 3000}}})
    policy = config.playing_policy("random_agent", "corrected")
    which = {"game": "breakout", "policy": policy, "purpose": "probe", "seed": 0}
    collect(
        policy_settings=config.policy(policy),
        settings=config.episodes,
        out=tmp_path / "f",
        progress=False,
        **which,
    )
    store = FrameStore.open(tmp_path / "f")
    frames = store.read(np.arange(len(store)))
    for episode, labels in zip(found[0] + found[4], found[2] + found[5], strict=True):
        rows = np.flatnonzero((frames == episode[0, 0].numpy()).all(axis=(1, 2)))
        ram = store.ram[
            rows
        ]  # equal frames may have different RAM: one of them must be the label's
        assert (
            (ram[:, [index[name] for name in labels.names]] == labels.values[0]).all(axis=1).any()
        )


def test_frames_are_the_workflows(episodes, tmp_path):
    from workflow_src.config.run import defaults
    from workflow_src.episodes.collect import collect
    from workflow_src.episodes.store import FrameStore

    config = defaults({"episodes": {"frames": {"probe": 4000}}})
    which = {"game": "boxing", "policy": "random_agent", "purpose": "probe", "seed": 0}
    out = tmp_path / "frames.b2nd"
    collect(
        policy_settings=config.policies["random_agent"],
        settings=config.episodes,
        out=out,
        progress=False,
        **which,
    )
    first = episodes[0][0][:, 0].numpy()
    assert np.array_equal(first, FrameStore.open(out).read(np.arange(len(first))))


def test_trains_and_tests_any_module(episodes):
    tr_episodes, val_episodes, tr_labels, val_labels, test_episodes, test_labels = episodes
    encoder = nn.Sequential(nn.AvgPool2d(10), nn.Flatten())  # no weights at all: 21 x 16 mean grays
    trainer = ProbeTrainer(encoder, representation_len=336, epochs=5, lr=5e-3, progress=False)
    trainer.train(tr_episodes, val_episodes, tr_labels, val_labels)
    accuracies, f1_scores = trainer.test(test_episodes, test_labels)
    names = list(tr_labels[0].names)
    assert {f"{n}_f1" for n in names} <= set(f1_scores) and {f"{n}_acc" for n in names} <= set(
        accuracies
    )
    assert f1_scores["overall_avg_f1"] == pytest.approx(
        np.mean([f1_scores[f"{n}_f1"] for n in names])
    )
    categories = [
        v
        for k, v in f1_scores.items()
        if k.endswith("_avg_f1") and not k.startswith(("overall", "across"))
    ]
    assert f1_scores["across_categories_avg_f1"] == pytest.approx(np.mean(categories))
    assert accuracies["across_categories_avg_acc"] > 0
    again = ProbeTrainer(encoder, representation_len=336, epochs=5, lr=5e-3, progress=False)
    again.train(
        tr_episodes,
        val_episodes,
        [list(rows) for rows in tr_labels],
        [list(rows) for rows in val_labels],
    )
    assert (
        again.test(test_episodes, test_labels)[1] == f1_scores
    )  # labels as a dictionary a frame, as in 2019


def test_our_own_encoder_fits(episodes):
    encoder = encoders.build("nature", 256, torch.Generator().manual_seed(0))
    trainer = ProbeTrainer(encoder, epochs=1, progress=False)
    trainer.train(*(part[:1] for part in episodes[:4]))
    encoder(encoders.scale(episodes[0][0][:2])).sum().backward()  # its owner can go on training it
    assert encoder.training
    assert 0 <= trainer.test(*(part[:1] for part in episodes[4:]))[1]["overall_avg_f1"] <= 1


def test_labels_are_signed(episodes):
    """A difference of two variables is a difference, not one modulo 256."""
    rows = episodes[2][0]
    seen = rows["player_x"] - rows["enemy_x"]
    assert seen.tolist() == [row["player_x"] - row["enemy_x"] for row in rows]
    assert seen.min() < 0 and rows.values.dtype == np.int64
    assert (rows[2:5]["player_x"] - 255 == rows["player_x"][2:5] - 255).all()
    with pytest.raises(KeyError, match="no variable 'player_z'; there are"):
        rows["player_z"]


class Cached(nn.Module):
    """Keeps what it computed, as a tensor that cannot be copied."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(336, 8)

    def forward(self, frames):
        self.kept = self.layer(nn.functional.avg_pool2d(frames, 10).flatten(1))
        return self.kept


def grays(*more):
    return nn.Sequential(nn.AvgPool2d(10), nn.Flatten(), *more)


def trainer_of(module, size, **settings):
    settings = {"epochs": 1, "progress": False} | settings
    return ProbeTrainer(module, size, **settings)


def first(episodes, n=1):
    return [part[:n] for part in episodes]


@pytest.mark.parametrize("kind", ["weight norm", "cached"])
def test_encoders_that_cannot_be_copied(episodes, kind):
    module = Cached() if kind == "cached" else grays(nn.utils.weight_norm(nn.Linear(336, 8)))
    if kind == "cached":
        module(torch.rand(2, 1, 210, 160))
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(module)
    module.train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    trainer = trainer_of(module, 8)
    trainer.train(*first(episodes[:4]))
    assert 0 <= trainer.test(*first(episodes[4:]))[1]["overall_avg_f1"] <= 1
    assert module.training and all(torch.equal(module.state_dict()[n], before[n]) for n in before)


def test_parts_keep_their_own_mode(episodes):
    module = grays(nn.Dropout(), nn.Linear(336, 8))
    module.train()[2].eval()
    trainer_of(module, 8).train(*first(episodes[:4]))
    assert [part.training for part in module.modules()] == [True, True, True, False, True]


@pytest.mark.parametrize("form", ["array", "list of arrays", "list of tensors", "no channels"])
def test_episodes_in_other_forms(episodes, form):
    forms = {
        "array": lambda e: e.numpy(),
        "list of arrays": lambda e: list(e.numpy()),
        "list of tensors": list,
        "no channels": lambda e: e[:, 0],
    }
    tr, val, tr_labels, val_labels, test, test_labels = first(episodes)
    found = []
    for change in (forms[form], lambda e: e):
        trainer = trainer_of(grays(), 336)
        parts = [[change(e) for e in part] for part in (tr, val, test)]
        trainer.train(*parts[:2], tr_labels, val_labels)
        found.append(trainer.test(parts[2], test_labels))
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", [np.int64, np.uint8, float, torch.tensor])
def test_labels_of_other_types_and_names(episodes, kind):
    """Names that no category knows: scores of each and their mean, nothing is thrown away."""
    tr, val, tr_labels, val_labels, test, test_labels = first(episodes)

    def mine(part):
        return [[{"mine": kind(row["player_x"] % 7)} for row in rows] for rows in part]

    trainer = trainer_of(grays(), 336)
    trainer.train(tr, val, mine(tr_labels), mine(val_labels))
    accuracies, f1_scores = trainer.test(test, mine(test_labels))
    assert set(accuracies) == {"mine_acc", "overall_avg_acc"}
    assert f1_scores["mine_f1"] == f1_scores["overall_avg_f1"]


@pytest.mark.parametrize("number", [np.int64(4000), np.float32(4000), 4000.0, torch.tensor(4000)])
def test_numbers_as_people_write_them(number):
    trainer = ProbeTrainer(
        nn.Flatten(), number, epochs=number, seed=number, lr=np.float32(1e-3), device="cpu"
    )
    assert trainer.settings.epochs == trainer.seed == trainer.representation_len == 4000
    assert isinstance(trainer.seed, int)


def test_steps_may_be_of_numpy(episodes):
    again = get_episodes("BoxingNoFrameskip-v4", steps=np.int64(4000), progress=False)
    assert len(again[0]) == len(episodes[0]) and torch.equal(again[0][0], episodes[0][0])


class Two(nn.Module):
    def forward(self, frames):
        return frames.flatten(1)[:, :8], None


class Made(nn.Module):
    """Gives what a function makes of its features (N, 336)."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, frames):
        return self.change(nn.functional.avg_pool2d(frames, 10).flatten(1))


FORM = r"for frames \(\d+, \.\.\.\), not \(\d+, 336\): return a row of features for each frame"
ENCODERS = {
    "tuple": (Two(), 8, r"the encoder gives tuple for frames \(\d+, \.\.\.\), not \(\d+, 8\): "),
    "channels": (
        nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten()),
        8,
        r"the encoder fails on frames \(N, 1, 210, 160\): RuntimeError: .*; mend it, or give",
    ),
    "type": (
        nn.Sequential(nn.Flatten(), nn.Embedding(4, 4)),
        8,
        "the encoder fails on frames",
    ),
    "width": (grays(), 8, "gives 336 features, not 8: set representation_len"),
    "none": (Made(lambda x: x[:, :0]), 336, "gives 0 features, not 336: set representation_len"),
    "maps": (nn.AvgPool2d(10), 336, rf"gives \(\d+, 1, 21, 16\) {FORM}"),
    "fewer rows": (Made(lambda x: x[1:]), 336, rf"gives \(\d+, 336\) {FORM}"),
    "sparse": (
        Made(torch.Tensor.to_sparse),
        336,
        "features in torch.sparse_coo .*: return a dense",
    ),
    "meta output": (Made(lambda x: x.to("meta")), 336, "float32 on meta: return a dense tensor"),
    "imaginary": (Made(lambda x: x * 1j), 336, "of torch.complex64 on cpu: return a dense tensor"),
    "meta weights": (grays(nn.Linear(336, 8, device="meta")), 8, "fails on frames .*meta tensor"),
    "nan": (
        grays(nn.Threshold(9.0, float("nan"))),
        336,
        r"(\d+) of \1 training frames have features that are infinite or no numbers in float32",
    ),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_that_do_not_fit(episodes, name):
    module, size, text = ENCODERS[name]
    with pytest.raises(UserError, match=text) as error:
        trainer_of(module, size).train(*first(episodes[:4]))
    assert "\n" not in str(error.value)


def test_a_last_batch_of_one_frame_must_keep_its_dimension(episodes):
    tr, val, tr_labels, val_labels, *_ = first(episodes)
    tr, tr_labels = [tr[0][:65]], [tr_labels[0][:65]]  # a batch is 64 frames
    with pytest.raises(UserError, match=r"gives \(336,\) for frames \(1, .*do not squeeze"):
        trainer_of(Made(torch.squeeze), 336, device="cpu").train(tr, val, tr_labels, val_labels)


def test_features_of_test_frames_must_be_numbers(episodes):
    def by_deviation(x):
        return x / x.std(1, keepdim=True)

    tr, val, tr_labels, val_labels, test, test_labels = first(episodes)
    trainer = trainer_of(Made(by_deviation), 336)
    trainer.train(tr, val, tr_labels, val_labels)
    blank = test[0].clone()
    blank[:20] = 0
    with pytest.raises(UserError, match=rf"^20 of {len(blank)} test frames have features that"):
        trainer.test([blank], test_labels)


def small(episode):
    return nn.functional.avg_pool2d(episode.float(), 2)[..., :84, :80].byte()


def test_frames_may_have_any_size_that_the_encoder_takes(episodes):
    tr, val, tr_labels, val_labels, test, test_labels = first(episodes)
    own = encoders.build("nature", 8, torch.Generator().manual_seed(0))
    fits = nn.Sequential(nn.Flatten(), nn.Linear(84 * 80, 8))
    less = [[small(episode) for episode in part] for part in (tr, val, test)]
    trainer = trainer_of(fits, 8)
    trainer.train(*less[:2], tr_labels, val_labels)
    assert 0 <= trainer.test(less[2], test_labels)[1]["overall_avg_f1"] <= 1
    for module in (grays(), own, nn.Sequential(nn.Flatten(), nn.Linear(210 * 160, 8))):
        with pytest.raises(UserError, match=r"gives|fails on frames") as error:
            trainer_of(module, 8).train(*less[:2], tr_labels, val_labels)
        assert "\n" not in str(error.value)


def test_traced_encoders_are_called(episodes):
    module = torch.jit.trace(grays(nn.Linear(336, 8)), torch.rand(2, 1, 210, 160))
    trainer_of(module, 8).train(*first(episodes[:4]))


def featured(change, width=4, n=64):
    values = torch.rand(n, width)
    labels = [[{"mine": i % 3} for i in range(n)]]
    parts = [[change(values)], [values]]
    trainer_of(None, 4).train(*parts, labels, labels)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.bfloat16(),
        lambda x: x.double().requires_grad_(),
        lambda x: list(x.requires_grad_()),
        lambda x: x.tolist(),
        lambda x: (x > 0.5).numpy(),
        lambda x: x.numpy().astype(">f8"),
    ],
)
def test_features_of_other_types(change):
    featured(change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x.double().numpy() * 1e300, "^64 of 64 training frames have features that are"),
        (lambda x: x.double() * 1e300, "^64 of 64 training frames have features that are infinite"),
        (lambda x: x.numpy() * 1j, r"features \(T, 4\), not \(64, 4\) of complex64"),
        (lambda x: x * 1j, r"not \(64, 4\) of complex64"),
        (lambda x: x.numpy().astype("datetime64[s]"), r"not \(64, 4\) of datetime64"),
        (lambda x: [*x.tolist()[:-1], [1.0]], "this is none: ValueError: .*; give an array of"),
        (lambda x: [*x[:-1], x[0, :1]], "this is none: ValueError: .*; give an array of numbers"),
        (lambda x: x.to_sparse(), "this is none: TypeError: .*; give an array of numbers"),
        (lambda x: x.to("meta"), "this is none: .*; give an array of numbers"),
        (lambda x: x[:, :0], r"not \(64, 0\) of float32: give real numbers and set repr"),
    ],
)
def test_features_that_are_none(change, said):
    with pytest.raises(UserError, match=said) as error:
        featured(change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [-3, 0])
def test_features_have_a_width(size):
    with pytest.raises(UserError, match=f"representation_len is {size}: give 1 or more"):
        ProbeTrainer(None, size)


def test_labels_behave_as_a_dictionary_and_as_a_list(episodes):
    rows = episodes[2][0]
    assert "player_x" in rows and "player_z" not in rows and rows[0] in rows
    assert [name for name, _ in rows.items()] == list(rows.keys())
    assert all(np.array_equal(values, rows[name]) for name, values in rows.items())


@pytest.mark.parametrize("form", ["dictionary", "lists", "tensors"])
def test_labels_may_be_arrays_by_variable(episodes, form):
    kind = {"dictionary": np.asarray, "lists": np.ndarray.tolist, "tensors": torch.as_tensor}[form]
    tr, val, tr_labels, val_labels, test, test_labels = first(episodes)
    found = []
    for change in (lambda x: x, lambda x: {name: kind(values) for name, values in x.items()}):
        trainer = trainer_of(grays(), 336)
        trainer.train(tr, val, *([change(x) for x in part] for part in (tr_labels, val_labels)))
        found.append(trainer.test(test, [change(x) for x in test_labels]))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([[{}] * 64], "the labels name no variable: give at least one"),
        ([EpisodeLabels([], np.zeros((64, 0)))], "the labels name no variable"),
        ([[{3: 1}] * 64], "the name of a label is 3: give text"),
        ([[7] * 64], "the labels of a frame are of the type int: give a dictionary"),
        ([[{"mine": 1}] * 63 + [7]], "the labels name other variables than those of training"),
        ([[{"mine": np.zeros(2)}] * 64], "a label of mine is .*: give a whole number"),
        ([[{"mine": torch.zeros(9, 9, 9)}] * 64], "a label of mine is .*: give a whole number"),
        ({"mine": np.zeros(64)}, "1 training episodes and a dictionary of labels: give a list"),
        ([{"mine": np.zeros(64), "other": np.zeros(3)}], "not of arrays of equal length"),
        ([{"mine": 3}], "not of arrays of equal length: give an array"),
        ([{"mine": np.zeros(63)}], "training episode 0 has 64 frames, but 63 labels"),
    ],
)
def test_labels_that_are_none(labels, said):
    features = [np.zeros((64, 4))]
    with pytest.raises(UserError, match=said) as error:
        trainer_of(None, 4).train(features, features, labels, labels)
    assert "\n" not in str(error.value)


def test_no_probes_are_scored_under_other_names():
    features, n = [np.random.default_rng(0).normal(size=(64, 4))], 64
    mine, other = ([[{name: i % 3} for i in range(n)]] for name in ("mine", "other"))
    trainer = trainer_of(None, 4)
    trainer.train(features, features, mine, mine)
    with pytest.raises(UserError, match="64 of 64 validation frames"):
        trainer.train(features, [np.full((n, 4), np.nan)], other, other)
    with pytest.raises(UserError, match="before train had fitted probes"):
        trainer.test(features, other)


@pytest.mark.parametrize(
    ("value", "classes", "text"),
    [
        (300, 256, "a label of mine is 300: labels are whole numbers from 0 to 255; number the"),
        (-1, 256, "a label of mine is -1: labels are whole numbers from 0 to 255"),
        (9, 8, "a label of mine is 9, but the probes have 8 classes: set num_classes to 10 or"),
        (0.5, 256, "a label of mine is 0.5: give a whole number"),
        ("3", 256, "a label of mine is '3': give a whole number"),
        (float("nan"), 256, "a label of mine is nan: give a whole number"),
    ],
)
def test_labels_that_are_no_class_are_refused_before_encoding(episodes, value, classes, text):
    tr, val, tr_labels, val_labels, *_ = first(episodes)
    mine = [[[{"mine": value} for _ in rows] for rows in part] for part in (tr_labels, val_labels)]
    module = Cached()
    with pytest.raises(UserError, match=text):
        trainer_of(module, 8, num_classes=classes).train(tr, val, *mine)
    assert not hasattr(module, "kept")


@pytest.mark.parametrize("place", [0, 1])
def test_an_episode_without_frames_is_refused(episodes, place):
    tr, val, tr_labels, val_labels, *_ = first(episodes)
    tr.insert(place, torch.zeros(0, 1, 210, 160, dtype=torch.uint8))
    tr_labels.insert(place, [])
    with pytest.raises(UserError, match=f"training episode {place} has no frames: leave the epis"):
        trainer_of(grays(), 336).train(tr, val, tr_labels, val_labels)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", "", "mps"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(UserError, match=r"device: unknown .*; known: auto, cpu, cuda, cuda:0"):
        ProbeTrainer(nn.Flatten(), device=name)


def test_a_device_may_be_torch_s(episodes):
    trainer_of(grays(), 336, device=torch.device("cpu")).train(*first(episodes[:4]))


class TestBadInput:
    def test_unknown_game(self):
        with pytest.raises(
            UserError, match=r"unknown game 'pongg'.*did you mean pong.*known: asteroids"
        ):
            get_episodes("PonggNoFrameskip-v4", steps=1000)

    def test_unknown_protocol(self):
        with pytest.raises(UserError, match=r"unknown protocol 'papr' \(did you mean paper\?\)"):
            get_episodes("PongNoFrameskip-v4", steps=1000, protocol="papr")

    @pytest.mark.parametrize("steps", [1500.5, "1500", None, float("inf")])
    def test_steps_that_are_no_number(self, steps):
        with pytest.raises(UserError, match=f"steps is {steps!r}: give a whole number"):
            get_episodes("PongNoFrameskip-v4", steps=steps)

    @pytest.mark.parametrize(
        "name", ["env_name", "collect_mode", "train_mode", "protocol", "label_set"]
    )
    def test_names_that_are_none(self, name):
        with pytest.raises(UserError, match=f"^{name} is None: give text$"):
            get_episodes(**{"env_name": "PongNoFrameskip-v4", "steps": 1000} | {name: None})

    @pytest.mark.parametrize("workers", [0, -1])
    def test_workers(self, workers):
        with pytest.raises(UserError, match=f"workers is {workers}: give 1 or more"):
            get_episodes("PongNoFrameskip-v4", steps=1000, workers=workers)

    def test_unknown_mode(self):
        with pytest.raises(UserError, match="known: random_agent"):
            get_episodes("PongNoFrameskip-v4", steps=1000, collect_mode="pretrained_ppo")

    def test_too_few_steps(self):
        with pytest.raises(UserError, match=r"collect \d+ frames or more"):
            get_episodes("PongNoFrameskip-v4", steps=300, progress=False)

    def test_not_a_module(self):
        with pytest.raises(UserError, match="not a torch module"):
            ProbeTrainer(lambda x: x)

    def test_test_before_train(self, episodes):
        with pytest.raises(UserError, match="before train"):
            ProbeTrainer(nn.Flatten()).test(*episodes[4:])

    def test_wrong_length(self, episodes):
        with pytest.raises(UserError, match="representation_len"):
            ProbeTrainer(nn.Flatten(), progress=False).train(*(part[:1] for part in episodes[:4]))

    def test_no_episodes(self):
        with pytest.raises(UserError, match="no training episodes"):
            ProbeTrainer(nn.Flatten()).train([], [], [], [])

    def test_other_variables(self, episodes):
        trainer = ProbeTrainer(
            nn.Sequential(nn.AvgPool2d(10), nn.Flatten()), 336, epochs=1, progress=False
        )
        trainer.train(*(part[:1] for part in episodes[:4]))
        renamed = EpisodeLabels(["other"], np.zeros((len(episodes[4][0]), 1), np.uint8))
        with pytest.raises(UserError, match="other variables"):
            trainer.test(episodes[4][:1], [renamed])

    def test_labels_that_do_not_fit(self, episodes):
        with pytest.raises(UserError, match="one label for each frame"):
            ProbeTrainer(nn.Flatten()).train(
                episodes[0][:1], episodes[1][:1], [episodes[2][0][:-1]], episodes[3][:1]
            )

    def test_frames_that_are_scaled_already(self, episodes):
        with pytest.raises(UserError, match="not uint8"):
            ProbeTrainer(nn.Flatten()).train(
                [episodes[0][0].float() / 255], *(part[:1] for part in episodes[1:4])
            )

    @pytest.mark.parametrize(
        "setting", [{"epochs": 0}, {"lr": "3e-4"}, {"keep": "first"}, {"num_classes": 300}]
    )
    def test_settings_out_of_range(self, setting):
        with pytest.raises(UserError, match="settings: "):
            ProbeTrainer(nn.Flatten(), **setting)
