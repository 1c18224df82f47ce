"""Classifiers: parts that are run as one stack, their files, and what they say."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from encoding import CPU, build, frames, generator, other_than, refusal, same
from torch import nn
from torch.func import functional_call, vmap

from workflow_src import encoders, kinds
from workflow_src.config.methods import Method
from workflow_src.encoders import applying, base
from workflow_src.encoders.classifier import Classifier, SharedClassifier
from workflow_src.encoders.registry import FOLDER as ARCHITECTURES

pytestmark = pytest.mark.usefixtures("one_thread")


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
