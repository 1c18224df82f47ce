"""Recordings and films of agents, and the saliency in them."""

import contextlib
import os
import select
import sys
import termios
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from test_agents_collecting import saved
from torch import nn

from workflow_src import artifacts, layout
from workflow_src.agents import environment
from workflow_src.agents import watch as watching
from workflow_src.agents.recording import KIND, SAMPLES, Heard, record
from workflow_src.ari.labels import labels, variables
from workflow_src.config.agents import Agent
from workflow_src.config.run import defaults
from workflow_src.errors import UserError
from workflow_src.report.agents.film import overlay, write_film
from workflow_src.report.agents.movie import write_movie
from workflow_src.report.page.files import subject
from workflow_src.saliency import MODES, saliency

pytestmark = pytest.mark.usefixtures("one_thread")

AGENT = {"kind": "a3c", "body": "small", "hidden": 16, "num_envs": 4, "validate_every": 20}
DQN = {"hidden": 16, "num_envs": 4, "validate_every": 40, "steps": 40, "variants": ["bootstrapped"]}
CATCH = {"environment": {"kind": "catch"}, "body": "catch", "hidden": 16, "num_envs": 4}
KINDS = {
    "policy": (AGENT | {"steps": 40}, "breakout"),
    "values": (DQN, "breakout"),
    "frame": (AGENT | {"steps": 40, "environment": {"observation": "frame"}}, "pong"),
    "recurrent": (DQN | {"variants": ["recurrent"]}, "breakout"),
}


def recorded(directory, kind, steps=40, seed=0, mode="guided"):
    """A recording of an agent that has learned nothing."""
    change, game = KINDS[kind]
    row = Agent.model_validate(change)
    player = saved(directory / "last.safetensors", row, game=game)
    out = directory / f"{seed}.safetensors"
    record(
        game=game,
        agent="mine",
        seed=seed,
        row=row,
        switches=defaults({}).agent_protocols["modern"],
        weights_file=player.weights,
        steps=steps,
        mode=mode,
        out=out,
    )
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_has_what_is_seen_done_and_meant(tmp_path, kind):
    out = recorded(tmp_path, kind)
    arrays, header = artifacts.read_arrays(out, KIND)
    assert arrays["screen"].shape == (40, 210, 160) and arrays["palette"].shape[1] == 3
    assert arrays["values"].shape == (40, len(header["meanings"]))
    assert arrays["action"].max() < len(header["meanings"])
    size = (210, 160) if kind == "frame" else (84, 84)
    assert arrays["saliency"].shape == (40, *size) and arrays["saliency"].max() == 255
    assert header["weights"] == "last" and header["has_ram"]
    if kind == "values":  # the mean of all heads, of which one acts
        assert (arrays["values"].std(0) > 0).all()
    before = out.read_bytes()
    assert recorded(tmp_path, kind).read_bytes() == before
    if kind in ("policy", "frame"):  # that draw their actions
        other, _ = artifacts.read_arrays(recorded(tmp_path, kind, seed=1), KIND)
        assert (other["action"] != arrays["action"]).any()


def test_the_screen_and_the_labels_are_of_one_moment(tmp_path):
    """Pong's paddle stands where the label says: on the screen of the same step."""
    arrays, header = artifacts.read_arrays(recorded(tmp_path, "frame", steps=120), KIND)
    names = list(variables("paper-2019", "pong"))
    values = labels(arrays["ram"], "paper-2019", header["game"])[:, names.index("player_y")]
    screens = arrays["palette"][arrays["screen"]]
    green = (screens[:, 40:190, 140:144] == [92, 186, 92]).all(3).any(2)
    shown = green.any(1) & (values > 60) & (values < 180)
    tops = green[shown].argmax(1)
    assert shown.sum() > 50 and len(np.unique(tops)) > 5
    assert np.corrcoef(tops, values[shown].astype(float))[0, 1] > 0.99


def test_a_film_shows_it_step_by_step(tmp_path):
    out = recorded(tmp_path, "policy")
    write_film(out, "paper-2019", tmp_path / "film.gif")
    arrays, _ = artifacts.read_arrays(out, KIND)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 40  # the score and the values change, if nothing else does
        assert film.size[1] == 420 and film.size[0] > 640
        film.seek(20)
        shown = np.asarray(film.convert("RGB"))[:, :320]
    expected = arrays["palette"][arrays["screen"][20]].repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(shown, expected)


def test_a_movie_has_the_film_s_pictures_and_the_game_s_sound(tmp_path):
    out = recorded(tmp_path, "policy", steps=60)
    arrays, _ = artifacts.read_arrays(out, KIND)
    assert arrays["sound"].shape == (60, 4 * SAMPLES) and arrays["sound"].std() > 1
    for name in ("one.mp4", "two.mp4"):
        write_movie(out, "paper-2019", tmp_path / name)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    with av.open(tmp_path / "one.mp4") as movie:
        pictures = [frame.to_ndarray(format="rgb24") for frame in movie.decode(video=0)]
    with av.open(tmp_path / "one.mp4") as movie:
        assert float(movie.streams.video[0].average_rate) == 15
        heard = np.concatenate([frame.to_ndarray().ravel() for frame in movie.decode(audio=0)])
        rate = movie.streams.audio[0].rate
    assert len(pictures) == 60 and abs(len(heard) / rate - 4) < 0.1
    expected = arrays["palette"][arrays["screen"][30]].repeat(2, 0).repeat(2, 1).astype(int)
    assert np.abs(pictures[30][:, :320].astype(int) - expected).mean() < 8
    # As loud where the game is, but for what the codec takes away.
    loud = arrays["sound"].reshape(-1, SAMPLES).std(1) > 1
    assert 0 < loud.mean() < 1
    spans = [heard[int(i * rate / 60) : int((i + 1) * rate / 60)] for i in range(240)]
    assert np.mean([s.std() for s in np.array(spans, object)[loud]]) > 3 * np.mean(
        [s.std() for s in np.array(spans, object)[~loud]]
    )


def test_sound_changes_nothing_of_the_game():
    row = Agent.model_validate(AGENT | {"steps": 40})
    switches = defaults({}).agent_protocols["modern"]
    plain = environment.make(row.environment, switches, game="pong", training=False)
    loud = Heard(row.environment, switches, "pong")
    frames, ram = np.zeros((2, 84, 84), np.uint8), np.zeros((2, 128), np.uint8)
    for i, world in enumerate((plain, loud)):
        world.new_game(np.random.default_rng(3), frames[i])
    for action in np.random.default_rng(1).integers(plain.num_actions, size=200):
        one, two = (world.step(int(action), frames[i]) for i, world in enumerate((plain, loud)))
        plain.ram(ram[0])
        loud.ram(ram[1])
        assert one == two and np.array_equal(*frames) and np.array_equal(*ram)
        assert loud.ear.take(4).shape == (4 * SAMPLES,)


def test_a_movie_needs_pyav_and_sound(tmp_path, monkeypatch):
    out = tmp_path / "silent.safetensors"
    artifacts.write_arrays(out, KIND, {"action": np.zeros(1, np.uint8)}, {"game": "catch"})
    with pytest.raises(UserError, match="has no sound, since catch is no game of the emulator"):
        write_movie(out, "paper-2019", tmp_path / "x.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match="movies need PyAV, which is not installed: pip install av"):
        write_movie(out, "paper-2019", tmp_path / "x.mp4")


def test_an_overlay_is_gray_but_for_what_counts():
    screens = np.full((1, 210, 160, 3), 120, np.uint8)
    salient = np.zeros((1, 84, 84), np.uint8)
    salient[0, 40:44, 40:44] = 255
    (found,) = overlay(screens, salient)
    red = (found[..., 0] > found[..., 1] + 50) & (found[..., 1] == found[..., 2])
    rows, columns = np.nonzero(red)
    assert abs(rows.mean() - 42 * 210 / 84) < 2 and abs(columns.mean() - 42 * 160 / 84) < 2
    assert (found[0, 0] == found[0, 0, 0]).all() and len(
        np.unique(found.reshape(-1, 3), axis=0)
    ) < 8


def test_the_normal_mode_is_the_gradient():
    """Against central differences in double precision."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 1)).double()
    frames = torch.randint(0, 256, (5, 6), dtype=torch.uint8)

    def score(seen):
        return network(seen.double())[:, 0]

    found = saliency(score, frames, "normal")
    step = 1e-6
    with torch.no_grad():
        seen = frames.double() / 255
        for i in range(6):
            moved = torch.zeros(6, dtype=torch.float64)
            moved[i] = step
            slope = (network(seen + moved) - network(seen - moved))[:, 0] / (2 * step)
            np.testing.assert_allclose(found[:, i], slope.abs(), atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("functional", [False, True])
def test_each_mode_by_its_definition_on_two_layers(mode, functional):
    torch.manual_seed(1)
    first, second, last = torch.randn(7, 6), torch.randn(5, 7), torch.randn(5)
    relu = torch.relu if functional else nn.ReLU(inplace=True)
    frames = torch.randint(0, 256, (4, 6), dtype=torch.uint8)

    def score(seen):
        return relu(relu(seen @ first.T) @ second.T) @ last

    found = saliency(score, frames, mode)
    for frame, given in zip(frames.float() / 255, found, strict=True):
        x1 = first @ frame
        x2 = second @ x1.clamp(min=0)
        g = last
        for x, weight in ((x2, second), (x1, first)):
            keeps = {"normal": x > 0, "guided": (x > 0) & (g > 0), "deconvnet": g > 0}[mode]
            g = (g * keeps) @ weight
        np.testing.assert_allclose(given, g.abs(), rtol=1e-4, atol=1e-6)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="unknown mode 'guide'; known: normal, guided, deconvnet"):
        saliency(lambda seen: seen.sum(1), torch.zeros(1, 2, dtype=torch.uint8), "guide")
    with pytest.raises(UserError, match=r"recordings\.saliency.*'normal', 'guided' or 'deconvnet'"):
        defaults({"recordings": {"saliency": "guide"}})


def test_what_is_filmed():
    """Last and best of the first seed; nothing of an environment without a screen."""
    agents = {
        "a": AGENT | {"steps": 40},
        "catch": CATCH | {"validate_every": 250_000},
        "grid": {"environment": {"kind": "gridworld"}, "body": "mlp"},
    }
    config = defaults({"games": ["pong"], "seeds": [3, 4], "agents": agents})
    found = layout.FILMS.files(config)
    assert found == [
        f"results/films/{agent}/{game}-s3/{weights}.gif"
        for agent, game in (("a", "pong"), ("catch", "catch"))
        for weights in ("last", "best")
    ]
    about = subject(config, Path(found[0]))
    assert about.title == "a plays pong, last weights" and about.game == "pong"
    assert subject(config, Path(found[2])).game is None


def watched(directory, monkeypatch, keys="", steps=40, **change):
    """Watch an agent that has learned nothing, with some keys pressed, one a step."""
    row = Agent.model_validate(AGENT | {"steps": 40})
    player = saved(directory / "last.safetensors", row)
    said, pressed = [], iter(keys)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(watching, "_FRAMES_A_SECOND", 1e6)

    @contextlib.contextmanager
    def given():
        yield lambda: next(pressed, "")

    monkeypatch.setattr(watching, "_keys", given)
    scores = watching.watch(
        game="breakout",
        agent="mine",
        row=row,
        switches=defaults({}).agent_protocols["modern"],
        weights_file=player.weights,
        steps=steps,
        say=said.append,
        **change,
    )
    return said, scores


def test_an_agent_is_watched_with_keys(tmp_path, monkeypatch):
    """Paused, nothing is played but single steps; epsilon changes by a twentieth; q ends it."""
    said, _ = watched(tmp_path, monkeypatch, keys=["+", "+", "-", " ", "", "s", "s", "", "q"])
    assert [line.split(",")[0] for line in said] == [f"step {n}" for n in range(1, 6)]
    epsilons = [float(line.partition("epsilon ")[2].split()[0]) for line in said]
    assert epsilons == pytest.approx([0.051, 0.101, 0.051, 0.051, 0.051])
    assert all("q: quit" in line for line in said)


def test_a_watched_game_has_a_score_and_a_variant(tmp_path, monkeypatch):
    said, scores = watched(tmp_path, monkeypatch, steps=600, epsilon=1.0, mode=4)
    assert len(said) == 600 and scores and all(score >= 0 for score in scores)
    with pytest.raises(UserError, match=r"environment\.mode: breakout has no mode 3; choose one"):
        watched(tmp_path, monkeypatch, mode=3)


def test_without_a_screen_there_is_one_line(tmp_path, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(monkeypatch, "setenv", lambda *_: None)
    with pytest.raises(UserError, match=r"there is no screen here to show a window on \(DISPLAY\)"):
        watched(tmp_path, monkeypatch)


def test_keys_come_from_the_terminal_which_is_left_as_it_was(monkeypatch):
    master, slave = os.openpty()
    with open(slave) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        before = termios.tcgetattr(slave)
        with watching._keys() as pressed:
            assert pressed() == ""
            os.write(master, b"+q")
            assert select.select([slave], [], [], 5)[0]
            assert (pressed(), pressed(), pressed()) == ("+", "q", "")
        assert termios.tcgetattr(slave) == before
    os.close(master)
