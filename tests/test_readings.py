"""What probes read in a test episode: the file, and the animation."""

import numpy as np
import pytest
from PIL import Image

from workflow_src import artifacts, layout
from workflow_src.config.run import defaults
from workflow_src.episodes import predictions
from workflow_src.episodes.collect import collect
from workflow_src.episodes.dataset import Part
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError
from workflow_src.report.figures.readings import INKS, MOST, choose, shots, write_readings

FRAMES = 600


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    out = tmp_path_factory.mktemp("played") / "pong.b2nd"
    config = defaults({"episodes": {"frames": {"probe": FRAMES}, "num_envs": 1}})
    collect(
        game="pong",
        policy="random_agent",
        policy_settings=config.policies["random_agent"],
        settings=config.episodes,
        purpose="probe",
        seed=0,
        out=out,
        workers=1,
        progress=False,
    )
    return out


@pytest.mark.parametrize(
    ("lengths", "shown"),
    [
        ([40, 200, 500], (40, 160)),  # the first that is long enough, and as much as is shown
        ([40, 80, 60], (40, 120)),  # else the longest
        ([3], (0, 3)),
    ],
)
def test_an_episode_is_shown(lengths, shown):
    found = predictions.clip(np.array(lengths))
    assert (found.start, found.stop) == shown


def made(folder, played, method: str, wrong: int, variables: int = 3, sha: str | None = None):
    """A file of predictions with so many wrong values in each variable."""
    rng = np.random.default_rng(variables)
    labels = rng.integers(0, 200, (FRAMES, variables))
    predicted = labels.copy()
    predicted[:wrong] += 1
    test = Part(np.arange(FRAMES), np.arange(FRAMES), np.array([FRAMES]))
    header = {"method": method, "frames_sha256": sha or FrameStore.open(played).sha256}
    names = [f"v{number}" for number in range(variables)]
    path = folder / f"{method}.safetensors"
    predictions.write(path, test, names, labels, predicted, header)
    return path


def test_the_file_has_rows_labels_and_what_was_read(tmp_path, played):
    arrays, header = artifacts.read_arrays(made(tmp_path, played, "st-dim", 7), predictions.KIND)
    assert header["variables"] == ["v0", "v1", "v2"]
    assert arrays["rows"].tolist() == list(range(predictions.FRAMES))
    assert arrays["labels"].shape == (3, predictions.FRAMES)
    assert (arrays["labels"] != arrays["predicted"]).sum(1).tolist() == [7] * 3


def test_the_best_is_shown_beside_the_untrained_or_the_worst(tmp_path, played):
    def chosen(**wrong: int) -> list[str]:
        files = [made(tmp_path, played, name.replace("_", "-"), n) for name, n in wrong.items()]
        found = [artifacts.read_arrays(file, predictions.KIND) for file in files]
        return [header["method"] for _, header in choose(found)]

    assert chosen(maj_clf=90, random_cnn=50, st_dim=10) == ["st-dim", "random-cnn"]
    assert chosen(maj_clf=90, vae=50, st_dim=10) == ["st-dim", "maj-clf"]
    assert chosen(maj_clf=90, random_cnn=5) == ["random-cnn", "maj-clf"]
    assert chosen(st_dim=5) == ["st-dim"]


def test_the_animation_has_a_picture_for_each_frame(tmp_path, played):
    files = [made(tmp_path, played, name, n, MOST + 3) for name, n in (("a", 0), ("b", 40))]
    write_readings(files, played, tmp_path / "one")
    write_readings(files, played, tmp_path / "two")
    assert (tmp_path / "one.gif").read_bytes() == (tmp_path / "two.gif").read_bytes()
    with Image.open(tmp_path / "one.gif") as image:
        assert image.n_frames == predictions.FRAMES and image.height == 420
    chosen = choose([artifacts.read_arrays(file, predictions.KIND) for file in files])
    frames = FrameStore.open(played).read(chosen[0][0]["rows"])
    pictures = shots(frames, chosen)
    assert np.abs(pictures[9, ::2, :320:2, 0].astype(int) - frames[9]).max() < 4
    for ink in INKS:
        drawn = (pictures == np.array(ink)).all(-1).sum((1, 2))
        assert (drawn > 0).all() and drawn[-1] > drawn[0]  # the lines grow


def test_other_frames_are_refused(tmp_path, played):
    wrong = made(tmp_path, played, "a", 1, sha="0" * 64)
    with pytest.raises(UserError, match="was made from other frames"):
        write_readings([wrong], played, tmp_path / "one")
    with pytest.raises(UserError, match="name the predictions of at least one method"):
        write_readings([], played, tmp_path / "one")
    assert not (tmp_path / "one.gif").exists()


def test_a_games_animation_is_of_files_that_the_run_makes():
    config = defaults({})
    files = layout.readings(config, "pong")
    everything = set(layout.everything(config))
    assert set(files["predictions"]) <= everything and set(files["frames"]) <= everything
    assert len(files["predictions"]) == len(config.methods)
    assert "results/figures/readings/pong.gif" in everything
