"""Where encoders read variables: saliency by way of the probes, and its sheet."""

import numpy as np
import pytest
from steps import probe, train

from workflow_src import artifacts
from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.probes.attribution import KIND, NUMBER, attribute
from workflow_src.report.figures.attributions import colored, figure, write_attributions

pytestmark = pytest.mark.usefixtures("one_thread")

MODULE = """
from torch import nn


class Patch(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(400, 16), nn.ReLU(inplace=True))

    def forward(self, frames):
        return self.layers(frames[:, -1, 100:120, 40:60])


class Blind(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 4)

    def forward(self, frames):
        return self.linear(frames.detach().mean((1, 2, 3))[:, None])
"""
WHICH = {"game": "breakout", "policy": "random_agent", "protocol": "paper", "seed": 0}


@pytest.fixture(scope="module")
def attributed(tmp_path_factory, collected):
    """A function that encodes by a class of the module, and asks where it reads."""
    directory = tmp_path_factory.mktemp("attributed")
    (directory / "mine.py").write_text(MODULE)

    def made(name, mode="normal"):
        method = {"kind": "custom", "module": f"{directory / 'mine.py'}:{name}"}
        content = collected.config.model_dump() | {"methods": {"mine": method}}
        config = Config.check(content | {"ledger": None, "scaling": None}, "test")
        weights, out = directory / f"{name}.safetensors", directory / f"{name}-{mode}.safetensors"
        which = WHICH | {"method": "mine"}
        history = directory / "history.csv"
        train(config, **which, frames=None, split=None, out=weights, history=history)
        read = {"frames": collected.frames("probe"), "split": collected.split("probe")}
        attribute(
            **which,
            **read,
            row=config.method("mine"),
            settings=config.probe,
            switches=config.protocol("paper").probes,
            label_set=config.label_set,
            weights=weights,
            mode=mode,
            out=out,
        )
        found = directory / "probe.json"
        probe(config, **which, **read, kind="linear", weights=weights, out=found)
        return artifacts.read_arrays(out, KIND), artifacts.read_json(found), out

    return made


@pytest.mark.parametrize("mode", ["normal", "guided"])
def test_saliency_is_where_the_encoder_looks(attributed, mode):
    (arrays, header), scores, _ = attributed("Patch", mode)
    count = len(header["variables"])
    assert header["variables"] == sorted(scores["variables"], key=header["variables"].index)
    assert arrays["saliency"].shape == (count, NUMBER, 210, 160)
    assert arrays["labels"].shape == arrays["predicted"].shape == (count, NUMBER)
    seen = arrays["saliency"].astype(int)
    inside = seen[:, :, 100:120, 40:60].sum((1, 2, 3))
    assert (inside == seen.sum((1, 2, 3))).all() and inside.any()
    if mode == "normal":
        assert (arrays["saliency"].max((1, 2, 3)) == 255).all()


def test_an_encoder_without_gradients_is_refused(attributed):
    with pytest.raises(UserError, match="mine passes no gradient to its frames: its saliency"):
        attributed("Blind")


def test_the_sheet_has_a_row_for_each_variable(attributed, tmp_path):
    (arrays, header), _, out = attributed("Patch")
    drawn = figure(arrays, header)
    names = [text.get_text() for axes in drawn.axes for text in axes.texts]
    assert names == header["variables"]
    titles = [axes.get_title() for axes in drawn.axes if axes.get_title()]
    assert len(titles) == len(names) * NUMBER
    wrong = (arrays["labels"] != arrays["predicted"]).sum()
    assert sum("read as" in title for title in titles) == wrong
    write_attributions(out, tmp_path / "sheet")
    assert (tmp_path / "sheet.png").stat().st_size > 5000
    assert (tmp_path / "sheet.pdf").exists()
    red = colored(np.zeros((2, 2)), np.array([[255, 0], [0, 0]]))
    assert red[0, 0].tolist() == [1, 0, 0] and not red[1].any()
