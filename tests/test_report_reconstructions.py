"""The figure of reconstructions: targets above outputs, and what is refused."""

import numpy as np
import pytest
from scored import check_figures

from workflow_src import artifacts
from workflow_src.errors import UserError
from workflow_src.report.figures import reconstructions


def examples(folder, method, protocol="paper", game="pong"):
    """Write one method's examples: targets of one grey each, outputs a little brighter."""
    target = np.broadcast_to(np.arange(0, 180, 30, dtype=np.uint8)[:, None, None], (6, 210, 160))
    header = {"game": game, "method": method, "protocol": protocol}
    path = folder / f"{method}-{protocol}-{game}.safetensors"
    artifacts.write_arrays(
        path,
        "examples",
        {"input": target, "target": target, "output": target + np.uint8(5)},
        header,
    )
    return path


def test_reconstructions_are_targets_above_outputs(tmp_path):
    paths = [examples(tmp_path, "vae"), examples(tmp_path, "pixel-pred")]
    for folder in ("one", "two"):
        reconstructions.write_reconstructions(paths, tmp_path / folder / "reconstructions_pong")
    check_figures(tmp_path / "one", tmp_path / "two", ["reconstructions_pong"])
    figure = reconstructions.reconstructions(
        [artifacts.read_arrays(path, "examples") for path in paths]
    )
    assert [part.get_suptitle() for part in figure.subfigs] == ["VAE", "PIXEL-PRED"]
    shown = [int(axes.images[0].get_array()[0, 0]) for axes in figure.subfigs[0].axes]
    assert shown == [0, 30, 60, 90, 120, 150, 5, 35, 65, 95, 125, 155]
    assert [axes.get_ylabel() for axes in figure.subfigs[0].axes[::6]] == ["target", "output"]


def test_reconstructions_of_several_games_or_of_none_are_refused(tmp_path):
    with pytest.raises(UserError, match="several games"):
        reconstructions.write_reconstructions(
            [examples(tmp_path, "vae"), examples(tmp_path, "vae", game="boxing")], tmp_path / "f"
        )
    with pytest.raises(UserError, match="no examples were named"):
        reconstructions.write_reconstructions([], tmp_path / "f")
