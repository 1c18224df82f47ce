"""Features on another scale: what the maps do to features, and the method that has them."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from steps import probe, train
from torch import nn

from workflow_src import encoders
from workflow_src.config.run import defaults
from workflow_src.encoders.conditioning import Conditioned, Moments, describe
from workflow_src.episodes.dataset import load_frames, read_split
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS = ["standardised", "whitened"]
NAMES = {"game": "breakout", "policy": "random_agent", "protocol": "paper", "seed": 0}


def features(n=3000, d=5, seed=0):
    """Correlated, small, far from zero."""
    rng = np.random.default_rng(seed)
    return (40 + 0.01 * rng.normal(size=(n, d)) @ rng.normal(size=(d, d))).astype(np.float32)


def test_moments_in_pieces_are_those_of_the_whole():
    values = features()
    for size in (3000, 1000, 7):
        pieces = np.split(values, range(size, len(values), size))
        both = Moments.of(pieces, joint=True)
        assert both.mean == pytest.approx(values.astype(float).mean(0), abs=1e-9)
        assert both.covariance == pytest.approx(np.cov(values.T.astype(float), bias=True), abs=1e-9)
        alone = Moments.of(pieces, joint=False)
        assert alone.covariance == pytest.approx(np.diag(both.covariance), abs=1e-12)
        assert alone.deviation == pytest.approx(both.deviation, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_give_unit_deviations(kind):
    values = features()
    moments = Moments.of([values], joint=kind == "whitened")
    mean, scale = (torch.from_numpy(one) for one in (moments.mean, moments.map(kind)))
    found = Conditioned(nn.Identity(), mean, scale)(torch.from_numpy(values).double())
    covariance = np.cov(found.numpy().T, bias=True)
    assert np.diag(covariance) == pytest.approx(1, abs=1e-3)
    off = np.abs(covariance - np.diag(np.diag(covariance))).max()
    assert off < 1e-3 if kind == "whitened" else off > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_what_hardly_varies_is_not_blown_up(kind):
    """A dead feature has rounding errors and nothing else."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 3)) * [1, 1e-6, 0]
    moments = Moments.of([values], joint=True)
    found = (values - moments.mean) @ np.atleast_2d(
        moments.map(kind) if kind == "whitened" else np.diag(moments.map(kind))
    )
    deviations = np.sort(found.std(0))
    assert deviations == pytest.approx([0, 1e-3, 1], rel=0.1, abs=1e-9)
    assert np.isfinite(Moments.of([np.ones((9, 2))], joint=True).map(kind)).all()


def test_the_effective_rank_counts_directions():
    rng = np.random.default_rng(0)
    few = rng.normal(size=(20_000, 3)) @ np.linalg.qr(rng.normal(size=(8, 3)))[0].T
    found = describe((2 + few).astype(np.float32))
    assert found["size"] == 8 and found["effective_rank"] == pytest.approx(3, abs=0.01)
    assert found["mean"] == pytest.approx(2, abs=0.02)
    assert found["deviation"] == pytest.approx(np.sqrt(3 / 8), abs=0.01)
    assert describe(np.zeros((4, 5000), np.float32))["effective_rank"] is None


def config_of(collected, **methods):
    rows = collected.config.model_dump(exclude_none=True, exclude={"methods"})
    return defaults(rows | {"methods": methods})


def make(config, collected, directory, method, **files):
    purpose = config.method(method).reads
    data = {"frames": None, "split": None}
    if purpose is not None:
        data = {"frames": collected.frames(purpose), "split": collected.split(purpose)}
    out = directory / f"{method}.safetensors"
    train(config, method=method, out=out, history=out.with_suffix(".csv"), **NAMES, **data, **files)
    return out


@pytest.fixture(scope="module")
def encoded(collected):
    """The frames of the encoder's train part."""
    store, shared = (
        FrameStore.open(collected.frames("pretrain")),
        read_split(collected.split("pretrain")),
    )
    return load_frames(store, shared.parts["train"].rows)


OWN = """
import torch
class Small(torch.nn.Module):
    def __init__(self, d=3):
        super().__init__()
        self.linear = torch.nn.Linear(210 * 160, d)
    def forward(self, frames):
        return self.linear(frames.flatten(1))
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("base", ["random-cnn", "supervised-shared", "custom"])
def test_the_encoder_gives_the_features_of_its_base_on_another_scale(
    collected, tmp_path, encoded, kind, base, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    rows = {
        "random-cnn": {"kind": "random-cnn", "feature_size": 12},
        "supervised-shared": {"kind": "supervised-shared", "feature_size": 12},
        "custom": {"kind": "custom", "module": "own.py:Small", "kwargs": {"d": 4}},
    }
    (tmp_path / "own.py").write_text(OWN)
    row = {"kind": "conditioned", "of": "base", "features": kind}
    config = config_of(collected, base=rows[base], other=row)
    first = make(config, collected, tmp_path, "base")
    found = make(config, collected, tmp_path, "other", base=first, base_row=config.method("base"))
    assert len((tmp_path / "other.csv").read_text().splitlines()) == 1  # nothing was learned
    device = torch.device("cpu")
    plain, _ = encoders.load_one(first, config.method("base"))
    other, header = encoders.load(found, config.method("other"))
    assert (header["of"], header["features"]) == ("base", kind)
    before = encoders.encode(plain, encoded, device).astype(float)
    after = encoders.encode(other, encoded, device).astype(float)
    moments = Moments.of([before], joint=kind == "whitened")
    scale = moments.map(kind)
    centred = before - moments.mean
    expected = centred * scale if scale.ndim == 1 else centred @ scale
    # Features of float32, and the map blows their rounding errors up.
    assert np.abs(after - expected).max() < 0.02
    assert after.std(0).max() == pytest.approx(1, abs=0.01)
    same = make(config, collected, tmp_path, "other", base=first, base_row=config.method("base"))
    assert same.read_bytes() == found.read_bytes()


def test_a_probe_reads_it_and_says_how_it_is_conditioned(collected, tmp_path):
    row = {"kind": "conditioned", "of": "random-cnn", "features": "standardised"}
    config = config_of(collected, **{"random-cnn": {"kind": "random-cnn"}, "other": row})
    first = make(config, collected, tmp_path, "random-cnn")
    base = {"base": first, "base_row": config.method("random-cnn")}
    files = {"random-cnn": first, "other": make(config, collected, tmp_path, "other", **base)}
    found = {}
    for method, file in files.items():
        out = tmp_path / f"{method}.json"
        data = {"frames": collected.frames("probe"), "split": collected.split("probe")}
        probe(config, method=method, kind="linear", weights=file, out=out, **NAMES, **data)
        found[method] = json.loads(out.read_text())["features"]
    assert found["random-cnn"]["deviation"] < 0.1 < 0.5 < found["other"]["deviation"] < 2
    assert found["random-cnn"]["size"] == found["other"]["size"] == 256


def test_weights_of_another_method_are_refused(collected, tmp_path):
    row = {"kind": "conditioned", "of": "a", "features": "whitened"}
    config = config_of(collected, a={"kind": "random-cnn"}, b={"kind": "random-cnn"}, other=row)
    wrong = make(config, collected, tmp_path, "b")
    with pytest.raises(UserError, match="holds b, not a: name the right file"):
        make(config, collected, tmp_path, "other", base=wrong, base_row=config.method("a"))
    with pytest.raises(UserError, match="other needs the weights of a: see --base-weights"):
        make(config, collected, tmp_path, "other")
    base = {"base": wrong, "base_row": config.method("b")}
    with pytest.raises(UserError, match="b needs no other method's weights"):
        make(config, collected, tmp_path, "b", **base)
    with pytest.raises(UserError, match=r"was made from probe frames; conditioned needs pretrain"):
        train(
            config,
            method="other",
            frames=collected.frames("probe"),
            split=collected.split("probe"),
            out=tmp_path / "x",
            history=tmp_path / "x.csv",
            base=make(config, collected, tmp_path, "a"),
            base_row=config.method("a"),
            **NAMES,
        )


def test_the_row_has_what_describes_the_encoder():
    rows = {"a": {"kind": "random-cnn", "encoder": "impala", "feature_size": 32, "frame_stack": 2}}
    other = {"kind": "conditioned", "of": "a", "features": "whitened"}
    config = defaults({"methods": rows | {"b": other}})
    row = config.method("b")
    assert (row.encoder, row.feature_size, row.frame_stack) == ("impala", 32, 2)
    assert (row.learns_from, row.reads) == (None, "pretrain")
    again = type(config).model_validate(config.model_dump())
    assert again.method("b") == row


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"of": "random-cnn"}, "methods.x: kind conditioned needs of: .* and features"),
        ({"features": "whitened"}, "methods.x: kind conditioned needs of: "),
        ({"of": "rando-cnn", "features": "whitened"}, "x.of: .*did you mean random-cnn"),
        ({"of": "maj-clf", "features": "whitened"}, "x.of: maj-clf is of kind majority, which has"),
        ({"of": "supervised", "features": "whitened"}, "x.of: supervised is of kind supervised"),
        ({"of": "random-cnn-whitened", "features": "whitened"}, "is of kind conditioned, which"),
        ({"of": "random-cnn", "features": "white"}, "methods.x.features: "),
        (
            {"of": "random-cnn", "features": "whitened", "encoder": "impala"},
            "methods.x.encoder: it is that of random-cnn; remove encoder",
        ),
        (
            {"of": "st-dim", "features": "whitened", "epochs": 3},
            "epochs has no effect on kind conditioned; remove it",
        ),
    ],
)
def test_rows_that_cannot_be(row, message):
    with pytest.raises(UserError, match=message):
        defaults({"methods": {"x": {"kind": "conditioned"} | row}})
    with pytest.raises(UserError, match="of and features belong to kind conditioned"):
        defaults({"methods": {"x": {"kind": "random-cnn", "of": "st-dim"}}})


def test_a_study_has_the_base_too():
    rows = {"ledger": {"methods": ["random-cnn-whitened", "st-dim"]}}
    with pytest.raises(UserError, match="takes the encoder of random-cnn; add random-cnn"):
        defaults(rows)


def test_the_file_is_of_tensors_alone(collected, tmp_path):
    row = {"kind": "conditioned", "of": "a", "features": "whitened"}
    config = config_of(collected, a={"kind": "random-cnn", "feature_size": 8}, other=row)
    first = make(config, collected, tmp_path, "a")
    file = make(config, collected, tmp_path, "other", base=first, base_row=config.method("a"))
    with safe_open(file, "pt") as content:
        assert content.get_tensor("mean").shape == (8,)
        assert content.get_tensor("scale").shape == (8, 8)
