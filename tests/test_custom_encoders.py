"""Encoders of one's own: the file, its weights, and what can be wrong with them."""

import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from encoding import CPU, frames, generator, refusal, same
from torch import nn

from workflow_src import encoders
from workflow_src.config.methods import Method
from workflow_src.encoders import custom
from workflow_src.training import objective

pytestmark = pytest.mark.usefixtures("one_thread")


MODULE = r"""
import torch
from torch import nn

print("imported", file=open({log!r}, "a"))


class Plain(nn.Module):
    def __init__(self, size=3, channels=1, names=()):
        super().__init__()
        self.pool = nn.AvgPool2d(10)
        self.linear = nn.Linear(channels * 21 * 16, size)

    def forward(self, frames):
        return self.linear(self.pool(frames).flatten(1))


class Normed(Plain):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = nn.BatchNorm1d(self.linear.out_features)

    def forward(self, frames):
        return self.norm(super().forward(frames))


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv3d(1, 2, (1, 30, 40), stride=30), nn.Flatten())

    def forward(self, frames):
        return self.layers(frames[:, None])


class Projected(nn.Module):
    def __init__(self):
        super().__init__()
        self.matrix = torch.randn(160, 3)

    def forward(self, frames):
        return frames[:, 0].mean(1) @ self.matrix


class Broken(nn.Module):
    def __init__(self):
        raise RuntimeError("no\nsuch\n\nluck")


class Wrong(Plain):
    def forward(self, frames):
        raise ValueError(f"I want\n{{frames.ndim + 1}} dimensions")


class Asked(nn.Module):
    def __init__(self, shape=None):
        super().__init__()
        self.shape = shape

    def forward(self, frames):
        return list(frames) if self.shape is None else torch.zeros(self.shape)


class Training(Plain):
    def forward(self, frames):
        return torch.zeros(2, 5 if self.training else 4)


def function(**kwargs):
    open({log!r}, "a").write("called\\n")
    return Plain()


class Path:
    def __init__(self, **kwargs):
        function()
"""


@pytest.fixture
def module(tmp_path):
    """A Python file with encoders; it writes to a log when it is imported."""
    file = tmp_path / "mine.py"
    file.write_text(MODULE.format(log=str(tmp_path / "log")))
    return file


def row(module, name="Plain", **change):
    return Method(**{"kind": "custom", "module": f"{module}:{name}", **change})


def custom_method(module, name="Plain", seed=0, **change):
    """As training makes it."""
    return objective.find("custom")(row(module, name, **change), generator(seed))


def stored(path, made, stack=1):
    encoders.save(
        path,
        made.encoder,
        {"game": "pong", "encoder": "nature", "frame_stack": stack} | made.header,
    )
    file, name = made.header["module"], made.header["class"]
    return encoders.load(path, row(file, name, kwargs=made.header["kwargs"], frame_stack=stack))


@pytest.mark.parametrize("name", ["Plain", "Normed"])
def test_an_encoder_of_one_s_own_comes_back(tmp_path, module, name):
    made = custom_method(
        module, name, kwargs={"size": 6, "channels": 2, "names": ["a", "b"]}, frame_stack=2
    )
    encoder = made.encoder
    if name == "Normed":
        encoder.train()(
            torch.rand(4, 2, 210, 160)
        )  # running statistics, and a counter without dimensions
        assert encoder.norm.num_batches_tracked.shape == ()
    loaded, header = stored(tmp_path / "w", made, stack=2)
    assert type(loaded).__name__ == name and same(encoder, loaded)
    assert (
        loaded.state_dict().get("norm.num_batches_tracked", torch.tensor(1)).equal(torch.tensor(1))
    )
    assert header | {"module_seed": 0} == {
        "module_seed": 0,
        "game": "pong",
        "frame_stack": 2,
        "encoder": "custom",
        "feature_size": 6,
        "module": str(module),
        "module_sha256": custom.sha256(module),
        "class": name,
        "kwargs": {"size": 6, "channels": 2, "names": ["a", "b"]},
    }
    images = frames(6).reshape(3, 2, 210, 160)
    found = encoders.encode(loaded, images, CPU)
    assert found.shape == (3, 6)
    assert np.array_equal(found, encoders.encode(encoder, images, CPU))
    assert encoders.load_heads(tmp_path / "w") == {}


def test_what_one_s_own_draws_follows_from_the_seed(module):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = custom_method(module, seed=5).encoder
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert same(first, custom_method(module, seed=5).encoder)
    assert not same(first, custom_method(module, seed=6).encoder)


def test_the_size_is_that_of_evaluation(module):
    assert custom_method(module, "Training").header["feature_size"] == 4


def test_what_is_no_state_comes_back_too(tmp_path, module):
    made = custom_method(module, "Projected", seed=5)
    loaded, _ = stored(tmp_path / "w", made)
    assert torch.equal(loaded.matrix, made.encoder.matrix)


def test_three_dimensional_convolutions(tmp_path, module):
    made = custom_method(module, "Deep")
    loaded, header = stored(tmp_path / "w", made)
    assert encoders.encode(loaded, frames(2), CPU).shape == (2, header["feature_size"])


def test_a_file_with_dataclasses(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom torch "
        "import nn\n"
        "@dataclass\nclass Settings:\n    size: int = 3\nclass Mine(nn.Flatten):\n    pass\n"
    )
    assert custom_method(tmp_path / "mine.py", "Mine").header["feature_size"] == 210 * 160


def test_a_file_is_found_at_home(tmp_path, module, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    made = custom_method("~/mine.py")
    loaded, header = stored(tmp_path / "w", made)
    assert header["module"] == "~/mine.py"
    assert same(made.encoder, loaded)


WRITERS = {".pt": torch.save, ".safetensors": safetensors.torch.save_file}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", ["Plain", "Normed"])
def test_weights_of_one_s_own(tmp_path, module, name, suffix):
    other = custom.make(module, name, {}, seed=9)
    other.train()(torch.rand(4, 1, 210, 160))
    WRITERS[suffix](other.state_dict(), tmp_path / f"w{suffix}")
    made = custom_method(module, name, weights=str(tmp_path / f"w{suffix}"))
    assert same(made.encoder, other)
    assert not same(custom_method(module, name).encoder, other)
    assert same(stored(tmp_path / "stored", made)[0], other)


class Harmful:
    """Unpickled, it would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    "write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))]
)
@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_weights_with_code_are_refused_and_the_code_is_not_run(tmp_path, module, write, inner):
    made, harmful = tmp_path / "made by the weights", Harmful(tmp_path / "made by the weights")
    write(
        {**custom.make(module, "Plain", {}, 0).state_dict(), "more": harmful} if inner else harmful,
        tmp_path / "w.pt",
    )
    said = refusal(custom_method, module, weights=str(tmp_path / "w.pt"))
    assert re.match(
        rf"{tmp_path}/w\.pt (is damaged, or )?holds more than tensors.*: .*save the state_dict",
        said,
    )
    assert not made.exists()
    pickle.loads(pickle.dumps(harmful))
    assert made.exists()  # it is as harmful as it says


def test_a_whole_module_is_no_state(tmp_path, module):
    torch.save(nn.Linear(2, 3), tmp_path / "w.pt")
    assert "holds more than tensors, which could run code" in refusal(
        custom_method, module, weights=str(tmp_path / "w.pt")
    )


def states(state):
    return {
        "missing": (
            {"linear.weight": state["linear.weight"]},
            r'does not fit Plain: .*Missing key\(s\) .*"linear\.bias"',
        ),
        "more": (
            state | {"zz": torch.zeros(1)},
            r'does not fit Plain: .*Unexpected key\(s\) .*"zz"',
        ),
        "shape": (
            state | {"linear.bias": torch.zeros(4)},
            r"does not fit Plain: .*size mismatch for linear\.bias",
        ),
        "none": ({}, r"does not fit Plain: .*Missing key\(s\)"),
    }


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("which", ["missing", "more", "shape", "none"])
def test_weights_of_something_else(tmp_path, module, suffix, which):
    state, text = states(custom.make(module, "Plain", {}, 0).state_dict())[which]
    WRITERS[suffix](state, tmp_path / f"w{suffix}")
    assert re.match(
        rf"{tmp_path}/w\{suffix} {text}",
        refusal(custom_method, module, weights=str(tmp_path / f"w{suffix}")),
    )


@pytest.mark.parametrize(
    "content",
    [
        [torch.zeros(1)],
        {"state_dict": {"linear.bias": torch.zeros(3)}},
        3,
        torch.zeros(3),
        {"epoch": 3},
        {0: torch.zeros(3)},
    ],
    ids=["list", "nested", "number", "tensor", "other", "numbered"],
)
def test_what_is_no_state_at_all(tmp_path, module, content):
    torch.save(content, tmp_path / "w.pt")
    said = refusal(custom_method, module, weights=str(tmp_path / "w.pt"))
    assert (
        said
        == f"{tmp_path}/w.pt holds no state_dict: save that of the encoder, with torch.save or "
        "safetensors"
    )


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".safetensors", lambda whole: whole[:-1]),
        (".safetensors", lambda whole: whole[: len(whole) // 2]),
        (".safetensors", lambda whole: b""),
        (".safetensors", lambda whole: b"no tensors at all"),
        (".pt", lambda whole: b""),
        (".pt", lambda whole: whole[:200]),
        (".pt", lambda whole: whole[: len(whole) // 2]),
        (".pt", lambda whole: whole[:-100]),
        (".pt", lambda whole: b"no tensors at all"),
        (".pt", lambda whole: bytes(range(256))),
    ],
)
def test_damaged_weights(tmp_path, module, suffix, damage):
    path = tmp_path / f"w{suffix}"
    WRITERS[suffix](custom.make(module, "Plain", {"size": 30}, 0).state_dict(), path)
    path.write_bytes(damage(path.read_bytes()))
    said = refusal(custom_method, module, weights=str(path), kwargs={"size": 30})
    assert re.match(rf"{path} .*damaged.*: save", said)


@pytest.mark.parametrize("suffix", WRITERS)
def test_weights_that_are_not_there(tmp_path, module, suffix):
    said = refusal(custom_method, module, weights=str(tmp_path / f"w{suffix}"))
    assert said == f"cannot read {tmp_path}/w{suffix}: there is no such file; make it first"


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        (
            "Plan",
            {},
            r":Plan\(\) cannot be made: AttributeError: .*has no attribute 'Plan'.*; mend the "
            "file$",
        ),
        ("Broken", {}, r":Broken\(\) cannot be made: RuntimeError: no such luck; mend the file$"),
        (
            "Plain",
            {"kwargs": {"sizes": 4, "names": "x"}},
            r":Plain\(sizes=4, names='x'\) cannot be made: TypeError: .*'sizes'.*; mend the file$",
        ),
        (
            "function",
            {},
            r":function is a function, not a class: name a class derived from torch\.nn\.Module$",
        ),
        (
            "torch",
            {},
            r":torch is a module, not a class: name a class derived from torch\.nn\.Module$",
        ),
        (
            "open",
            {},
            r":open\(\) cannot be made: AttributeError: .*has no attribute 'open'; mend the file$",
        ),
        ("Path", {}, r":Path is not a torch\.nn\.Module: derive the class from it$"),
        (
            "Wrong",
            {},
            r":Wrong fails on float frames \(2, 1, 210, 160\): ValueError: I want 5 dimensions; "
            "mend its forward$",
        ),
        (
            "Plain",
            {"frame_stack": 3},
            r":Plain fails on float frames \(2, 3, 210, 160\): RuntimeError: .*; mend its forward$",
        ),
        ("Asked", {}, r":Asked gives list for 2 frames, not \(2, d\): flatten its output$"),
        *[
            (
                "Asked",
                {"kwargs": {"shape": shape}},
                rf":Asked gives {re.escape(str(tuple(shape)))} for 2 frames, not \(2, d\): "
                "flatten its output$",
            )
            for shape in ([2], [1, 4], [3, 4], [2, 4, 1], [])
        ],
    ],
)
def test_what_can_be_wrong_with_one_s_own(module, name, change, text):
    assert re.match(re.escape(str(module)) + text, refusal(custom_method, module, name, **change))
    assert "called" not in (module.parent / "log").read_text()


def test_what_is_no_class_of_modules_is_not_called(tmp_path):
    """Such as ``os.py:system``."""
    said = refusal(
        custom_method, os.__file__, "system", kwargs={"command": f"touch {tmp_path}/called"}
    )
    assert said.startswith(f"{os.__file__}:system is a builtin_function_or_method, not a class: ")
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"class Mine(", r"SyntaxError: .*"),
        (
            b"import nothing_of_that_name",
            r"ModuleNotFoundError: No module named 'nothing_of_that_name'",
        ),
        (b"1 / 0", r"ZeroDivisionError: division by zero"),
        (b"\xff\xfe", r"SyntaxError: .*"),
        (b"", r"AttributeError: .*no attribute 'Mine'"),
    ],
)
def test_a_file_that_is_no_module(tmp_path, content, text):
    (tmp_path / "mine.py").write_bytes(content)
    said = refusal(custom_method, tmp_path / "mine.py", "Mine")
    assert re.match(rf"{tmp_path}/mine\.py:Mine\(\) cannot be made: {text}; mend the file$", said)


def test_a_file_that_is_not_there(tmp_path):
    assert refusal(custom_method, tmp_path / "mine.py") == (
        f"cannot read {tmp_path}/mine.py: there is no such file; make it first"
    )
    assert "it is a directory; move it away" in refusal(custom.make, tmp_path, "Mine", {}, 0)


def test_a_file_that_changed_is_not_run(tmp_path, module):
    log = tmp_path / "log"
    stored(tmp_path / "w", custom_method(module))
    assert log.read_text() == 2 * "imported\n"
    module.write_text(module.read_text() + "\n")
    said = refusal(encoders.load, tmp_path / "w", row(module))
    assert said == f"{module} has changed since {tmp_path}/w was made: make the encoder again"
    assert log.read_text() == 2 * "imported\n"
    module.unlink()
    assert f"cannot read {module}: there is no such file" in refusal(
        encoders.load, tmp_path / "w", row(module)
    )


def test_a_state_that_does_not_fit_one_s_own(tmp_path, module):
    made = custom_method(module)
    sized = row(module, kwargs={"size": 7})
    encoders.save(tmp_path / "w", made.encoder, made.header | {"kwargs": {"size": 7}})
    assert "w does not fit the encoder custom: train it again" in refusal(
        encoders.load, tmp_path / "w", sized
    )


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("encoder", "nature"),
        ("module", "elsewhere.py"),
        ("module", None),
        ("class", "system"),
        ("kwargs", {"size": 7}),
        ("frame_stack", 2),
        ("module_sha256", "0" * 64),
        ("module_seed", "0"),
        ("module_seed", -1),
        ("module_seed", None),
    ],
)
def test_a_header_does_not_say_what_is_run(tmp_path, module, what, value):
    made, log = custom_method(module), tmp_path / "log"
    elsewhere = tmp_path / "elsewhere.py"
    elsewhere.write_text(MODULE.format(log=str(tmp_path / "log of another")))
    value = str(elsewhere) if value == "elsewhere.py" else value
    header = made.header | {"frame_stack": 1, what: value}
    encoders.save(
        tmp_path / "w",
        made.encoder,
        header | {"module_sha256": custom.sha256(elsewhere)} if what == "module" else header,
    )
    log.unlink()
    said = refusal(encoders.load, tmp_path / "w", row(module))
    assert said.endswith("make the encoder again") and str(tmp_path / "w") in said
    assert not log.exists() and not (tmp_path / "log of another").exists()


def test_an_edit_of_the_same_length_and_second_is_seen(tmp_path):
    """Python's cache of compiled files would not."""
    file = tmp_path / "mine.py"
    for size in (11, 12, 13):
        file.write_text(
            "from torch import nn\nclass Mine(nn.Linear):\n    def __init__(self): "
            f"super().__init__(1, {size})\n"
        )
        os.utime(file, (1e9, 1e9))
        assert custom.make(file, "Mine", {}, seed=0).out_features == size
