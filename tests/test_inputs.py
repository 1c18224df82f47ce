"""Encoders that see colours, frames of another size, and several frames."""

import json

import ale_py
import cv2
import numpy as np
import pytest
import safetensors
import torch
from ale_py import ALEInterface
from configs import PAPER, refusal
from steps import probe, split, train

from workflow_src import encoders
from workflow_src.ari.games import rom_name
from workflow_src.config.run import Config, defaults
from workflow_src.encoders.custom import Resized
from workflow_src.episodes.collect import collect
from workflow_src.episodes.color import ColorStore, as_seen
from workflow_src.episodes.dataset import load_stacks
from workflow_src.episodes.store import NO_ACTION, FrameStore
from workflow_src.errors import UserError

ENCODER = """
from torch import nn


class Seen(nn.Module):
    def __init__(self, channels, height, width):
        super().__init__()
        self.shape = (channels, height, width)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, 8))

    def forward(self, frames):
        assert frames.shape[1:] == self.shape, frames.shape
        assert 0 <= frames.min() and frames.max() <= 1
        return self.layers(frames)
"""


def settings(module, **row) -> Config:
    """Games small enough for a test, with a method that sees something else."""
    change = {
        "games": ["boxing"],
        "device": "cpu",
        "episodes": {"frames": {"pretrain": 600, "probe": 3000}, "num_envs": 3},
        "probe": {"epochs": 1, "threads": 1},
        "training": {"threads": 1},
        "methods": {
            "mine": {"kind": "custom", "module": f"{module}:Seen", **row},
            "mine-standardised": {"kind": "conditioned", "of": "mine", "features": "standardised"},
        },
    }
    return defaults(change)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A file of frames of boxing, whose last emulator's share is ragged."""
    out = tmp_path_factory.mktemp("played") / "boxing.b2nd"
    config = settings("x.py")
    collect(
        game="boxing",
        policy="random_agent",
        policy_settings=config.policies["random_agent"],
        settings=config.episodes,
        purpose="probe",
        seed=3,
        out=out,
        workers=1,
        progress=False,
    )
    return out


def test_colours_are_those_of_the_emulator(played):
    """Beside a plain loop of the emulator's own RGB screens, which boxing lets one write down."""
    store = FrameStore.open(played)
    colors = as_seen(store, color=True)
    ale = ALEInterface()
    ale.setInt("random_seed", 0)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(ale_py.roms.get_rom_path(rom_name("boxing")))
    actions = ale.getMinimalActionSet()
    # Where the second emulator goes on from its first frame: any no-ops lead there.
    begins = store.header["frames_per_env"][0]
    for noops in range(31):
        ale.reset_game()
        for _ in range(noops):
            ale.act(actions[0])
        for action in (1, 2):  # boxing has FIRE
            for _ in range(4):
                screens = [None, ale.getScreenRGB()]
                ale.act(actions[action])
        if np.array_equal(ale.getRAM(), store.ram[begins]):
            break
    else:
        pytest.fail("no number of no-ops leads to the first frame")
    rows = np.arange(begins + 1, begins + 400)
    found = colors.read(rows)
    for row, frame in zip(rows, found, strict=True):
        assert store.action[row] != NO_ACTION
        for _ in range(3):
            ale.act(actions[store.action[row]])
        screens = [ale.getScreenRGB()]
        ale.act(actions[store.action[row]])
        screens.append(ale.getScreenRGB())
        assert np.array_equal(frame, np.maximum(*screens).transpose(2, 0, 1)), row
    assert len(np.unique(found.reshape(len(found), 3, -1)[0].T, axis=0)) > 3
    # Any rows, in any chunk, in the given order.
    some = np.array([begins + 1, begins + 300, 2999])
    assert np.array_equal(colors.read(some)[:2], found[[0, 299]])


def test_frames_that_do_not_play_again_are_refused(played):
    store = FrameStore.open(played)
    store.action[700] ^= 1
    with pytest.raises(UserError, match=r"cannot be played again: .*frame 70\d differs") as error:
        ColorStore(store)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(84, 84), (64, 64), (105, 80), (210, 160), (224, 224)])
def test_sizes_are_averages_of_areas(shape):
    frames = np.random.default_rng(0).random((2, 3, 210, 160), np.float32)
    seen = Resized(torch.nn.Identity(), shape)(torch.from_numpy(frames)).numpy()
    height, width = shape
    if height <= 210 and width <= 160:
        expected = [
            [cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in frame]
            for frame in frames
        ]
        assert np.allclose(seen, expected, atol=1e-5)
    assert seen.shape == (2, 3, *shape) and np.allclose(seen.mean(), frames.mean(), atol=1e-4)


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        ({"input": {"size": 64, "color": "rgb", "stack": 2}}, (6, 64, 64)),
        ({"input": {"size": [84, 80]}, "frame_stack": 4}, (4, 84, 80)),
        ({"input": {"color": "rgb"}}, (3, 210, 160)),
        ({"input": {"stack": 3}}, (3, 210, 160)),
    ],
)
def test_an_encoder_sees_what_its_row_says(tmp_path, played, row, shape):
    module = tmp_path / "seen.py"
    module.write_text(ENCODER)
    kwargs = dict(zip(("channels", "height", "width"), shape, strict=True))
    config = settings(module, kwargs=kwargs, **row)
    which = {"game": "boxing", "policy": "random_agent", "protocol": "paper", "seed": 3}
    paths = {name: tmp_path / name for name in ("split", "weights", "weights2", "probe", "probe2")}
    split(config, purpose="probe", frames=played, out=paths["split"], **which)
    made = {"method": "mine", "history": tmp_path / "history.csv", **which}
    train(config, frames=None, split=None, out=paths["weights"], **made)
    files = {"frames": played, "split": paths["split"], "kind": "linear"}
    probe(config, method="mine", weights=paths["weights"], out=paths["probe"], **files, **which)
    said = json.loads(paths["probe"].read_text())
    assert said["features"]["size"] == 8
    with safetensors.safe_open(paths["weights"], "np") as file:
        header = file.metadata()
    assert "input" in str(header)
    # What the encoder makes of the same frames, given to it by hand.
    encoder, _ = encoders.load(paths["weights"], config.method("mine"))
    store = FrameStore.open(played)
    seen = as_seen(store, config.method("mine").sees_color)
    rows = np.array([0, 5, 2000])
    stacks = load_stacks(seen, rows, config.method("mine").frame_stack)
    frames = torch.from_numpy(stacks).reshape(3, shape[0], 210, 160) / 255
    features = encoders.encode(encoder, stacks, torch.device("cpu"))
    with torch.no_grad():
        assert np.allclose(encoder(frames), features, atol=1e-5)
    # Weights of an encoder that sees something else are refused.
    other = settings(module, kwargs=kwargs, input={"size": 32})
    with pytest.raises(UserError, match=r"has (input|frame stack)"):
        encoders.load(paths["weights"], other.method("mine"))


def test_standardised_features_are_of_the_same_frames():
    row = {"input": {"size": 64, "color": "rgb", "stack": 2}}
    config = settings("x.py", **row)
    both = [config.method(name) for name in ("mine", "mine-standardised")]
    assert {one.channels for one in both} == {6} and all(one.sees_color for one in both)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"input": {"size": 4}}, "methods.mine.input.size"),
        ({"input": {"size": [84]}}, "methods.mine.input.size"),
        ({"input": {"size": 84.5}}, "methods.mine.input.size"),
        ({"input": {"color": "red"}}, "methods.mine.input.color"),
        ({"input": {"colour": "rgb"}}, "colour"),
        ({"input": {"stack": 2}, "frame_stack": 3}, "frame_stack and input.stack differ"),
        ({"kind": "random-cnn", "input": {"size": 84}}, "belong to kind custom"),
    ],
)
def test_wrong_inputs_are_refused(row, said):
    custom = {"kind": "custom", "module": "x.py:Seen"}
    base = {} if "kind" in row else custom
    content = PAPER | {"methods": PAPER["methods"] | {"mine": base | row}}
    assert said in refusal(Config.check, content, "here")


def test_agents_see_no_colours():
    rows = {"mine": {"kind": "custom", "module": "x.py:Seen", "input": {"color": "rgb"}}}
    agents = {"a": {"preset": "ppo", "encoder": {"method": "mine"}}}
    content = PAPER | {"methods": PAPER["methods"] | rows, "agents": agents}
    assert "sees colours, and agents see frames in gray" in refusal(Config.check, content, "here")
