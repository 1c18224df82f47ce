"""Encoders: architectures, decoders, classifiers, one's own; their files, and features."""

import math
import os
import pickle
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.testing import assert_close

from workflow_src import artifacts, encoders, kinds
from workflow_src.config.methods import Method
from workflow_src.encoders import applying, base, custom
from workflow_src.encoders.architectures import impala
from workflow_src.encoders.architectures.nature import NatureCNN
from workflow_src.encoders.classifier import Classifier, SharedClassifier
from workflow_src.encoders.registry import FOLDER as ARCHITECTURES
from workflow_src.errors import DamagedFile, UserError
from workflow_src.training import objective

# Encoders that have a mirror.
DECODING = ("impala", "nature")
CPU = torch.device("cpu")
HEADER = {"encoder": "nature", "feature_size": 16, "game": "pong", "seed": 0}
ROW = Method(kind="random-cnn", feature_size=16)


pytestmark = pytest.mark.usefixtures("one_thread")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def build(seed=0, feature_size=16, name="nature", channels=1):
    return encoders.build(name, feature_size, generator(seed), channels)


def frames(n, seed=0):
    return np.random.default_rng(seed).integers(256, size=(n, 210, 160), dtype=np.uint8)


def features(encoder, images):
    """As plain as can be: one frame after the other."""
    with torch.no_grad():
        return torch.cat(
            [encoder(torch.from_numpy(image / 255).float()[None, None]) for image in images]
        ).numpy()


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def refusal(call, *arguments, **named):
    with pytest.raises(UserError) as refused:
        call(*arguments, **named)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# Architecture


def test_shapes():
    encoder = build(feature_size=256)
    images = torch.rand(3, 1, 210, 160)
    local, z = encoder.maps(images)
    assert (z.shape, local.shape) == ((3, 256), (3, encoder.local_channels, 11, 8))
    assert z.dtype == local.dtype == torch.float32
    assert torch.equal(z, encoder(images))
    assert (encoder.local_channels, encoder.hidden_size) == (128, 64 * 9 * 6)


def test_shapes_of_impala():
    encoder = build(feature_size=256, name="impala")
    images = torch.rand(3, 1, 210, 160)
    local, z = encoder.maps(images)
    assert (z.shape, local.shape) == ((3, 256), (3, 32, 25, 19))
    assert (encoder.local_channels, encoder.hidden_size) == (32, 32 * 12 * 9)
    assert z.dtype == local.dtype == torch.float32
    maps = images
    for section, size in zip([*encoder.local, encoder.head[0]], impala.SIZES[1:], strict=True):
        maps = section(maps)
        assert maps.shape[2:] == size


@torch.no_grad()
@pytest.mark.parametrize("name", kinds.names(ARCHITECTURES))
def test_ways_through_an_encoder_agree(name):
    encoder, images = build(name=name), torch.rand(2, 1, 210, 160)
    z = encoder(images)
    local, of_maps = encoder.maps(images)
    hidden, of_hidden = encoder.hidden(images)
    assert torch.equal(z, of_maps) and torch.equal(z, of_hidden)
    assert hidden.shape == (2, encoder.hidden_size)
    assert local.shape[:2] == (2, encoder.local_channels)
    assert torch.equal(encoder.head(local), z)
    last = encoder.head[-1]
    assert torch.allclose(hidden @ last.weight.T + last.bias, z, atol=1e-5)
    assert hidden.min() >= 0


@torch.no_grad()
@pytest.mark.parametrize("name", kinds.names(ARCHITECTURES))
def test_every_channel_is_seen(name):
    encoder = build(name=name, channels=3)
    images = torch.rand(1, 3, 210, 160)
    found = [encoder(images)]
    for channel in range(3):
        changed = images.clone()
        changed[:, channel] = 0
        found.append(encoder(changed))
    assert len({tuple(z.flatten().tolist()) for z in found}) == 4


def test_a_residual_block_is_two_convolutions_beside_the_identity():
    block, maps = impala.Residual(4, generator()), torch.randn(2, 4, 7, 6)
    first, _, second = block.layers
    convolve = partial(nn.functional.conv2d, padding=1)
    inner = convolve(convolve(maps, first.weight, first.bias).relu(), second.weight, second.bias)
    assert torch.allclose(block(maps), (maps + inner).relu(), atol=1e-6)
    assert block(maps).shape == maps.shape


# Decoders


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", DECODING)
def test_a_decoder_gives_frames(name, channels):
    decoder = encoders.build_decoder(name, 16, generator(), channels)
    for scale in (0, 1, 1e4):  # as sure as can be is still between 0 and 1
        decoded = decoder(scale * torch.randn(2, 16, generator=generator(1)))
        assert (decoded.shape, decoded.dtype) == ((2, channels, 210, 160), torch.float32)
        assert decoded.min() >= 0 and decoded.max() <= 1
    assert decoder(torch.randn(2, 16)).std() > 0
    in_half = decoder.bfloat16()(torch.randn(2, 16).bfloat16())
    assert (in_half.shape, in_half.dtype) == ((2, channels, 210, 160), torch.float32)
    with pytest.raises(UserError, match="encoder dqn has no decoder: choose another encoder"):
        encoders.build_decoder("dqn", 4, generator())


@pytest.mark.parametrize(
    ("channels", "kernel", "options"),
    [
        *(
            (channels, kernel, {"stride": 4})
            for channels, kernel in ((1, 8), (3, 8), (2, (4, 12)), (2, 5))
        ),
        *((2, 8, {"stride": stride}) for stride in (2, (4, 2))),
        *(
            (2, kernel, {"stride": stride, "padding": padding})
            for kernel, stride, padding in ((3, 1, 1), (8, 4, 2))
        ),
    ],
)
def test_stored_frames_are_convolved_as_floats_are(channels, kernel, options):
    images = torch.from_numpy(
        np.random.default_rng(0).integers(256, size=(2, channels, 26, 32), dtype=np.uint8)
    )
    layer = base.uniform(
        base.FrameConv2d, channels, 3, kernel, generator=generator(), **options
    ).double()
    plain = nn.Conv2d(channels, 3, kernel, **options).double()
    plain.load_state_dict(layer.state_dict())
    for given in (
        images,
        images.transpose(0, 1).contiguous().transpose(0, 1),
        images.double() / 255,
    ):
        found, expected = layer(given), plain(images.double() / 255)
        assert_close(found, expected)
        grads = [
            torch.autograd.grad(y.square().sum(), m.parameters())
            for y, m in ((found, layer), (expected, plain))
        ]
        assert_close(*grads)
    assert layer(images[:0]).shape == (0, *found.shape[1:])


def test_autocast_convolves_stored_frames_in_bfloat16():
    images = torch.from_numpy(frames(2))[:, None]
    with torch.autocast("cpu", torch.bfloat16):
        maps = build().local(images)
    assert maps.dtype == torch.bfloat16 and maps.is_contiguous(memory_format=torch.channels_last)
    assert_close(maps.float(), build().local(images / 255), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("kind", [base.PaddedConvTranspose2d, base.FrameConvTranspose2d])
@pytest.mark.parametrize(
    ("kernel", "stride", "padded"), [(8, 4, (2, 0)), (4, 2, 1), (6, 3, (1, 2)), (3, 1, 0)]
)
def test_transposed_convolutions_are_torch_s(kind, kernel, stride, padded):
    layer = base.uniform(
        kind, 5, 2, kernel, stride=stride, output_padding=padded, generator=generator()
    ).double()
    plain = nn.ConvTranspose2d(5, 2, kernel, stride, output_padding=padded).double()
    plain.load_state_dict(layer.state_dict())
    maps = torch.randn(2, 5, 6, 7, generator=generator(1), dtype=torch.float64)
    found, expected = layer(maps), plain(maps)
    assert_close(found, expected)
    assert_close(
        *(
            torch.autograd.grad(y.square().sum(), m.parameters())
            for y, m in ((found, layer), (expected, plain))
        )
    )


@pytest.mark.parametrize(("name", "rows", "columns"), [("nature", 204, 156), ("impala", 210, 160)])
def test_what_a_decoder_can_draw(name, rows, columns):
    """Every pixel follows from the representation, but for what nature's output padding makes, in
    2019 as here.
    """
    decoder = encoders.build_decoder(name, 4, generator())
    z = torch.randn(8, 4, generator=generator(1))
    decoded = decoder(z)
    differs = (decoded != decoded[:1]).any(0)[0]
    assert differs[:rows, :columns].all()
    assert not differs[rows:].any() and not differs[:, columns:].any()
    decoded.square().mean().backward()
    assert all(parameter.grad.any() for parameter in decoder.parameters())


def test_the_nature_decoder_mirrors_its_encoder():
    encoder, decoder = build(), encoders.build_decoder("nature", 16, generator())
    forth = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    back = [layer for layer in decoder.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size, c.stride) for c in forth] == [
        (c.out_channels, c.in_channels, c.kernel_size, c.stride) for c in reversed(back)
    ]
    sizes, maps = [(210, 160)], torch.rand(1, 1, 210, 160)
    for layer in forth:
        maps = layer(maps)
        sizes.append(maps.shape[2:])
    for layer, size in zip(back, sizes[-2::-1], strict=True):
        maps = layer(maps)
        assert maps.shape[2:] == size


# Where initial values come from


MADE = {
    **{name: partial(encoders.build, name, 16) for name in kinds.names(ARCHITECTURES)},
    **{f"{name} decoder": partial(encoders.build_decoder, name, 16) for name in DECODING},
    "classifier": lambda g: Classifier(partial(encoders.build, "nature", 4, g), 2, 3, g),
    "shared": lambda g: SharedClassifier(partial(encoders.build, "nature", 4, g), 2, 3, g),
    "orthogonal": lambda g: base.orthogonal(nn.Conv2d, 3, 4, 2, generator=g),
    "uniform": lambda g: base.uniform(nn.Linear, 3, 4, generator=g),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_weights_come_from_the_generator_and_nothing_else_is_touched(make):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = make(generator(5))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert same(first, make(generator(5)))
    other = make(generator(6))
    assert not any(
        torch.equal(a, b)
        for a, b in zip(first.parameters(), other.parameters(), strict=True)
        if a.any()
    )


def test_uniform_layers_are_pytorch_s_own():
    for layer, shape in ((nn.Linear, (300, 200)), (nn.Conv2d, (30, 40, 3))):
        made, own = base.uniform(layer, *shape, generator=generator()), layer(*shape)
        for found, expected in zip(made.parameters(), own.parameters(), strict=True):
            assert found.shape == expected.shape
            bound = 1 / math.sqrt(made.weight[0].numel())
            assert found.abs().max() <= bound and expected.abs().max() <= bound
            assert found.abs().max() > 0.9 * bound
            assert abs(found.std() / (bound / math.sqrt(3)) - 1) < 0.1 or found.ndim == 1


@pytest.mark.parametrize(("layer", "shape"), [(nn.Linear, (300, 200)), (nn.Conv2d, (3, 4, 5))])
def test_orthogonal_layers(layer, shape):
    made = base.orthogonal(layer, *shape, generator=generator(), bias=True)
    matrix = made.weight.detach().flatten(1).double()
    assert torch.allclose(
        matrix @ matrix.T, 2 * torch.eye(len(matrix), dtype=torch.float64), atol=1e-5
    )
    assert not made.bias.any()


def test_number_of_parameters():
    layers = [(1, 32, 8), (32, 64, 4), (64, 128, 4), (128, 64, 3)]
    convolutions = sum(inputs * outputs * size**2 + outputs for inputs, outputs, size in layers)
    found = sum(p.numel() for p in build(feature_size=256).parameters())
    assert found == convolutions + (64 * 9 * 6 + 1) * 256 == 1_124_896


def test_layers_are_those_of_the_paper():
    convolutions = [module for module in build().modules() if isinstance(module, nn.Conv2d)]
    assert [(c.kernel_size[0], c.stride[0], c.padding[0]) for c in convolutions] == [
        (8, 4, 0),
        (4, 2, 0),
        (4, 2, 0),
        (3, 1, 0),
    ]
    kinds = [type(module).__name__ for module in build().modules() if not list(module.children())]
    assert kinds == ["FrameConv2d", "ReLU"] + ["Conv2d", "ReLU"] * 3 + ["Flatten", "Linear"]


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


# Files


def test_an_encoder_comes_back(tmp_path):
    encoder = build()
    encoders.save(tmp_path / "w", encoder, HEADER)
    loaded, header = encoders.load(tmp_path / "w", ROW)
    assert header == HEADER
    assert same(encoder, loaded)
    assert np.array_equal(
        encoders.encode(encoder, frames(3), CPU), encoders.encode(loaded, frames(3), CPU)
    )


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
        encoders.load(path, ROW)
    path.write_bytes(content[: int(place * len(content))])
    with pytest.raises(DamagedFile, match=r"w is damaged"):
        encoders.load(path, ROW)


def write(path, encoder, header, drop=()):
    arrays = {
        name: tensor.numpy() for name, tensor in encoder.state_dict().items() if name not in drop
    }
    artifacts.write_arrays(path, encoders.KIND, arrays, header)


def other_than(what, found, asked):
    """What is said of a header that is not of the row."""
    said = f"w has {what} {found!r}, but the configuration says {asked!r}"
    return re.escape(f"{said}: name the right file, or make the encoder again") + "$"


@pytest.mark.parametrize("name", ["imapla", "impala", "custom", 3, ["nature"], None])
def test_another_encoder_is_refused(tmp_path, name):
    write(tmp_path / "w", build(), HEADER | {"encoder": name})
    with pytest.raises(UserError, match=other_than("encoder", name, "nature")):
        encoders.load(tmp_path / "w", ROW)


@pytest.mark.parametrize(
    ("what", "found", "asked"),
    [("feature_size", 17, 16), ("frame_stack", 2, 1), ("variables", ["x"], None)],
)
def test_a_header_of_another_row_is_refused(tmp_path, what, found, asked):
    write(tmp_path / "w", build(), HEADER | {what: found, "classes": 2, "shared": False})
    with pytest.raises(UserError, match=other_than(what.replace("_", " "), found, asked)):
        encoders.load(tmp_path / "w", ROW)


@pytest.mark.parametrize(
    ("size", "drop"),
    [(17, ()), (16, ("head.3.bias",))],
    ids=["other size than it says", "array missing"],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, size, drop):
    write(tmp_path / "w", build(feature_size=size), HEADER, drop)
    with pytest.raises(
        UserError, match=r"w does not fit the encoder nature: train it again with this version$"
    ):
        encoders.load(tmp_path / "w", ROW)


@pytest.mark.parametrize("stack", [1, 4])
@pytest.mark.parametrize("name", kinds.names(ARCHITECTURES))
def test_a_row_says_which_encoder_of_how_many_frames(tmp_path, name, stack):
    encoder = build(name=name, channels=stack)
    header = HEADER | {"encoder": name} | ({"frame_stack": stack} if stack > 1 else {})
    encoders.save(tmp_path / "w", encoder, header)
    row = Method(kind="random-cnn", encoder=name, feature_size=16, frame_stack=stack)
    loaded, found = encoders.load(tmp_path / "w", row)
    assert type(loaded) is type(encoders.build(name, 16, generator()))
    assert same(encoder, loaded) and found == header
    images = frames(2 * stack).reshape(2, stack, 210, 160)
    assert np.array_equal(
        encoders.encode(encoder, images, CPU), encoders.encode(loaded, images, CPU)
    )


def test_heads_are_kept_beside_the_encoder_and_apart(tmp_path):
    encoder = build()
    # Names that the encoder has too, and one that is a number.
    heads = {name: torch.randn(tensor.shape) for name, tensor in encoder.state_dict().items()} | {
        "steps": torch.tensor(3)
    }
    encoders.save(tmp_path / "w", encoder, HEADER, heads)
    found = encoders.load_heads(tmp_path / "w")
    assert found.keys() == heads.keys()
    assert all(
        torch.equal(found[name], heads[name]) and found[name].dtype == heads[name].dtype
        for name in heads
    )
    loaded, header = encoders.load(tmp_path / "w", ROW)
    assert same(encoder, loaded) and header == HEADER
    encoders.save(tmp_path / "w", encoder, HEADER)
    assert encoders.load_heads(tmp_path / "w") == {}
    assert same(encoder, encoders.load(tmp_path / "w", ROW)[0])


def test_heads_do_not_stand_in_for_what_the_encoder_lacks(tmp_path):
    state = build().state_dict()
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    arrays["heads/head.3.bias"] = arrays.pop("head.3.bias")
    artifacts.write_arrays(tmp_path / "w", encoders.KIND, arrays, HEADER)
    assert "w does not fit the encoder nature" in refusal(encoders.load, tmp_path / "w", ROW)


def test_a_file_of_something_else_is_refused(tmp_path):
    artifacts.write_arrays(tmp_path / "w", "split", {"part": np.zeros(3)}, HEADER)
    with pytest.raises(UserError, match=r"w holds split, not weights: name the right file$"):
        encoders.load(tmp_path / "w", ROW)


# Memory


@torch.no_grad()
def test_channels_last_keeps_what_a_module_computes():
    for name in kinds.names(ARCHITECTURES):
        encoder, images = build(name=name), torch.rand(2, 1, 210, 160)
        before = {key: value.clone() for key, value in encoder.state_dict().items()}
        z = encoder(images)
        parameters = list(encoder.parameters())
        assert encoders.channels_last(encoder) is encoder
        assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
        assert all(old is new for old, new in zip(parameters, encoder.parameters(), strict=True))
        assert torch.allclose(encoder(images), z, atol=1e-5)
        kernels = [p for p in encoder.parameters() if p.ndim == 4]
        assert kernels and all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)


def test_channels_last_of_stacks():
    """In (V, out, in, h, w) each of the V is as a single one would be, channels innermost."""
    stack = nn.ParameterDict(
        {str(ndim): torch.randn(2, 3, 4, 5, 6)[(0,) * (5 - ndim)] for ndim in range(6)}
    )
    before = {name: value.clone() for name, value in stack.state_dict().items()}
    encoders.channels_last(stack)
    assert all(torch.equal(value, before[name]) for name, value in stack.state_dict().items())
    assert [stack[name].stride() for name in ("3", "4", "5")] == [
        (30, 6, 1),
        (120, 1, 24, 4),
        (360, 120, 1, 24, 4),
    ]
    assert stack["5"][0].is_contiguous(memory_format=torch.channels_last)


# Features


@pytest.mark.parametrize("batch", [1, 2, 3, 256])
@pytest.mark.parametrize("form", ["numpy", "torch", "channel"])
def test_features_are_those_of_the_scaled_frames_in_order(monkeypatch, batch, form):
    monkeypatch.setattr(applying, "_BATCH", {"cpu": batch})
    images, encoder = frames(5), build()
    expected = features(encoder, images)
    given = {"numpy": images, "torch": torch.from_numpy(images), "channel": images[:, None]}[form]
    found = encoders.encode(encoder, given, CPU)
    assert (found.dtype, found.shape) == (np.float32, (5, 16))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert (
        np.abs(expected - expected[[1, 2, 3, 4, 0]]).min(axis=1).max() > 1e-4
    )  # a wrong order would show
    assert np.array_equal(images, frames(5))


def test_several_channels():
    images = np.random.default_rng(0).integers(256, size=(2, 4, 210, 160), dtype=np.uint8)
    encoder = NatureCNN(16, torch.Generator().manual_seed(0), channels=4)
    with torch.no_grad():
        expected = encoder(torch.from_numpy(images).float() / 255).numpy()
    np.testing.assert_allclose(
        encoders.encode(encoder, images, CPU), expected, rtol=1e-4, atol=1e-5
    )


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


# Classifiers


def classifier(kind=Classifier, variables=3, classes=5, name="nature", channels=1, seed=0):
    drawn = generator(seed)
    return kind(partial(encoders.build, name, 8, drawn, channels), variables, classes, drawn)


@torch.no_grad()
@pytest.mark.parametrize("name", kinds.names(ARCHITECTURES))
def test_a_classifier_is_its_parts_run_alone(name):
    model, images = classifier(name=name), torch.rand(4, 1, 210, 160)
    scores = model(images)
    assert (scores.shape, scores.dtype) == ((4, 3, 5), torch.float32)
    drawn = generator()
    for variable in range(3):
        encoder = encoders.build(
            name, 8, drawn
        )  # drawn one after the other, each with its linear map
        head = base.uniform(nn.Linear, 8, 5, generator=drawn)
        alone = nn.Sequential(encoder, head)
        assert all(
            torch.equal(p[variable], q)
            for p, q in zip(model.parameters(), alone.parameters(), strict=True)
        )
        assert torch.allclose(scores[:, variable], alone(images), atol=1e-6)


@pytest.mark.parametrize("name", kinds.names(ARCHITECTURES))
def test_a_classifier_runs_in_bfloat16(name):
    """Every variable's encoder; vmap, which a CUDA device once ran, knows nothing of autocast."""
    model, images = classifier(name=name), torch.from_numpy(frames(2)).unsqueeze(1)
    with torch.autocast("cpu", torch.bfloat16):
        reduced = model(images)
    assert torch.allclose(reduced.float(), model(images), atol=0.1)
    assert not torch.equal(reduced.float(), model(images))


@pytest.mark.parametrize("name", kinds.names(ARCHITECTURES))
@pytest.mark.parametrize("stored", [True, False])
def test_a_classifier_as_one_stack_is_the_same(name, stored):
    """Values and gradients of the slices, run in turn, against one model of all of them."""
    model, images = classifier(name=name), torch.from_numpy(frames(2)).unsqueeze(1)
    images = images if stored else images / 255
    labels = torch.tensor([[0, 1, 2], [3, 4, 0]])

    def stacked():
        return vmap(lambda which: functional_call(model.one, which, (images,)))(
            dict(model.one.named_parameters())
        ).transpose(0, 1)

    found = []
    for scores in (model(images), stacked()):
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), labels.flatten())
        found.append((scores.detach(), torch.autograd.grad(loss, list(model.parameters()))))
    (scores, gradients), (of_stack, stack_gradients) = found
    assert of_stack.shape == scores.shape == (2, 3, 5)
    assert torch.allclose(scores, of_stack, atol=1e-5)
    assert all(
        torch.allclose(a, b, atol=1e-5) for a, b in zip(gradients, stack_gradients, strict=True)
    )
    assert all(
        gradient.flatten(1).any(1).all() for gradient in gradients
    )  # every part of the stack learns


def test_parts_of_a_classifier_have_nothing_in_common():
    model = classifier()
    model(torch.rand(2, 1, 210, 160))[:, 1].square().sum().backward()
    for parameter in model.parameters():
        assert parameter.grad[1].any()
        assert not parameter.grad[[0, 2]].any()
    assert sum(p.numel() for p in model.parameters()) == 3 * (
        sum(p.numel() for p in build(feature_size=8).parameters()) + 45
    )


@torch.no_grad()
def test_a_shared_classifier_is_one_encoder_with_linear_maps():
    model, images = classifier(SharedClassifier), torch.rand(2, 1, 210, 160)
    drawn = generator()
    encoder, heads = (
        encoders.build("nature", 8, drawn),
        base.uniform(nn.Linear, 8, 15, generator=drawn),
    )
    assert same(model.encoder, encoder) and same(model.heads, heads)
    scores = model(images)
    assert scores.shape == (2, 3, 5)
    z = encoder(images)
    for variable in range(3):
        rows = slice(5 * variable, 5 * variable + 5)
        assert torch.allclose(
            scores[:, variable], z @ heads.weight[rows].T + heads.bias[rows], atol=1e-5
        )


@pytest.mark.parametrize("stack", [1, 2])
@pytest.mark.parametrize("kind", [Classifier, SharedClassifier])
def test_a_classifier_comes_back(tmp_path, kind, stack):
    model = classifier(kind, channels=stack, seed=3)
    names = ["player_x", "ball_y", "score"]
    header = {
        "encoder": "nature",
        "feature_size": 8,
        "frame_stack": stack,
        "variables": names,
        "classes": 5,
    }
    header["shared"] = kind is SharedClassifier
    encoders.save(tmp_path / "w", model, header)
    row = Method(
        kind="supervised-shared" if header["shared"] else "supervised",
        feature_size=8,
        frame_stack=stack,
    )
    loaded, found = encoders.load(tmp_path / "w", row, names, 5)
    assert type(loaded) is kind and found == header
    assert same(model, loaded)
    images = frames(3 * stack).reshape(3, stack, 210, 160)
    assert np.array_equal(
        encoders.classify(loaded, images, CPU), encoders.classify(model, images, CPU)
    )
    for change in (
        {"variables": names[:2]},
        {"variables": None},
        {"classes": 6},
        {"shared": not header["shared"]},
    ):
        encoders.save(tmp_path / "w", model, header | change)
        ((what, value),) = change.items()
        assert re.search(
            other_than(what, value, header[what]),
            refusal(encoders.load, tmp_path / "w", row, names, 5),
        )
    for asked in ((names[::-1], 5), (names[1:], 5), (names, 6)):
        encoders.save(tmp_path / "w", model, header)
        assert "name the right file, or make" in refusal(encoders.load, tmp_path / "w", row, *asked)


class Told(nn.Module):
    """Scores that follow from a frame's first pixel."""

    def forward(self, frames):
        value = frames[:, 0, 0, 0].long()
        return nn.functional.one_hot(torch.stack([value, 9 - value], 1), 10).float() - 100


@pytest.mark.parametrize("batch", [1, 3, 256])
def test_classes_are_the_likeliest_in_order(monkeypatch, batch):
    monkeypatch.setattr(applying, "_BATCH", {"cpu": batch})
    images = np.zeros((7, 210, 160), np.uint8)
    images[:, 0, 0] = [3, 1, 4, 1, 5, 9, 2]
    for given in (images, images[:, None], torch.from_numpy(images)):
        found = encoders.classify(Told(), given, CPU)
        assert (found.dtype, found.shape) == (np.int64, (7, 2))
        assert found.tolist() == [[n, 9 - n] for n in (3, 1, 4, 1, 5, 9, 2)]


# Encoders of one's own

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


@pytest.mark.parametrize("name", ["nature", "impala"])
def test_bytes_as_they_are_stored(name):
    """The first layer sees 255 times what it sees of fractions; frames that are floats too."""
    frames = torch.randint(0, 256, (3, 1, 210, 160), dtype=torch.uint8)
    made = {
        scale: encoders.build(name, 16, torch.Generator().manual_seed(3), 1, scale)
        for scale in ("unit", "byte")
    }
    first = next(m for m in made["unit"].modules() if isinstance(m, torch.nn.Conv2d))
    with torch.no_grad():
        found = made["byte"](frames)
        assert torch.allclose(made["byte"](frames / 255), found, rtol=1e-3, atol=1e-3)
        first.weight *= 255
        assert torch.allclose(made["unit"](frames), found, rtol=1e-3, atol=1e-3)


def test_the_scale_of_the_input_is_part_of_the_file(tmp_path):
    row = Method.model_validate({"kind": "random-cnn", "feature_size": 8, "input_scale": "byte"})
    encoder = encoders.build("nature", 8, torch.Generator().manual_seed(3), 1, "byte")
    header = {"encoder": "nature", "feature_size": 8, "frame_stack": 1, "input_scale": "byte"}
    encoders.save(tmp_path / "w", encoder, header)
    frames = torch.randint(0, 256, (3, 1, 210, 160), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(encoders.load(tmp_path / "w", row)[0](frames), encoder(frames))
    unit = row.model_copy(update={"input_scale": "unit"})
    with pytest.raises(UserError, match="has input scale 'byte', but the configuration says None"):
        encoders.load(tmp_path / "w", unit)
