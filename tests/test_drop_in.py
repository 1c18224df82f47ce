"""The names of the 2019 code: its README's examples as printed, its keywords, its refusals."""

import re
import types

import gymnasium as gym
import numpy as np
import pytest
import torch

import atariari
from atariari.benchmark import utils
from atariari.benchmark.categorization import summary_key_dict
from atariari.benchmark.episodes import get_episodes
from atariari.benchmark.probe import ProbeTrainer
from atariari.benchmark.ram_annotations import atari_dict
from atariari.benchmark.wrapper import AtariARIWrapper, ram2label
from atariari.methods.encoders import ImpalaCNN, NatureCNN, PPOEncoder
from workflow_src.ari.labels import CATEGORIES
from workflow_src.errors import UserError

STEPS = 6144

# As the README of 2019 prints them, but for gymnasium's import and for fewer steps and epochs.
WRAPPER = """
import gymnasium as gym
from atariari.benchmark.wrapper import AtariARIWrapper
env = AtariARIWrapper(gym.make('MsPacmanNoFrameskip-v4'))
obs = env.reset()
obs, reward, done, info = env.step(1)
"""
EPISODES = """
from atariari.benchmark.episodes import get_episodes

tr_episodes, val_episodes,\\
tr_labels, val_labels,\\
test_episodes, test_labels = get_episodes(env_name="PitfallNoFrameskip-v4",
                                     steps=STEPS,
                                     collect_mode="random_agent")
"""
PROBE = """
from atariari.benchmark.probe import ProbeTrainer

probe_trainer = ProbeTrainer(my_encoder, representation_len=my_encoder.feature_size, epochs=2)
probe_trainer.train(tr_episodes, val_episodes,
                     tr_labels, val_labels,)
final_accuracies, final_f1_scores = probe_trainer.test(test_episodes, test_labels)
"""


class MyEncoder(torch.nn.Module):
    def __init__(self, input_channels, feature_size):
        super().__init__()
        self.feature_size = feature_size
        self.pool = torch.nn.AvgPool2d(10)
        self.fc = torch.nn.Linear(input_channels * 21 * 16, self.feature_size)

    def forward(self, inputs):
        x = self.pool(inputs)
        x = x.view(x.size(0), -1)
        return self.fc(x)


def test_the_readme_of_2019_runs_as_printed():
    names: dict = {"STEPS": STEPS}
    exec(WRAPPER, names)
    assert names["obs"].shape == (210, 160, 3) and names["done"] is False
    assert names["info"]["labels"]["enemy_sue_x"] == 88
    exec(EPISODES, names)
    assert names["tr_episodes"][0].shape[1:] == (1, 210, 160)
    assert names["tr_episodes"][0].dtype == torch.uint8
    names["my_encoder"] = MyEncoder(input_channels=1, feature_size=32)
    exec(PROBE, names)
    assert 0 < names["final_f1_scores"]["across_categories_avg_f1"] < 1
    assert names["final_accuracies"].keys() == {
        re.sub("f1$", "acc", name) for name in names["final_f1_scores"]
    }


def test_the_wrapper_has_gymnasiums_interface_on_request():
    env = AtariARIWrapper(gym.make("PongNoFrameskip-v4"), new_step_api=True)
    env = gym.wrappers.RecordEpisodeStatistics(env)
    _, info = env.reset(seed=0)
    assert info["labels"]["player_score"] == 0
    assert len(env.step(0)) == 5
    assert atariari.AtariARIWrapper is not AtariARIWrapper
    with pytest.raises(UserError, match=r"no environment of gymnasium: make it with gymnasium"):
        AtariARIWrapper(types.SimpleNamespace(unwrapped=None))


def test_annotations_are_those_of_the_last_version():
    assert len(atari_dict) == 24 and atari_dict["pong"]["ball_x"] == 49
    ram = np.arange(128, dtype=np.uint8)
    assert ram2label("PongNoFrameskip-v4", ram) == atari_dict["pong"]
    assert list(summary_key_dict) == [*CATEGORIES[:-1], "misc_keys"]
    assert "ball_x" in summary_key_dict["small_object_localization"]


@pytest.mark.parametrize(
    ("name", "ram", "label_set", "said"),
    [
        ("pong", np.full(128, 300), "revised-2020", "ram has the value 300: give whole numbers"),
        ("pong", [-1] * 128, "revised-2020", "ram has the value -1: give whole numbers from 0"),
        ("pong", np.full(128, 1.7), "revised-2020", "ram has the value 1.7: give whole numbers"),
        ("pong", np.full(128, np.nan), "revised-2020", "ram has the value nan: give whole"),
        ("pong", [1, 2, 3], "revised-2020", r"ram has the shape \(3,\) and the type int64: give"),
        ("pong", np.zeros((4, 128), np.uint8), "revised-2020", r"ram has the shape \(4, 128\)"),
        ("pong", [[1], [2, 3]], "revised-2020", r"ram has the shape \(2,\) and the type object"),
        ("pong", ["1"] * 128, "revised-2020", "the type <U1: give the 128 bytes of one emulator"),
        (None, np.zeros(128), "revised-2020", "env_name is None: give text"),
        ("pong", np.zeros(128), None, "label_set is None: give text"),
    ],
)
def test_what_is_no_ram_is_refused_in_one_line(name, ram, label_set, said):
    with pytest.raises(UserError, match=said) as error:
        ram2label(name, ram, label_set)
    assert "\n" not in str(error.value)


def test_a_ram_may_be_any_whole_numbers():
    ram = list(range(128))
    for kind in (list, np.array, np.float64, torch.tensor):
        assert ram2label("pong", kind(ram)) == atari_dict["pong"]


@pytest.mark.parametrize("outer", [AtariARIWrapper, atariari.AtariARIWrapper])
def test_wrappers_go_around_gymnasiums_interface_only(outer):
    with pytest.raises(UserError, match=r"interface of 2019, .* new_step_api=True"):
        outer(gym.wrappers.TimeLimit(AtariARIWrapper(gym.make("PongNoFrameskip-v4")), 9))
    env = outer(AtariARIWrapper(gym.make("PongNoFrameskip-v4"), new_step_api=True))
    env.reset()
    assert "ball_x" in env.step(0)[-1]["labels"]


def test_episodes_take_the_keywords_of_2019():
    arguments = {"env_name": "PongNoFrameskip-v4", "steps": STEPS, "num_processes": 4, "seed": 1}
    quiet = {"progress": False}
    *_, test, labels = get_episodes(**arguments, **quiet, entropy_threshold=2.0)
    assert len(test) == len(labels) and set(labels[0].keys()) < set(atari_dict["pong"])
    assert len(labels[0]["ball_x"]) == len(test[0]) == len(labels[0])
    train, val = get_episodes(**arguments, **quiet, train_mode="train_encoder", num_frame_stack=4)
    assert train[0].shape[1:] == val[0].shape[1:] == (4, 210, 160)
    # The newest frame is the last; the first is repeated where none came before.
    assert torch.equal(train[0][1, -2], train[0][0, -1])
    assert torch.equal(train[0][0, 0], train[0][0, -1])
    colors, _ = get_episodes(**arguments, **quiet, train_mode="dry_run", color=True)
    assert colors[0].shape[1:] == (3, 210, 160) and colors[0].float().std(1).max() > 10
    episodes, everything = get_episodes(**arguments, **quiet, train_mode="dry_run", downsample=True)
    assert sum(map(len, episodes)) == STEPS == sum(map(len, everything))
    assert episodes[0].shape[1:] == (1, 84, 84) and episodes[0].dtype == torch.uint8
    assert set(everything[0].keys()) == set(atari_dict["pong"])


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"collect_mode": "pretrained_ppo"}, "atariari init my-run --preset ppo"),
        ({"checkpoint_index": 3}, "atariari init my-run --preset ppo"),
        ({"collect_mode": "random"}, "unknown policy 'random'"),
        ({"train_mode": "encoder"}, "unknown train_mode 'encoder'"),
        ({"num_frame_stack": 0}, "stack 1 to 16 frames"),
    ],
)
def test_what_is_no_longer_there_is_refused_in_one_line(keywords, said):
    with pytest.raises(UserError) as error:
        get_episodes("PongNoFrameskip-v4", **keywords)
    assert said in str(error.value) and "\n" not in str(error.value)


def vectors(length: int, generator: np.random.Generator) -> tuple[np.ndarray, list[dict]]:
    values = generator.integers(0, 4, length)
    features = np.eye(4)[values] + 0.01 * generator.normal(size=(length, 4))
    return features, [{"player_x": int(value)} for value in values]


def test_probes_read_vectors_without_an_encoder(tmp_path):
    rng = np.random.default_rng(0)
    (train, train_labels), (val, val_labels), (test, test_labels) = (
        vectors(400, rng) for _ in range(3)
    )
    trainer = ProbeTrainer(
        representation_len=4, lr=0.1, epochs=20, method_name="mine", save_dir=tmp_path / "weights"
    )
    trainer.train([train], [val], [train_labels], [val_labels])
    _, f1 = trainer.test([list(map(torch.as_tensor, test))], [test_labels])
    assert f1["player_x_f1"] > 0.95
    assert (tmp_path / "weights" / "mine.safetensors").is_file()
    with pytest.raises(UserError, match=r"features \(T, 4\), not \(400, 3\)"):
        trainer.test([test[:, :3]], [test_labels])
    test[7, 0] = np.nan
    with pytest.raises(UserError, match="infinite or no number"):
        trainer.test([test], [test_labels])


def test_probes_take_the_keywords_of_2019():
    values, rows = vectors(200, np.random.default_rng(0))
    labels = [{"player_x": np.array([row["player_x"] for row in rows])}]
    found = []
    for first, second in (
        (("tr_eps", "val_eps"), ("test_episodes", "test_label_dicts")),
        (("tr_episodes", "val_episodes"), ("test_episodes", "test_labels")),
    ):
        trainer = ProbeTrainer(representation_len=4, epochs=2)
        parts = {name: [values] for name in first}
        trainer.train(**parts, tr_labels=labels, val_labels=labels)
        found.append(trainer.test(**dict(zip(second, ([values], labels), strict=True))))
    assert found[0] == found[1] == trainer.test([values], labels, epoch=3)


def test_an_encoder_may_see_small_frames():
    """As `downsample` gives them."""
    frames = torch.randint(0, 256, (64, 1, 84, 84), dtype=torch.uint8)
    labels = [{"player_x": frames[:, 0, 0, 0] % 3}]
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(84 * 84, 4))
    trainer = ProbeTrainer(encoder, representation_len=4, epochs=1)
    trainer.train([frames], [frames], labels, labels)
    assert set(trainer.test([frames], labels)[0]) >= {"player_x_acc"}


def test_supervised_encoders_are_refused():
    with pytest.raises(UserError, match="atariari probe --method supervised"):
        ProbeTrainer(MyEncoder(1, 8), fully_supervised=True)


@pytest.mark.parametrize("made", [NatureCNN, ImpalaCNN])
def test_encoders_are_made_of_args(made):
    args = types.SimpleNamespace(feature_size=32, no_downsample=True, end_with_relu=True)
    torch.manual_seed(3)
    encoder = made(1, args)
    torch.manual_seed(3)
    again = made(1, args)
    frames = torch.rand(2, 1, 210, 160)
    found = encoder(frames, fmaps=True)
    assert found["out"].shape == (2, 32) and (found["out"] >= 0).all()
    assert found["f5"].shape[-1] == encoder.local_layer_depth
    assert torch.equal(found["out"], again(frames))
    with pytest.raises(UserError, match="frames of 210x160"):
        made(1, types.SimpleNamespace(feature_size=32, no_downsample=False))
    with pytest.raises(UserError, match="kind agent"):
        PPOEncoder("PongNoFrameskip-v4", -1)


def test_small_functions():
    grown = utils.appendabledict()
    for value in (1, 2):
        grown.append_update({"a": value})
    grown.extend_update({"a": [3]})
    assert grown.subslice(slice(1, 3)) == {"a": [2, 3]}
    assert utils.append_suffix({"a": 1}, "_f1") == {"a_f1": 1}
    assert utils.compute_dict_average({"a": 1, "b": 3}) == 2
    labels = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])
    preds = np.array([[0, 1], [1, 1], [0, 0], [0, 0]])
    assert utils.calculate_multiple_accuracies(preds, labels) == [0.75, 1.0]
    assert utils.calculate_multiple_f1_scores(preds, labels)[1] == 1.0
    with pytest.raises(UserError, match="no longer to be had"):
        utils.download_run("PongNoFrameskip-v4", 1536)
