"""The documented example of a frozen vision transformer as an encoder of one's own."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from steps import probe, train
from torch import nn

from workflow_src.config.run import defaults

FILE = Path(__file__).parents[1] / "docs" / "examples" / "dino_patches.py"
SMALL = {"grids": [1, 2], "size": 24, "depth": 2, "heads": 3, "patch": 56}

pytestmark = pytest.mark.usefixtures("one_thread")


def module():
    spec = importlib.util.spec_from_file_location("dino_patches", FILE)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return module().DINOPatches(**SMALL).eval()


def test_a_block_is_torch_s_own_encoder_layer():
    torch.manual_seed(0)
    block = module().Block(24, 3)
    layer = nn.TransformerEncoderLayer(
        24, 3, 96, 0.0, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    )
    names = {
        "self_attn.in_proj_": "attn.qkv.",
        "self_attn.out_proj.": "attn.proj.",
        "linear1.": "mlp.fc1.",
        "linear2.": "mlp.fc2.",
    }
    state = block.state_dict()
    renamed = {}
    for theirs in layer.state_dict():
        ours = theirs
        for one, other in names.items():
            ours = ours.replace(one, other)
        renamed[theirs] = state[ours]
    layer.load_state_dict(renamed)
    tokens = torch.randn(4, 7, 24)
    torch.testing.assert_close(block(tokens), layer(tokens), rtol=1e-4, atol=1e-5)


def test_the_names_and_shapes_are_those_of_dino_s_vit_s():
    """A vision transformer of 12 blocks of 384 without its head: 21,665,664 values."""
    with torch.device("meta"):
        state = module().DINOPatches().state_dict()
    assert len(state) == 150 and sum(one.numel() for one in state.values()) == 21_665_664
    shapes = {
        "cls_token": (1, 1, 384),
        "pos_embed": (1, 197, 384),
        "patch_embed.proj.weight": (384, 3, 16, 16),
        "blocks.11.attn.qkv.weight": (1152, 384),
        "blocks.0.mlp.fc1.weight": (1536, 384),
        "norm.bias": (384,),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


@torch.no_grad()
def test_features_are_the_patches_one_after_the_other(encoder):
    frames = torch.rand(3, 3, 210, 160)
    found = encoder(frames)
    assert found.shape == (3, 5 * 24)
    lower_left = frames[:, :, 105:, :80]
    alone = module().DINOPatches(**SMALL | {"grids": [1]}).eval()
    alone.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(found[:, 3 * 24 : 4 * 24], alone(lower_left), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[:, :24], alone(frames), rtol=1e-4, atol=1e-5)


def test_it_is_probed_in_colour_with_weights_by_path(collected, tmp_path, encoder):
    torch.save(encoder.state_dict(), tmp_path / "dino.pt")
    row = {
        "kind": "custom",
        "module": f"{FILE}:DINOPatches",
        "kwargs": SMALL,
        "weights": str(tmp_path / "dino.pt"),
        "input": {"color": "rgb"},
    }
    config = defaults({"methods": {"dino": row}, "probe": {"epochs": 2, "batch_size": 16}})
    names = {"game": "breakout", "policy": "random_agent", "protocol": "paper", "seed": 0}
    out = tmp_path / "dino.safetensors"
    given = {"frames": None, "split": None, "history": tmp_path / "dino.csv", "out": out}
    train(config, method="dino", **names, **given)
    data = {"frames": collected.frames("probe"), "split": collected.split("probe")}
    probe(
        config, method="dino", kind="linear", weights=out, out=tmp_path / "x.json", **names, **data
    )
    content = json.loads((tmp_path / "x.json").read_text())
    assert content["features"]["size"] == 5 * 24
