"""Agents as encoders: the features are those of the network that plays."""

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from workflow_src import encoders
from workflow_src.agents import learner as learners
from workflow_src.agents import weights
from workflow_src.config.agents import Agent
from workflow_src.config.methods import Method
from workflow_src.config.run import defaults
from workflow_src.emulator.environment import Environment
from workflow_src.encoders.architectures.dqn import AreaResize
from workflow_src.errors import UserError
from workflow_src.training.job import train

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = {"validate_every": 4, "steps": 4, "num_envs": 1}
AGENTS = {
    "dqn": {**SHORT, "hidden": 24, "learn_every": 1},
    "dueling": {**SHORT, "hidden": 24, "learn_every": 1, "variants": ["dueling"]},
    "c51": {**SHORT, "hidden": 24, "learn_every": 1, "variants": ["c51"]},
    "a3c": {**SHORT, "hidden": 24, "kind": "a3c", "options": {"a3c": {"horizon": 4}}},
    "benchmark": {
        **SHORT,
        "kind": "ppo",
        "options": {"ppo": {"horizon": 4}},
        "environment": {"observation": "frame"},
        "body": "benchmark",
        "history": 1,
        "hidden": 32,
    },
}
METHODS = {
    "dqn": {"encoder": "dqn", "feature_size": 24, "frame_stack": 4},
    "dueling": {"encoder": "dqn", "feature_size": 48, "frame_stack": 4},
    "c51": {"encoder": "dqn", "feature_size": 24, "frame_stack": 4},
    "a3c": {"encoder": "dqn", "feature_size": 24, "frame_stack": 4},
    "benchmark": {"feature_size": 32},
}


@pytest.fixture(scope="module")
def stacks():
    """Frames of Ms Pac-Man, four in a stack: uint8 (40, 4, 210, 160)."""
    environment, frame = Environment("mspacman", np.random.default_rng(0)), np.zeros((210, 160))
    frame, frames = frame.astype(np.uint8), []
    environment.reset(frame)
    for action in np.random.default_rng(1).integers(9, size=44):
        environment.step(int(action), frame)
        frames.append(frame.copy())
    return np.stack([frames[i : i + 4] for i in range(40)])


def exported(directory, name, **change):
    """An untrained agent, and its encoder as the step makes it."""
    row = Agent.model_validate(AGENTS[name])
    shape = (84, 84) if row.environment.observation == "atari" else (210, 160)
    learner = learners.build(
        row,
        actions=9,
        frame_shape=shape,
        generator=torch.Generator().manual_seed(3),
        device=torch.device("cpu"),
    )
    file = directory / "last.safetensors"
    weights.save(file, learner.weights(), {"agent": name, "game": "mspacman", "step": 4})
    method = Method.model_validate({"kind": "agent", "agent": name, **METHODS[name], **change})
    config, out = defaults({}), directory / "encoder.safetensors"
    train(
        game="mspacman",
        policy="random_agent",
        protocol="paper",
        method="mine",
        seed=0,
        row=method,
        settings=config.training,
        switches=config.protocol("paper").methods,
        label_set="paper-2019",
        classes=256,
        frames=None,
        split=None,
        out=out,
        history=directory / "history.csv",
        agent=file,
        device="cpu",
    )
    return learner.network, method, out


@pytest.mark.parametrize("name", AGENTS)
def test_features_are_the_hidden_layer_before_its_relu(tmp_path, stacks, name):
    network, method, out = exported(tmp_path, name)
    encoder, header = encoders.load(out, method)
    assert header["method"] == "mine" and pd.read_csv(tmp_path / "history.csv").empty
    stacks = stacks[:, -method.frame_stack :]
    found = encoders.encode(encoder, stacks, torch.device("cpu"))
    seen = torch.from_numpy(stacks)
    if name != "benchmark":
        resized = [
            cv2.resize(one, (84, 84), interpolation=cv2.INTER_AREA)
            for one in stacks.reshape(-1, 210, 160)
        ]
        seen = torch.from_numpy(np.stack(resized)).unflatten(0, stacks.shape[:2])
    with torch.no_grad():
        features = network.body(seen)
        if name in ("a3c", "benchmark"):
            expected = network.hidden(features)
        elif name == "dueling":
            heads = network.heads
            expected = torch.cat(
                [heads.advantage.hidden(features), heads.value.hidden(features)], 1
            )
        else:
            expected = network.heads.hidden(features)
    # A few of the resized pixels are one brighter or darker.
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-3 if name != "benchmark" else 1e-5)
    assert found.std() > 0.01


def test_frames_are_resized_as_agents_see_them(stacks):
    resize = AreaResize()
    found = resize(torch.from_numpy(stacks))
    expected = [
        cv2.resize(one, (84, 84), interpolation=cv2.INTER_AREA)
        for one in stacks.reshape(-1, 210, 160)
    ]
    apart = np.abs(found.flatten(0, 1).numpy().astype(int) - np.stack(expected))
    assert apart.max() <= 1 and (apart > 0).mean() < 1e-3
    floats = torch.from_numpy(stacks[:2]).float() / 255
    np.testing.assert_allclose(resize(floats)[1] * 255, found[1].float(), atol=0.51)


@pytest.mark.parametrize(
    ("name", "layer", "place"),
    [("dqn", "conv3", 6), ("a3c", "conv1", 2), ("benchmark", "conv4", 8)],
)
def test_a_convolution_is_a_layer_too(tmp_path, stacks, name, layer, place):
    """As many modules of the body as there are up to its ReLU."""
    network, method, out = exported(tmp_path, name, layer=layer)
    encoder, header = encoders.load(out, method)
    assert header["layer"] == layer
    seen = torch.from_numpy(stacks[:, -method.frame_stack :])
    found = encoders.encode(encoder, seen.numpy(), torch.device("cpu"))
    if name != "benchmark":
        seen = AreaResize()(seen)
    with torch.no_grad():
        expected = network.body[:place](seen).flatten(1)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    with pytest.raises(UserError, match=f"has layer '{layer}', but the configuration says None"):
        encoders.load(out, method.model_copy(update={"layer": "hidden"}))


def test_a_layer_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(
        UserError, match="layer conv4: the encoder has 3 convolutions; choose conv1"
    ):
        exported(tmp_path, "dqn", layer="conv4")


@pytest.mark.parametrize(
    "change",
    [{"feature_size": 25}, {"encoder": "nature"}, {"frame_stack": 3}, {"encoder": "impala"}],
)
def test_an_encoder_that_does_not_fit_is_refused(tmp_path, change):
    with pytest.raises(UserError, match=r"last\.safetensors does not fit encoder \w+ with"):
        exported(tmp_path, "dqn", **change)
    assert not (tmp_path / "encoder.safetensors").exists()


def test_weights_of_another_agent_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"last\.safetensors holds agent dqn, not other"):
        exported(tmp_path, "dqn", agent="other")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"kind": "agent"}, "methods.m: kind agent needs agent: the name of a row of agents"),
        (
            {"kind": "st-dim", "agent": "dqn"},
            "methods.m: agent and checkpoint belong to kind agent; remove them or set",
        ),
        ({"kind": "agent", "agent": "dqm"}, "methods.m.agent: unknown agent 'dqm' (did you mean"),
        (
            {"kind": "agent", "agent": "dqn", "checkpoint": 8},
            "methods.m.checkpoint: dqn keeps no weights of step 8; choose last, best, or no step",
        ),
        (
            {"kind": "agent", "agent": "dqn", "layer": "conv12"},
            "methods.m.layer: 'conv12' is no layer; choose hidden, or conv1, conv2, ...",
        ),
        ({"kind": "agent", "agent": "dqn", "lr": 0.1}, "methods.m: lr has no effect on kind agent"),
    ],
)
def test_rows_are_checked_before_anything_runs(row, said):
    with pytest.raises(UserError) as error:
        defaults({"agents": AGENTS, "methods": {"m": row}})
    assert said in str(error.value)
