"""The Python face: `get_episodes` and `ProbeTrainer` as people know them."""

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


class TestBadInput:
    def test_unknown_game(self):
        with pytest.raises(
            UserError, match=r"unknown game 'pongg'.*did you mean pong.*known: asteroids"
        ):
            get_episodes("PonggNoFrameskip-v4", steps=1000)

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
