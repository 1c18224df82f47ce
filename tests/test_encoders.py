"""Encoders: the paper's architecture, its file, and features."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from workflow_src import artifacts, encoders
from workflow_src.encoders.nature import LOCAL_CHANNELS
from workflow_src.errors import DamagedFile, UserError

CPU = torch.device("cpu")
HEADER = {"encoder": "nature", "feature_size": 16, "game": "pong", "seed": 0}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build(seed=0, feature_size=16):
    return encoders.build("nature", feature_size, torch.Generator().manual_seed(seed))


def frames(n, seed=0):
    return np.random.default_rng(seed).integers(256, size=(n, 210, 160), dtype=np.uint8)


def features(encoder, images):
    """As plain as can be: one frame after the other."""
    with torch.no_grad():
        return torch.cat([encoder(torch.from_numpy(image / 255).float()[None, None]) for image in images]).numpy()


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


# Architecture


def test_shapes():
    encoder = build(feature_size=256)
    images = torch.rand(3, 1, 210, 160)
    local, z = encoder.maps(images)
    assert (z.shape, local.shape) == ((3, 256), (3, LOCAL_CHANNELS, 11, 8))
    assert z.dtype == local.dtype == torch.float32
    assert torch.equal(z, encoder(images))
    assert LOCAL_CHANNELS == 128


def test_number_of_parameters():
    layers = [(1, 32, 8), (32, 64, 4), (64, 128, 4), (128, 64, 3)]
    convolutions = sum(inputs * outputs * size**2 + outputs for inputs, outputs, size in layers)
    found = sum(p.numel() for p in build(feature_size=256).parameters())
    assert found == convolutions + (64 * 9 * 6 + 1) * 256 == 1_124_896


def test_layers_are_those_of_the_paper():
    convolutions = [module for module in build().modules() if isinstance(module, nn.Conv2d)]
    assert [(c.kernel_size[0], c.stride[0], c.padding[0]) for c in convolutions] == [(8, 4, 0), (4, 2, 0), (4, 2, 0), (3, 1, 0)]
    kinds = [type(module).__name__ for module in build().modules() if not list(module.children())]
    assert kinds == ["Conv2d", "ReLU"] * 4 + ["Flatten", "Linear"]


def test_local_features_are_after_a_relu_and_the_representation_is_not():
    local, z = build().maps(torch.rand(2, 1, 210, 160))
    assert (local >= 0).all() and (local == 0).any()
    assert (z < 0).any()


@pytest.mark.parametrize("feature_size", [16, 256])
def test_weights_are_orthogonal_and_biases_zero(feature_size):
    for name, parameter in build(feature_size=feature_size).named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            matrix = parameter.detach().flatten(1).double()
            identity = torch.eye(len(matrix), dtype=torch.float64)
            assert torch.allclose(matrix @ matrix.T, math.sqrt(2) ** 2 * identity, atol=1e-5)


def test_weights_come_from_the_generator_alone():
    torch.manual_seed(1)
    first = build(seed=5)
    torch.manual_seed(2)
    assert same(first, build(seed=5))
    other = build(seed=6)
    assert not any(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True) if a.ndim > 1)


# Files


def test_an_encoder_comes_back(tmp_path):
    encoder = build()
    encoders.save(tmp_path / "w", encoder, HEADER)
    loaded, header = encoders.load(tmp_path / "w")
    assert header == HEADER
    assert same(encoder, loaded)
    assert np.array_equal(encoders.encode(encoder, frames(3), CPU), encoders.encode(loaded, frames(3), CPU))


def test_memory_format_does_not_show_in_the_file(tmp_path):
    encoders.save(tmp_path / "1", build(), HEADER)
    encoders.save(tmp_path / "2", build().to(memory_format=torch.channels_last), HEADER)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("place", [0.001, 0.3, 0.999])
def test_a_damaged_file_is_refused(tmp_path, place):
    path = tmp_path / "w"
    encoders.save(path, build(), HEADER)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 4
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"w is damaged"):
        encoders.load(path)
    path.write_bytes(content[: int(place * len(content))])
    with pytest.raises(DamagedFile, match=r"w is damaged"):
        encoders.load(path)


def write(path, encoder, header, drop=()):
    arrays = {name: tensor.numpy() for name, tensor in encoder.state_dict().items() if name not in drop}
    artifacts.write_arrays(path, encoders.KIND, arrays, header)


@pytest.mark.parametrize("name", ["impala", None])
def test_an_unknown_encoder_is_refused(tmp_path, name):
    write(tmp_path / "w", build(), HEADER | {"encoder": name})
    with pytest.raises(UserError, match=rf"w holds weights of an unknown encoder {name!r}; known: nature$"):
        encoders.load(tmp_path / "w")


@pytest.mark.parametrize(
    ("change", "drop"), [({"feature_size": 17}, ()), ({}, ("head.3.bias",))], ids=["other size", "array missing"]
)
def test_weights_that_do_not_fit_are_refused(tmp_path, change, drop):
    write(tmp_path / "w", build(), HEADER | change, drop)
    with pytest.raises(UserError, match=r"w does not fit the encoder nature: train it again with this version$"):
        encoders.load(tmp_path / "w")


def test_a_file_of_something_else_is_refused(tmp_path):
    artifacts.write_arrays(tmp_path / "w", "split", {"part": np.zeros(3)}, HEADER)
    with pytest.raises(UserError, match=r"w holds split, not weights: name the right file$"):
        encoders.load(tmp_path / "w")


# Features


@pytest.mark.parametrize("batch", [1, 2, 3, 256])
@pytest.mark.parametrize("form", ["numpy", "torch", "channel"])
def test_features_are_those_of_the_scaled_frames_in_order(monkeypatch, batch, form):
    monkeypatch.setattr(encoders, "_BATCH", batch)
    images, encoder = frames(5), build()
    expected = features(encoder, images)
    given = {"numpy": images, "torch": torch.from_numpy(images), "channel": images[:, None]}[form]
    found = encoders.encode(encoder, given, CPU)
    assert (found.dtype, found.shape) == (np.float32, (5, 16))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected - expected[[1, 2, 3, 4, 0]]).min(axis=1).max() > 1e-4  # a wrong order would show
    assert np.array_equal(images, frames(5))


def test_several_channels():
    images = np.random.default_rng(0).integers(256, size=(2, 4, 210, 160), dtype=np.uint8)
    encoder = encoders.NatureCNN(16, torch.Generator().manual_seed(0), channels=4)
    with torch.no_grad():
        expected = encoder(torch.from_numpy(images).float() / 255).numpy()
    np.testing.assert_allclose(encoders.encode(encoder, images, CPU), expected, rtol=1e-4, atol=1e-5)


def test_no_frames_have_no_features():
    assert encoders.encode(build(), frames(0), CPU).shape == (0, 16)


def test_features_need_no_gradient_and_no_training_mode():
    encoder = build().train()
    encoders.encode(encoder, frames(1), CPU)
    assert not encoder.training
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_scale():
    images = torch.tensor([[0, 51, 255]], dtype=torch.uint8).expand(2, 1, 3)
    assert torch.equal(encoders.scale(images), torch.tensor([0, 0.2, 1]).expand(2, 1, 1, 3))
    assert encoders.scale(images[:, None].expand(2, 3, 1, 3)).shape == (2, 3, 1, 3)
    assert encoders.scale(images).dtype == torch.float32
    assert images.max() == 255
