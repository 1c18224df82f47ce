"""ST-DIM's losses against plain loops."""

import copy
import math

import pytest
import torch
from trainings import noise

from workflow_src.config.methods import Method
from workflow_src.methods import st_dim
from workflow_src.training import objective

pytestmark = pytest.mark.usefixtures("one_thread")


def stdim(seed=0, feature_size=32):
    return st_dim.STDIM(
        Method(kind="st-dim", feature_size=feature_size), torch.Generator().manual_seed(seed)
    )


def plain_losses(model, frames):
    """The paper's formula, place by place and pair by pair, in the precision of the model."""
    images = frames.to(next(model.parameters()).dtype) / 255
    local_before, _ = model.encoder.maps(images[:, 0])
    local_after, z = model.encoder.maps(images[:, 1])
    w_g, w_l = model.global_local, model.local_local
    losses = {"global_local": 0.0, "local_local": 0.0}
    size, _, height, width = local_before.shape
    assert (height, width) == (11, 8)
    for y in range(height):
        for x in range(width):
            before, after = local_before[:, :, y, x], local_after[:, :, y, x]
            for name, predicted in (
                ("global_local", z @ w_g.weight.T + w_g.bias),
                ("local_local", after @ w_l.weight.T + w_l.bias),
            ):
                for i in range(size):
                    scores = torch.stack([predicted[i] @ before[j] for j in range(size)])
                    losses[name] = losses[name] - (scores[i] - torch.logsumexp(scores, 0)) / (
                        size * height * width
                    )
    return losses


def test_st_dim_is_the_formula_and_so_are_its_gradients():
    model, frames = stdim(), noise(5, 2, 1)
    plain = copy.deepcopy(model).double()
    found, expected = model(frames), plain_losses(plain, frames)
    assert list(found) == list(expected)
    for name in expected:
        assert found[name].item() == pytest.approx(expected[name].item(), rel=1e-5)
    sum(found.values()).backward()
    sum(expected.values()).backward()
    for (name, fast), slow in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert slow.grad.abs().max() > 0, name
        error = (fast.grad.double() - slow.grad).norm() / slow.grad.norm()
        assert error < 1e-5, name


def test_st_dim_tells_before_from_after():
    model, frames = stdim(), noise(4, 2, 1)
    with torch.no_grad():
        one, other = model(frames), model(frames.flip(1))
    assert all(abs(one[name] - other[name]) > 1e-6 for name in one)


def test_info_nce_by_hand():
    # One place, two pairs: scores [[2, 0], [0, 1]], of which the diagonal is right.
    predictions, targets = torch.tensor([[[2.0, 0], [0, 1]]]), torch.eye(2)[None]
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-1))) / 2
    assert st_dim.info_nce(predictions, targets).item() == pytest.approx(expected, rel=1e-6)
    assert st_dim.info_nce(torch.zeros(3, 7, 2), torch.rand(3, 7, 2)).item() == pytest.approx(
        math.log(7), rel=1e-6
    )


def test_bfloat16_is_for_the_convolutions_only(monkeypatch):
    model, frames, seen, bmm = stdim(), noise(6, 2, 1), [], torch.bmm
    monkeypatch.setattr(
        torch, "bmm", lambda *inputs: seen.append((*inputs, bmm(*inputs))) or seen[-1][-1]
    )
    trunk = []
    model.encoder.local.register_forward_hook(lambda _, __, output: trunk.append(output.dtype))
    with torch.no_grad():
        expected = model(frames)
        with torch.autocast("cpu", torch.bfloat16):
            found = model(frames)
    assert trunk == [torch.float32, torch.bfloat16]
    assert len(seen) == 4
    assert all(tensor.dtype == torch.float32 for call in seen for tensor in call)
    for name, loss in found.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(expected[name].item(), rel=0.02)
        assert loss.item() != expected[name].item()


def test_linear_is_pytorch_s_own_from_the_generator():
    layer = objective.linear(100, 400, generator=torch.Generator().manual_seed(0))
    again = objective.linear(100, 400, generator=torch.Generator().manual_seed(0))
    assert torch.equal(layer.weight, again.weight) and torch.equal(layer.bias, again.bias)
    for values in (layer.weight, layer.bias):
        assert 0.097 < values.abs().max() <= 0.1
        assert values.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.1)
