"""Encoders: architectures, decoders, their files, and features."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from encoding import CPU, HEADER, ROW, build, frames, generator, other_than, refusal, same
from torch import nn
from torch.testing import assert_close

from workflow_src import artifacts, encoders, kinds
from workflow_src.config.methods import Method
from workflow_src.encoders import applying, base
from workflow_src.encoders.architectures import impala
from workflow_src.encoders.architectures.nature import NatureCNN
from workflow_src.encoders.classifier import Classifier, SharedClassifier
from workflow_src.encoders.registry import FOLDER as ARCHITECTURES
from workflow_src.errors import DamagedFile, UserError

# Encoders that have a mirror.
DECODING = ("impala", "nature")


pytestmark = pytest.mark.usefixtures("one_thread")


def features(encoder, images):
    """As plain as can be: one frame after the other."""
    with torch.no_grad():
        return torch.cat(
            [encoder(torch.from_numpy(image / 255).float()[None, None]) for image in images]
        ).numpy()


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


# The scale of the input


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
