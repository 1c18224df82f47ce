"""Methods as the step trains them, on real frames, and their registry."""

import hashlib
import math
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from steps import train
from trainings import PAPER, arguments, bytes_of, configured, index, losses_of, noise

from workflow_src import encoders, kinds
from workflow_src.ari import labels
from workflow_src.config.methods import Method
from workflow_src.config.reading import merge
from workflow_src.config.run import Config
from workflow_src.encoders.architectures.nature import NatureCNN
from workflow_src.encoders.charts import Charts
from workflow_src.encoders.classifier import Classifier, SharedClassifier
from workflow_src.encoders.profiles import ProfilesOfLevels
from workflow_src.episodes.dataset import read_split
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError
from workflow_src.methods import st_dim
from workflow_src.training import loop, objective
from workflow_src.training.objective import Objective

ROOT = Path(__file__).parents[1]


pytestmark = pytest.mark.usefixtures("one_thread")


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
        model.draw(index(100), PAPER, np.random.default_rng())
    with pytest.raises(TypeError, match="RandomCNN has no decoder"):
        model.reconstruct(noise(1, 1))
