"""Every method's loss against its formula written as plain loops, what each draws, and that each
learns in the one loop.

For the formulas the package's own ``.float()`` is made ``.double()``: both sides count in float64,
and differ in the last bits.
"""

import copy
import functools
import itertools
import math
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from trainings import index

from workflow_src import encoders, kinds, seeds
from workflow_src.config.methods import Method, MethodProtocol, Training
from workflow_src.config.run import defaults
from workflow_src.errors import UserError
from workflow_src.methods import cpc
from workflow_src.training import loop, objective
from workflow_src.training.objective import Objective, draw_frames, draw_pairs

PAPER = MethodProtocol(wrap_pairs=True, keep="last", sampling="replacement")
CORRECTED = MethodProtocol(wrap_pairs=False, keep="best", sampling="permutation")
LEARNING = [
    kind
    for kind in kinds.names("methods")
    if kind not in ("majority", "custom", "agent", "conditioned") and Method(kind=kind).learns_from
]
VARIABLES, CLASSES = ["ball_x", "ball_y", "lives"], 5
# Frames an example.
TAKES = {
    **dict.fromkeys(("vae", "dim", "supervised", "supervised-shared", "place-codes"), 1),
    "jsd-st-dim": 3,
    "cpc": 7,
}
NOISE = torch.from_numpy(np.random.default_rng(1).integers(256, size=(6, 210, 160), dtype=np.uint8))
OPTIONS = {"cpc": {"sequence_length": 7, "horizon_step": 2, "gru_size": 6}, "vae": {"beta": 2.5}}
PLACES = {"nature": (11, 8), "impala": (25, 19)}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def doubled(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


def build(kind, seed=0, feature_size=8, **row):
    row = Method(kind=kind, feature_size=feature_size, options=OPTIONS.get(kind, {}), **row)
    supervision = {"variables": VARIABLES, "classes": CLASSES} if row.learns_from == "probe" else {}
    model = objective.find(kind)(row, torch.Generator().manual_seed(seed), **supervision)
    model.prepare(NOISE, index(6))
    return model


@functools.cache
def codes():
    """What place codes say of frames of noise."""
    row = Method(kind="place-codes", feature_size=8)
    return objective.find("place-codes")(row, torch.Generator()).prepare(NOISE, index(6))


def batch(kind, size, stack=1, seed=0):
    """Frames of noise and, where they are asked for, labels."""
    rng = np.random.default_rng(seed)
    frames = torch.from_numpy(
        rng.integers(256, size=(size, TAKES.get(kind, 2), stack, 210, 160), dtype=np.uint8)
    )
    labels = torch.from_numpy(rng.integers(CLASSES, size=(size, 1, len(VARIABLES))))
    if kind == "place-codes":
        labels = codes()[rng.integers(len(NOISE), size=(size, 1))]
    return (frames, labels) if kind.startswith(("supervised", "place")) else (frames,)


def compare(found, expected, model, plain, to=1e-9):
    """The same terms, and the same gradients of all parameters."""
    assert list(found) == list(expected)
    for name in expected:
        assert found[name].item() == pytest.approx(expected[name].item(), rel=to)
    sum(found.values()).backward()
    sum(expected.values()).backward()
    for (name, fast), slow in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert slow.grad.norm() > 0, name
        assert (fast.grad - slow.grad).norm() / slow.grad.norm() < to, name


def check(model, formula, *given, to=1e-9):
    plain = copy.deepcopy(model.double())
    compare(model(*given), formula(plain, *given), model, plain, to)


WHATEVER = pytest.mark.parametrize(("encoder", "stack"), [("nature", 1), ("impala", 3)])


# Formulas


def image(frames, example, time):
    """One frame with those before it, as an encoder takes it: (1, C, 210, 160)."""
    return frames[example, time][None].to(torch.float64) / 255


def affine(layer, x):
    return layer.weight @ x + layer.bias


def loss_of_choice(scores, right):
    """-log of the probability of the right one: the inner loop of InfoNCE and cross entropies."""
    return -(scores[right] - torch.log(sum(score.exp() for score in scores)))


def maps(encoder, frames, time):
    """Local features and representations of all examples' frames of one time, one frame after the
    other.
    """
    found = [encoder.maps(image(frames, example, time)) for example in range(len(frames))]
    return [local[0] for local, _ in found], [z[0] for _, z in found]


def formula_global_local(model, z, local):
    """W_g z of each example against the local features of all examples, at each place."""
    height, width = local[0].shape[1:]
    loss = 0.0
    predictions = [affine(model.global_local, each) for each in z]
    for y, x in itertools.product(range(height), range(width)):
        for i, predicted in enumerate(predictions):
            loss = loss + loss_of_choice([predicted @ other[:, y, x] for other in local], i)
    return {"global_local": loss / (height * width * len(z))}


def global_local_t_dim(model, frames):
    before, _ = maps(model.encoder, frames, 0)
    _, z = maps(model.encoder, frames, 1)
    return formula_global_local(model, z, before)


def dim(model, frames):
    local, z = maps(model.encoder, frames, 0)
    return formula_global_local(model, z, local)


def st_dim(model, frames):
    before, _ = maps(model.encoder, frames, 0)
    after, _ = maps(model.encoder, frames, 1)
    height, width = before[0].shape[1:]
    loss = 0.0
    for y, x in itertools.product(range(height), range(width)):
        for i, local in enumerate(after):
            predicted = affine(model.local_local, local[:, y, x])
            loss = loss + loss_of_choice([predicted @ other[:, y, x] for other in before], i)
    return global_local_t_dim(model, frames) | {
        "local_local": loss / (height * width * len(frames))
    }


def mst_dim(model, frames):
    """The formula of ST-DIM, its later frames masked by the same numbers."""
    masks = torch.Generator().manual_seed(model.noise_seed)
    drawn = torch.rand(frames[:, 1].shape, generator=masks)
    hidden = frames.clone()
    hidden[:, 1][drawn < 0.4] = 0
    assert (hidden[:, 1] != frames[:, 1]).double().mean().item() == pytest.approx(0.4, abs=0.01)
    assert torch.equal(hidden[:, 0], frames[:, 0])
    return renamed(st_dim(model, hidden))


def st_dim_vicreg(model, frames):
    terms, size = renamed(st_dim(model, frames)), model.encoder.feature_size
    same, variance, covariance = [], [], []
    for time in range(2):
        local, z = maps(model.encoder, frames, time)
        plain = types.SimpleNamespace(global_local=model.same_frame)
        same.append(formula_global_local(plain, z, local)["global_local"])
        columns = torch.stack(z).T
        for one in columns:
            variance.append(torch.clamp(1 - (one.var() + 1e-4).sqrt(), min=0))
        covariance.append(
            sum(
                torch.cov(torch.stack([one, other]))[0, 1] ** 2
                for a, one in enumerate(columns)
                for b, other in enumerate(columns)
                if a != b
            )
            / size
        )
    return terms | {
        "same-frame": sum(same) / 2,
        "variance": sum(variance) / len(variance),
        "covariance": 0.04 * sum(covariance) / 2,
    }


def renamed(terms):
    return {name.replace("_", "-"): value for name, value in terms.items()}


def dim_ua(model, frames):
    charts = model.encoder.charts
    plain = types.SimpleNamespace(maps=lambda seen: read_mean(model.encoder, seen, charts))
    found = st_dim(
        types.SimpleNamespace(
            encoder=plain, global_local=model.global_local, local_local=model.local_local
        ),
        frames,
    )
    unlike = []
    for i, time in itertools.product(range(len(frames)), range(2)):
        values = model.encoder.head(model.encoder.local(image(frames, i, time)))[0]
        unlike.append(((values[-charts:].softmax(0) - 1 / charts) ** 2).sum())
    return found | {"atlas": -0.1 * sum(unlike) / len(unlike)}


def read_mean(encoder, frames, charts):
    local = encoder.local(frames)
    values = encoder.head(local)[:, :-charts]
    size = values.shape[1] // charts
    return local, sum(values[:, h * size : (h + 1) * size] for h in range(charts)) / charts


def place_codes(model, frames, seen):
    z = [model.encoder(image(frames, i, 0))[0] for i in range(len(frames))]
    count = len(model.profiles_mean)
    errors, choices = [], []
    for each, code in zip(z, seen[:, 0], strict=True):
        wanted = (code[:count].double().sqrt() - model.profiles_mean) * model.profiles_scale
        errors += [(affine(model.profiles, each) - wanted).square().mean()]
        scores = affine(model.patches, each).view(-1, 32)
        patches = code[count:].tolist()
        choices += [loss_of_choice(list(s), p) for s, p in zip(scores, patches, strict=True)]
    return {"profiles": sum(errors) / len(errors), "patches": sum(choices) / len(choices)}


@WHATEVER
@pytest.mark.parametrize(
    "formula", [mst_dim, st_dim_vicreg, dim_ua, place_codes], ids=lambda f: f.__name__
)
def test_later_losses_are_their_formulas(request, formula, encoder, stack):
    kind = formula.__name__.replace("_", "-")
    model, given = build(kind, encoder=encoder, frame_stack=stack), batch(kind, 3, stack)
    request.getfixturevalue("doubled")  # after codes were measured, in float32
    model.draw(index(9), CORRECTED, np.random.default_rng(0))
    check(model, formula, *given, to=1e-7)


def global_t_dim(model, frames):
    before = [model.encoder(image(frames, i, 0))[0] for i in range(len(frames))]
    after = [model.encoder(image(frames, i, 1))[0] for i in range(len(frames))]
    losses = [
        loss_of_choice([affine(model.global_global, z) @ other for other in before], i)
        for i, z in enumerate(after)
    ]
    return {"global_global": sum(losses) / len(losses)}


def jsd_st_dim(model, frames):
    (before, _), (after, z), (hat, _) = (maps(model.encoder, frames, time) for time in range(3))
    height, width = before[0].shape[1:]
    found = {"global_local": [], "local_local": []}
    for y, x in itertools.product(range(height), range(width)):
        for i in range(len(frames)):
            for name, left in (("global_local", z[i]), ("local_local", after[i][:, y, x])):
                score = getattr(model, name)
                for other, answer in ((before, 1.0), (hat, 0.0)):
                    value = F.bilinear(
                        left[None], other[i][:, y, x][None], score.weight[None], score.bias
                    )[0]
                    found[name].append(
                        F.binary_cross_entropy_with_logits(value, torch.tensor([answer]).to(value))
                    )
    assert len(found["global_local"]) == 2 * height * width * len(frames)
    return {name: sum(losses) / len(losses) for name, losses in found.items()}


@WHATEVER
@pytest.mark.parametrize(
    "formula", [st_dim, global_local_t_dim, global_t_dim, jsd_st_dim, dim], ids=lambda f: f.__name__
)
def test_spatial_losses_are_their_formulas(doubled, formula, encoder, stack):
    kind = formula.__name__.replace("_", "-")
    size = 4 if encoder == "nature" else 2 if kind == "jsd-st-dim" else 3
    model, (frames,) = build(kind, encoder=encoder, frame_stack=stack), batch(kind, size, stack)
    local = model.double().encoder.local(image(frames, 0, 0))
    assert local.shape[2:] == PLACES[encoder]
    check(model, formula, frames)


def vae(noise):
    """``noise``: that of each example, or None where the mean is decoded."""

    def formula(model, frames):
        terms = {"squared_error": 0.0, "kl": 0.0}
        for i in range(len(frames)):
            shown = image(frames, i, 0)
            hidden = model.encoder.head[:-1](model.encoder.local(shown))
            mean, log_variance = (
                model.encoder.head[-1](hidden)[0],
                affine(model.log_variance, hidden[0]),
            )
            posterior = torch.distributions.Normal(mean, log_variance.exp().sqrt())
            z = mean if noise is None else mean + posterior.stddev * noise[i]
            decoded = torch.sigmoid(model.decoder.layers(z[None]))
            assert decoded.shape == shown.shape
            error = torch.zeros((), dtype=torch.float64)
            for row, expected in zip(decoded[0].flatten(0, 1), shown[0].flatten(0, 1), strict=True):
                error = error + (row - expected) @ (row - expected)
            terms["squared_error"] = terms["squared_error"] + error
            kl = torch.distributions.kl_divergence(
                posterior, torch.distributions.Normal(torch.zeros_like(mean), 1.0)
            ).sum()
            terms["kl"] = terms["kl"] + 2.5 * kl
        return terms

    return formula


@WHATEVER
@pytest.mark.parametrize("learns", [True, False], ids=["train", "eval"])
def test_vae_is_its_formula(doubled, encoder, stack, learns):
    model, (frames,) = (
        build("vae", encoder=encoder, frame_stack=stack).train(learns),
        batch("vae", 3, stack),
    )
    model.draw(index(9), CORRECTED, np.random.default_rng(0))
    noise = model.draw_noise(torch.zeros(3, 8))
    model.noise = None  # the same again
    check(model, vae(noise if learns else None), frames)


def test_vae_s_noise_is_standard_normal_and_new_for_every_batch_but_not_for_every_run():
    model = build("vae")

    def epoch(seed, batches=3):
        model.draw(index(9), CORRECTED, np.random.default_rng(seed))
        return [model.draw_noise(torch.zeros(4000, 2)) for _ in range(batches)]

    one, again, other = epoch(0), epoch(0), epoch(1)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(one + other, 2))
    numbers = torch.cat(one).flatten()
    assert abs(numbers.mean()) < 5 / math.sqrt(
        len(numbers)
    ) and numbers.std().item() == pytest.approx(1, abs=0.03)
    assert torch.corrcoef(torch.stack([one[0].flatten(), one[1].flatten()]))[0, 1].abs() < 0.06


@WHATEVER
def test_pixel_pred_is_its_formula(doubled, encoder, stack):
    def formula(model, frames):
        errors = []
        for i in range(len(frames)):
            decoded = torch.sigmoid(
                model.decoder.layers(
                    affine(model.step, model.encoder(image(frames, i, 0))[0])[None]
                )
            )
            errors += [
                row.square().sum() for row in (decoded - image(frames, i, 1))[0].flatten(0, 1)
            ]
        return {"squared_error": sum(errors) / (len(frames) * stack * 210 * 160)}

    check(
        build("pixel-pred", encoder=encoder, frame_stack=stack),
        formula,
        *batch("pixel-pred", 3, stack),
    )


def cpc_loops(model, frames):
    """Horizons, times and sequences one after the other; the GRU reads one sequence at a time."""
    number, length = frames.shape[:2]
    z = [[model.encoder(image(frames, b, t))[0] for t in range(length)] for b in range(number)]
    contexts = [model.gru(torch.stack(each)[:, None])[0][:, 0] for each in z]
    total = 0.0
    for which, k in enumerate([1, 3, 5]):
        rows = slice(which * 8, which * 8 + 8)
        losses = []
        for t in range(length - k):
            for b in range(number):
                predicted = model.predict.weight[rows] @ contexts[b][t] + model.predict.bias[rows]
                candidates = list(itertools.product(range(number), range(k, length)))
                scores = [predicted @ z[other][time] for other, time in candidates]
                losses.append(loss_of_choice(scores, candidates.index((b, t + k))))
        assert len(losses) == number * (length - k)
        total = total + sum(losses) / len(losses)
    return {"info_nce": total}


@pytest.mark.parametrize(
    ("encoder", "stack", "scores"),
    [
        ("nature", 1, 2**23),
        ("impala", 3, 2**23),
        ("nature", 1, 1),
        ("nature", 1, 2 * 3 * 3 * 7),
        ("nature", 1, 5 * 3 * 3 * 7),
    ],
)
def test_cpc_is_its_formula_in_chunks_too(doubled, monkeypatch, encoder, stack, scores):
    monkeypatch.setattr(cpc, "_SCORES", scores)
    sizes, product = [], cpc.product
    monkeypatch.setattr(
        cpc, "product", lambda x, weight: sizes.append(len(x)) or product(x, weight)
    )
    check(
        build("cpc", encoder=encoder, frame_stack=stack),
        cpc_loops,
        *batch("cpc", 3, stack),
        to=1e-7,
    )  # weights: float32
    # 6 + 4 + 2 rows. Chunks may cross from one horizon to the next.
    # Of each chunk's three products, the first two have its rows, of three sequences each.
    rows = [size // 3 for size in sizes[::3]]
    assert (
        rows
        == [size // 3 for size in sizes[1::3]]
        == {2**23: [12], 1: [1] * 12, 126: [2] * 6, 315: [5, 5, 2]}[scores]
    )


@settings(max_examples=50, deadline=None)
@given(
    st.integers(2, 9), st.integers(1, 4), st.integers(1, 9), st.integers(1, 400), st.integers(0, 99)
)
def test_cpc_s_chunks_change_nothing(length, size, step, scores, seed):
    horizons = tuple(range(1, length, step))
    generator = torch.Generator().manual_seed(seed)
    given = [
        torch.randn(
            length,
            size,
            len(horizons),
            3,
            generator=generator,
            dtype=torch.float64,
            requires_grad=True,
        ),
        torch.randn(length, size, 3, generator=generator, dtype=torch.float64, requires_grad=True),
    ]
    whole, _ = cpc.info_nce(*given, horizons)
    plain = [one.detach() for one in given]
    _, known = cpc.info_nce(*plain, horizons)
    expected = torch.autograd.grad(whole, given)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cpc, "_SCORES", scores)
        pieces, _ = cpc.info_nce(*given, horizons)
        _, again = cpc.info_nce(*plain, horizons)
        found = torch.autograd.grad(pieces, given)
    torch.testing.assert_close(pieces, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(again, known)
    assert known.item() == pytest.approx(hits(*plain, horizons))


def hits(predictions, z, horizons):
    """How often a prediction is nearest to its own target, of those at or after its horizon."""
    found = []
    for place, k in enumerate(horizons):
        targets = z[k:].flatten(0, 1)
        for t in range(len(z) - k):
            for b in range(z.shape[1]):
                best = int((targets @ predictions[t, b, place]).argmax())
                found.append((best == t * z.shape[1] + b, len(z) - k))
    return sum(right / (count * z.shape[1]) for right, count in found) / len(horizons)


def test_jsd_s_accuracy_counts_both_answers():
    model, (frames,) = build("jsd-st-dim"), batch("jsd-st-dim", 4)
    with torch.no_grad():
        model(frames)
        assert 0 < model.accuracy < 1
        for score in (model.global_local, model.local_local):
            score.weight.zero_(), score.bias.fill_(1.0)
        model(frames)
    assert model.accuracy == 0.5  # yes to all: right for what is true alone


def test_cpc_of_one_sequence_has_negatives_in_time_only():
    model, (frames,) = build("cpc").double(), batch("cpc", 1)
    model.predict.weight.data.zero_(), model.predict.bias.data.zero_()
    # Nothing known: the loss of a horizon is the log of the number of its candidates.
    expected = math.log(6) + math.log(4) + math.log(2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.Tensor, "float", torch.Tensor.double)
        assert model(frames)["info_nce"].item() == pytest.approx(expected, rel=1e-7)


def taken_out(model, variable, encoder="nature", stack=1):
    """The encoder and classifier of one variable as a plain module with weights of its own."""
    alone = nn.Sequential(
        encoders.build(encoder, 8, torch.Generator(), stack), nn.Linear(8, CLASSES)
    ).double()
    state = {
        name: parameter[variable].detach().clone()
        for name, parameter in model.encoder.one.named_parameters()
    }
    assert list(state) == [name for name, _ in alone.named_parameters()]
    alone.load_state_dict(state)
    return alone


def cross_entropy(scores, labels):
    return sum(
        loss_of_choice(list(each), label)
        for each, label in zip(scores, labels.tolist(), strict=True)
    ) / len(scores)


@WHATEVER
def test_supervised_trains_each_variable_as_if_it_were_alone(doubled, encoder, stack):
    model, (frames, labels) = (
        build("supervised", encoder=encoder, frame_stack=stack).double(),
        batch("supervised", 3, stack),
    )
    alone = [taken_out(model, v, encoder, stack) for v in range(len(VARIABLES))]
    firsts = [next(iter(each.parameters())) for each in alone]
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(firsts, 2))
    options = {"lr": 1e-3, "eps": 1e-5}
    together = torch.optim.Adam(model.parameters(), fused=True, **options)
    apart = [torch.optim.Adam(each.parameters(), **options) for each in alone]
    for step in range(3 if encoder == "nature" else 1):
        found = model(frames, labels)
        assert list(found) == VARIABLES
        together.zero_grad()
        sum(found.values()).backward()
        for v, (each, optimizer) in enumerate(zip(alone, apart, strict=True)):
            images = torch.cat([image(frames, i, 0) for i in range(len(frames))])
            loss = cross_entropy(each(images), labels[:, 0, v])
            assert found[VARIABLES[v]].item() == pytest.approx(loss.item(), rel=1e-8)
            optimizer.zero_grad()
            loss.backward()
            for (name, stacked), one in zip(
                model.encoder.one.named_parameters(), each.parameters(), strict=True
            ):
                assert (stacked.grad[v] - one.grad).norm() < 1e-6 * one.grad.norm(), (step, name)
            optimizer.step()
        together.step()
    for v, each in enumerate(alone):
        for (name, stacked), one in zip(
            model.encoder.one.named_parameters(), each.parameters(), strict=True
        ):
            assert (stacked[v] - one).norm() < 1e-7 * one.norm(), name


@WHATEVER
def test_supervised_shared_is_its_formula(doubled, encoder, stack):
    def formula(model, frames, labels):
        z = [model.encoder.encoder(image(frames, i, 0))[0] for i in range(len(frames))]
        terms = {}
        for v, name in enumerate(VARIABLES):
            rows = slice(v * CLASSES, (v + 1) * CLASSES)
            weight, bias = model.encoder.heads.weight[rows], model.encoder.heads.bias[rows]
            terms[name] = cross_entropy([weight @ each + bias for each in z], labels[:, 0, v])
        return terms

    given = batch("supervised-shared", 4, stack)
    check(build("supervised-shared", encoder=encoder, frame_stack=stack), formula, *given)


# What all losses have in common


@pytest.mark.parametrize("kind", LEARNING)
@pytest.mark.parametrize(("encoder", "stack"), [("nature", 3), ("impala", 1)])
def test_every_parameter_learns(kind, encoder, stack):
    model = build(kind, encoder=encoder, frame_stack=stack)
    model.draw(index(9), CORRECTED, np.random.default_rng(0))  # which seeds what it draws
    sum(model(*batch(kind, 2, stack)).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.norm() > 0, name


@pytest.mark.parametrize("kind", LEARNING)
def test_losses_are_float32_and_little_else_in_bfloat16(kind):
    model, given = build(kind).eval(), batch(kind, 4)
    model.draw(index(9), CORRECTED, np.random.default_rng(0))
    with torch.no_grad():
        expected = model(*given)
        model.noise = None  # the same masks again
        with torch.autocast("cpu", torch.bfloat16):
            found = model(*given)
    assert list(found) == list(expected)
    for name, loss in found.items():
        assert loss.dtype == torch.float32 and loss.shape == ()
        assert loss.item() == pytest.approx(expected[name].item(), rel=0.02)
        assert loss.item() != expected[name].item()


@pytest.mark.parametrize("kind", LEARNING)
def test_initial_values_are_the_generator_s_alone(kind):
    def state(seed):
        return {
            name: tensor.detach().numpy().tobytes()
            for name, tensor in build(kind, seed).named_parameters()
        }

    before = torch.get_rng_state()
    one = state(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    again, other = state(0), state(1)
    assert one == again
    # Biases of the encoder are zero whatever the seed.
    same = {name for name in one if one[name] == other[name]}
    assert all(name.endswith("bias") and not any(one[name]) for name in same)


@pytest.mark.parametrize(
    "kind", [kind for kind in LEARNING if Method(kind=kind, module=None).decodes is not None]
)
@pytest.mark.parametrize(("encoder", "stack"), [("nature", 1), ("impala", 3)])
def test_reconstructions_are_by_way_of_the_representation(kind, encoder, stack):
    model, (frames, *_) = (
        build(kind, encoder=encoder, frame_stack=stack).eval(),
        batch(kind, 2, stack),
    )
    with torch.no_grad():
        found = model.reconstruct(frames[:, 0])
        z = model.encoder(frames[:, 0].float() / 255)
        expected = torch.sigmoid(model.decoder.layers(model.step(z) if kind == "pixel-pred" else z))
    assert found.dtype == torch.float32 and found.shape == (2, stack, 210, 160)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


# Draws


def members(episodes):
    return [
        range(first, first + length)
        for first, length in zip(episodes.first, episodes.lengths, strict=True)
    ]


def episode_of(episodes, position):
    (found,) = [number for number, each in enumerate(members(episodes)) if position in each]
    return found


LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=6)
SWITCHES = st.builds(
    MethodProtocol,
    wrap_pairs=st.booleans(),
    keep=st.just("last"),
    sampling=st.sampled_from(["replacement", "permutation"]),
)


@settings(max_examples=100, deadline=None)
@given(LENGTHS, SWITCHES, st.integers(0, 3), st.integers(0, 99))
def test_frames_are_those_of_the_episodes(lengths, switches, gap, seed):
    episodes = index(*lengths, start=5, gap=gap)
    found = draw_frames(episodes, switches, np.random.default_rng(seed))
    assert found.shape == (sum(lengths), 1) and found.dtype == np.int64
    everything = list(itertools.chain(*members(episodes)))
    assert set(found.ravel()) <= set(everything)
    if switches.sampling == "permutation":
        assert sorted(found.ravel()) == everything


def test_frames_are_in_random_order():
    orders = {
        tuple(draw_frames(index(2, 1, gap=4), CORRECTED, np.random.default_rng(seed)).ravel())
        for seed in range(50)
    }
    assert orders == set(itertools.permutations([0, 1, 6]))


def test_frames_with_replacement_are_of_episodes_alike():
    episodes, rng = index(2, 300, 7, gap=3), np.random.default_rng(0)
    found = np.concatenate([draw_frames(episodes, PAPER, rng) for _ in range(130)]).ravel()
    for each in members(episodes):
        counts = np.array([np.count_nonzero(found == position) for position in each])
        assert abs(counts.sum() - len(found) / 3) <= 5 * math.sqrt(len(found) / 3)
        assert (abs(counts - counts.mean()) < 6 * math.sqrt(counts.mean())).all()


@pytest.mark.parametrize("kind", ["vae", "dim", "supervised", "supervised-shared", "place-codes"])
@pytest.mark.parametrize("switches", [PAPER, CORRECTED], ids=["paper", "corrected"])
def test_who_learns_of_single_frames(kind, switches):
    episodes, model = index(5, 9, 1, gap=2), build(kind)
    found = model.draw(episodes, switches, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    if kind == "vae":
        rng.integers(2**63)  # the noise's seed
    assert np.array_equal(found, draw_frames(episodes, switches, rng))


@pytest.mark.parametrize(
    "kind", ["st-dim", "global-t-dim", "global-local-t-dim", "st-dim-vicreg", "dim-ua"]
)
@pytest.mark.parametrize("switches", [PAPER, CORRECTED], ids=["paper", "corrected"])
def test_who_learns_of_pairs(kind, switches):
    episodes = index(5, 9, 1, gap=2)
    found, expected = (
        draw(episodes, switches, np.random.default_rng(0))
        for draw in (build(kind).draw, draw_pairs)
    )
    assert np.array_equal(found, expected)


NEW = {kind: build(kind) for kind in ("pixel-pred", "jsd-st-dim", "cpc")}


@settings(max_examples=100, deadline=None)
@given(LENGTHS, SWITCHES, st.integers(0, 3), st.integers(0, 99))
def test_pixel_pred_never_wraps(lengths, switches, gap, seed):
    episodes = index(*lengths, 2, start=5, gap=gap)
    found = NEW["pixel-pred"].draw(episodes, switches, np.random.default_rng(seed))
    assert len(found) == sum(lengths) + 2 - len(lengths) - 1
    assert all(episode_of(episodes, t) == episode_of(episodes, following) for t, following in found)
    assert (found[:, 1] - found[:, 0] == 1).all()
    if switches.sampling == "permutation":
        assert len(set(found[:, 0])) == len(found)


@settings(max_examples=100, deadline=None)
@given(LENGTHS, SWITCHES, st.integers(0, 3), st.integers(0, 99))
def test_jsd_s_other_frame_is_of_the_same_episode(lengths, switches, gap, seed):
    episodes = index(*lengths, 2, start=5, gap=gap)
    found = NEW["jsd-st-dim"].draw(episodes, switches, np.random.default_rng(seed))
    assert found.dtype == np.int64
    assert np.array_equal(found[:, :2], draw_pairs(episodes, switches, np.random.default_rng(seed)))
    assert all(episode_of(episodes, t) == episode_of(episodes, t_hat) for _, t, t_hat in found)


@pytest.mark.parametrize("switches", [PAPER, CORRECTED], ids=["paper", "corrected"])
def test_jsd_s_other_frame_is_any_of_the_episode(switches):
    episodes, rng = index(3, 1, 5, start=2, gap=2), np.random.default_rng(0)
    found = np.concatenate([NEW["jsd-st-dim"].draw(episodes, switches, rng) for _ in range(2000)])
    for number, each in enumerate(members(episodes)):
        if len(each) == 1 and not switches.wrap_pairs:
            assert not np.isin(found, each).any()
            continue
        for t in each[0 if switches.wrap_pairs else 1 :]:
            others = found[found[:, 1] == t, 2]
            counts = np.array([np.count_nonzero(others == position) for position in each])
            assert counts.sum() == len(others) > 0, number
            assert (
                abs(counts - len(others) / len(each)) < 6 * math.sqrt(len(others) / len(each))
            ).all()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=6),
    SWITCHES,
    st.integers(0, 3),
    st.integers(0, 99),
)
def test_cpc_s_sequences(lengths, switches, gap, seed):
    episodes = index(*lengths, 7, start=5, gap=gap)
    found = NEW["cpc"].draw(episodes, switches, np.random.default_rng(seed))
    long = [each for each in members(episodes) if len(each) >= 7]
    starts = set(itertools.chain(*(each[: len(each) - 6] for each in long)))
    assert found.dtype == np.int64 and found.shape[1] == 7
    assert (np.diff(found) == 1).all()
    assert set(found[:, 0]) <= starts
    if switches.sampling == "permutation":  # no place twice, so there may be fewer
        assert len(found) == min(7 * len(long), len(starts)) == len(set(found[:, 0]))
    else:
        assert len(found) == 7 * len(long)


@pytest.mark.parametrize("switches", [PAPER, CORRECTED], ids=["paper", "corrected"])
def test_where_cpc_s_sequences_begin(switches):
    """2019: episodes alike; as it should be: all places alike."""
    episodes, rng = index(8, 6, 27, start=3, gap=1), np.random.default_rng(0)
    found = np.concatenate([NEW["cpc"].draw(episodes, switches, rng) for _ in range(2000)])[:, 0]
    share = {2: 1 / 2, 21: 1 / 2} if switches is PAPER else {2: 2 / 23, 21: 21 / 23}
    for each, places in ((range(3, 5), 2), (range(19, 40), 21)):
        counts = np.array([np.count_nonzero(found == position) for position in each])
        expected = len(found) * share[places] / places
        assert (abs(counts - expected) < 6 * math.sqrt(expected)).all()
    assert len(found) == 2000 * 14


@pytest.mark.parametrize("switches", [PAPER, CORRECTED], ids=["paper", "corrected"])
def test_episodes_too_short_for_cpc_are_refused(switches):
    text = (
        "^cpc: no episode has 7 frames, the longest 6: collect more frames or lower "
        r"options\.sequence_length$"
    )
    with pytest.raises(UserError, match=text):
        NEW["cpc"].draw(index(6, 3, 6), switches, np.random.default_rng(0))


def test_cpc_needs_something_to_predict():
    row = Method(kind="cpc", options={"sequence_length": 1})
    with pytest.raises(
        UserError,
        match=r"^cpc: options\.sequence_length is 1, and there would be nothing to predict: set it",
    ):
        cpc.CPC(row, torch.Generator())


@pytest.mark.parametrize(
    ("length", "step", "horizons"), [(100, 4, [*range(1, 100, 4)]), (2, 4, [1]), (7, 2, [1, 3, 5])]
)
def test_cpc_s_horizons(length, step, horizons):
    row = Method(
        kind="cpc",
        feature_size=8,
        options={"sequence_length": length, "horizon_step": step, "gru_size": 6},
    )
    model = cpc.CPC(row, torch.Generator().manual_seed(0))
    assert model.horizons == tuple(horizons)
    assert model.predict.out_features == 8 * len(horizons) and model.gru.num_layers == 2


# In the one loop


TRAIN, VAL = index(30, 30), index(12, 12, start=60)
SETTINGS = defaults(
    {"training": {"epochs": 2, "batch_size": 8, "lr": 1e-3, "precision": "float32", "threads": 1}}
).training


@pytest.fixture(scope="module")
def square():
    """A bright square that moves on a dark background, and where it is: what there is to learn."""
    frames, labels = (
        torch.full((84, 210, 160), 20, dtype=torch.uint8),
        torch.zeros(84, len(VARIABLES), dtype=torch.int64),
    )
    for position in range(84):
        x, y = (5 * position) % 130, 10 + (7 * position) % 170
        frames[position, y : y + 24, x : x + 24] = 230
        labels[position] = torch.tensor([x // 26, y // 40, position // 60])
    assert labels.max() < CLASSES
    return frames, labels


def fit(model, frames, labels, switches=CORRECTED, stack=1, drawn=0, **more):
    if labels is None:
        labels = model.prepare(frames, TRAIN)
    about = {"name": "it", "progress": False, "labels": labels, "stack": stack}
    settings = SETTINGS.model_copy(
        update={key: more.pop(key) for key in list(more) if key in Training.model_fields}
    )
    return loop.fit(
        model,
        frames,
        TRAIN,
        VAL,
        settings,
        switches,
        lambda *names: seeds.generator(drawn, *names),
        **about,
        **more,
    )


def contents(model):
    return {
        name: tensor.contiguous().numpy().tobytes() for name, tensor in model.state_dict().items()
    }


@pytest.mark.parametrize("kind", LEARNING)
def test_every_kind_learns_and_goes_on_where_it_was_interrupted(kind, square, tmp_path):
    frames, labels = square
    labels = labels if kind.startswith("supervised") else None
    made = {"feature_size": 16, "frame_stack": 2 if kind == "pixel-pred" else 1}
    longer = {"epochs": 6, "lr": 3e-3} if kind == "cpc" else {}  # one batch an epoch
    switches, stack = PAPER if kind == "jsd-st-dim" else CORRECTED, made["frame_stack"]
    model = build(kind, **made)
    rows = fit(model, frames, labels, switches, stack, **longer)
    assert [row["epoch"] for row in rows] == list(range(1 + longer.get("epochs", 2)))
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]

    path, first, second = tmp_path / "state", build(kind, **made), build(kind, seed=5, **made)
    draws, draw = itertools.count(), first.draw

    def stops(*given):
        if next(draws) == 4:  # after train and val of two epochs
            raise KeyboardInterrupt
        return draw(*given)

    first.draw = stops
    with pytest.raises(KeyboardInterrupt):
        fit(first, frames, labels, switches, stack, checkpoint=path, checkpoint_seconds=0, **longer)
    again = fit(
        second, frames, labels, switches, stack, checkpoint=path, checkpoint_seconds=0, **longer
    )
    assert next(draws) == 5 and again == rows
    assert contents(second) == contents(model)


@pytest.mark.parametrize("kind", LEARNING)
def test_steps_of_every_kind_can_be_recorded(kind, square, recordings):
    frames, labels = square
    labels = labels if kind.startswith("supervised") else None
    plain, recorded = (build(kind, feature_size=16) for _ in range(2))
    few = {"batch_size": 4, "epochs": 2}
    expected = fit(plain, frames, labels, cuda_graphs=False, **few)
    assert fit(recorded, frames, labels, cuda_graphs=True, **few) == expected
    assert contents(recorded) == contents(plain) and sum(recordings.replayed) > 0
    drawn_from = [generator for of_one in recordings.generators for generator in of_one]
    assert all(isinstance(generator, torch.Generator) for generator in drawn_from)
    # A VAE's noise while it learns, masks also in validation.
    assert len(drawn_from) == {"vae": 1, "mst-dim": 2}.get(kind, 0)


@pytest.mark.parametrize("kind", ["vae", "st-dim"])
def test_other_draws_other_weights(kind, square):
    made = {}
    for name, drawn in (("one", 0), ("again", 0), ("other", 1)):
        model = build(kind, feature_size=16)
        fit(model, square[0], None, PAPER, drawn=drawn, epochs=1)
        made[name] = contents(model)
    assert made["one"] == made["again"] and made["one"] != made["other"]


class Recorder(Objective):
    """Notes what it is given; draws all frames in order, in twos."""

    def __init__(self):
        nn.Module.__init__(self)
        self.encoder, self.seen = nn.Linear(1, 1), []

    def draw(self, episodes, switches, rng):
        return np.concatenate(
            [np.arange(each.start, each.stop) for each in members(episodes)]
        ).reshape(-1, 2)

    def forward(self, frames, labels=None):
        self.seen.append((frames.clone(), labels))
        return {"term": self.encoder.weight.sum() ** 2}


@pytest.mark.parametrize("stack", [1, 3, 5])
@pytest.mark.parametrize("given", [True, False])
def test_an_example_is_its_own_frames_and_those_before(stack, given):
    frames = torch.arange(84, dtype=torch.uint8)[:, None, None].expand(84, 2, 3).clone()
    labels = torch.stack([torch.arange(84), 1000 + torch.arange(84)], dim=1)
    model = Recorder()
    fit(model, frames, labels if given else None, stack=stack, epochs=1, batch_size=6)
    assert len(model.seen) == 2 * (5 + 2)
    for frames, _ in model.seen:
        assert frames.shape == (6, 2, stack, 2, 3) and frames.dtype == torch.uint8
    for epoch in range(2):
        seen = model.seen[7 * epoch : 7 * epoch + 7]
        found = torch.cat([frames for frames, _ in seen])[..., 0, 0].flatten(0, 1).tolist()
        expected = []
        for part in (TRAIN, VAL):
            for each in members(part):
                expected += [
                    [max(each.start, t - back) for back in range(stack - 1, -1, -1)] for t in each
                ]
        assert found == expected
        if given:
            assert torch.cat([labels for _, labels in seen]).flatten(0, 1).tolist() == [
                [t, 1000 + t] for *_, t in expected
            ]
        else:
            assert all(labels is None for _, labels in seen)
