"""What decoders show, and the examples that the report has."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from steps import reconstruct, train
from trainings import arguments, configured, losses_of, noise

from workflow_src import artifacts, encoders
from workflow_src.config.run import Config
from workflow_src.encoders.architectures.nature import NatureDecoder
from workflow_src.episodes.dataset import read_split
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError
from workflow_src.training import objective

ROOT = Path(__file__).parents[1]


pytestmark = pytest.mark.usefixtures("one_thread")


TINY_VAE = {"kind": "vae", "feature_size": 16, "epochs": 1}


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
