"""Agents on frozen encoders, and whether F1 predicts their scores."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
import yaml
from configs import refusal
from scored import probe, scored, settings
from workflow import SMALL, configure, jobs, run, snakemake

from workflow_src import encoders, layout
from workflow_src.agents.encoded import Encoded, Frozen
from workflow_src.agents.evaluate import evaluate
from workflow_src.agents.train import train
from workflow_src.agents.vector import Vector
from workflow_src.config.agents import Agent, AgentEnvironment
from workflow_src.config.methods import Method
from workflow_src.config.run import defaults
from workflow_src.csv_files import write_csv
from workflow_src.errors import UserError
from workflow_src.report.studies import control_correlation
from workflow_src.report.studies.control import read_control
from workflow_src.report.studies.write_control import write_control

pytestmark = pytest.mark.usefixtures("one_thread")

REFERENCE = Path(__file__).parent.parent / "reference"
METHODS = ["random-cnn-standardised", "random-cnn-whitened", "st-dim"]
AGENT = {
    "kind": "ppo",
    "num_envs": 2,
    "hidden": 8,
    "steps": 16,
    "validate_every": 8,
    "validate_steps": 8,
    "options": {"ppo": {"horizon": 4, "minibatches": 2, "epochs": 1}},
    "threads": 1,
}
STUDY = {
    "ledger": None,
    "scaling": None,
    "control": {"base": "paper", "methods": METHODS, "agent": AGENT},
    "studies": ["control"],
}


# The configuration


def test_the_study_has_an_agent_for_each_method():
    config = defaults(STUDY | {"games": ["pong", "boxing"]})
    agents = config.derived.control.agents
    assert list(agents) == [f"control-{method}" for method in METHODS]
    row = agents["control-st-dim"]
    assert (row.environment.observation, row.body) == ("frame", "flat")
    assert config.encoder_of(row) == {
        "policy": "random_agent",
        "protocol": "paper",
        "method": "st-dim",
    }
    assert config.agents == {} and config.agent("control-st-dim") == row
    assert layout.AGENTS.files(config) == [] and layout.FILMS.all_files(config) == []
    assert len(layout.EVALUATIONS.files(config, "control")) == 2 * 3
    assert set(layout.EVALUATIONS.files(config, "control")) < set(layout.everything(config))
    assert set(layout.PROBES.files(config, "control")) <= set(layout.PROBES.files(config))


def with_agent(**agent):
    return {"agents": {"mine": {**AGENT, **agent}}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_agent(encoder={"method": "st-din"}), "did you mean st-dim?"),
        (with_agent(encoder={"method": "maj-clf"}), "maj-clf has no encoder for all variables"),
        (with_agent(encoder={"method": "supervised"}), "supervised has no encoder for all"),
        (with_agent(encoder={"method": "st-dim", "policy": "x"}), "encoder.policy: unknown policy"),
        (
            with_agent(encoder={"method": "st-dim", "protocol": "x"}),
            "encoder.protocol: unknown protocol",
        ),
        (
            with_agent(encoder={"method": "st-dim"}, environment={"observation": "atari"}),
            "encoder: it sees frames of atari as they are collected",
        ),
        (
            with_agent(encoder={"method": "st-dim"}, environment={"frame_skip": 2}),
            "frame_skip is 2, and frames are stored with 4",
        ),
        (
            with_agent(encoder={"method": "st-dim"})
            | {"methods": {"again": {"kind": "agent", "agent": "mine", "feature_size": 8}}},
            "mine sees through an encoder",
        ),
        (
            {"control": STUDY["control"] | {"agent": AGENT | {"steps": 3}}},
            "control: agent.steps: 3 is not a",
        ),
        (
            {"control": STUDY["control"] | {"agent": AGENT | {"encoder": {"method": "st-dim"}}}},
            "agent.encoder: the study sets it",
        ),
        ({"control": STUDY["control"] | {"methods": ["st-dim"]}}, "at least 2 items"),
        ({"control": None}, "there is no section control; add it"),
        ({"agents": {"control-st-dim": AGENT}}, "control-st-dim is reserved by the study control"),
    ],
)
def test_what_cannot_be_is_refused(change, said):
    assert said in refusal(defaults, STUDY | change)


def test_learners_with_a_memory_keep_features_as_they_are():
    row = Agent.model_validate({"encoder": {"method": "st-dim"}})
    assert row.kind == "dqn" and not row.memory.discretise


# Seeing through an encoder


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """An untrained encoder of two frames, as its file."""
    directory = tmp_path_factory.mktemp("frozen")
    row = Method.model_validate({"kind": "random-cnn", "feature_size": 6, "frame_stack": 2})
    encoder = encoders.build("nature", 6, torch.Generator().manual_seed(0), 2)
    header = {"game": "breakout", "method": "mine", "encoder": "nature", "feature_size": 6}
    encoders.save(directory / "mine.safetensors", encoder, header | {"frame_stack": 2})
    return Frozen(directory / "mine.safetensors", "mine", row)


def vector(history):
    switches = defaults({}).agent_protocols["classic"].model_copy(update={"clear_history": True})
    settings = AgentEnvironment(observation="frame")
    return Vector(
        settings, switches, game="breakout", num_envs=3, workers=1, history=history, training=True
    )


def test_observations_are_the_features_of_the_last_frames(frozen):
    """Against a long history of plain frames, life by life."""
    device, history = torch.device("cpu"), 3
    encoder, _ = encoders.load_one(frozen.file, frozen.row)
    plain, seen = vector(1), Encoded(vector(2), frozen, "breakout", history, device)
    for one in (plain, seen):
        one.new_games([np.random.default_rng(i) for i in range(3)])
    frames: list[list[np.ndarray]] = [[] for _ in range(3)]
    rng, lives_lost = np.random.default_rng(5), 0
    for _ in range(400):
        for i in range(3):
            if plain.first[i]:
                lives_lost += bool(frames[i])
                frames[i] = []
            frames[i].append(plain.observation[i, 0].copy())
        assert np.array_equal(plain.first, seen.first)
        assert seen.observation.shape == (3, history, 6) and seen.observation.dtype == np.float32
        for i in range(3):
            for back in range(history):
                found = seen.observation[i, history - 1 - back]
                if back >= len(frames[i]):
                    assert not found.any()
                    continue
                at = len(frames[i]) - 1 - back
                stack = np.stack([frames[i][max(at - 1, 0)], frames[i][at]])
                if back == 0:
                    expected = encoders.encode(encoder, stack[None], device)[0]
                    assert found == pytest.approx(expected, abs=1e-5)
        actions = rng.integers(plain.num_actions, size=3)
        plain.step(actions)
        seen.step(actions)
        assert np.array_equal(plain.reward, seen.reward) and plain.finished == seen.finished
    assert lives_lost >= 3
    plain.close()
    seen.close()


def test_another_game_s_encoder_is_refused(frozen):
    with pytest.raises(UserError, match="has game breakout, not pong: name the right file"):
        Encoded(vector(2), frozen, "pong", 1, torch.device("cpu"))
    with pytest.raises(UserError, match="has method mine, not other"):
        other = Frozen(frozen.file, "other", frozen.row)
        Encoded(vector(2), other, "breakout", 1, torch.device("cpu"))


@pytest.mark.parametrize("kind", ["ppo", "dqn"])
def test_an_agent_learns_on_an_encoder_and_is_judged(frozen, tmp_path, kind):
    """Twice the same bytes; another encoder, other bytes."""
    row = AGENT | {"encoder": {"method": "mine"}, "history": 2}
    if kind == "dqn":
        row = {name: row[name] for name in row if name not in ("kind", "options")}
        row |= {"learn_start": 8, "learn_every": 2, "batch_size": 4, "memory": {"size": 64}}
        row |= {"target_every": 4}
    agent = Agent.model_validate(row)
    switches = defaults({}).agent_protocols["classic"]
    names = {"game": "breakout", "agent": "mine", "seed": 0, "row": agent, "switches": switches}
    found = []
    for place in ("one", "two"):
        out = tmp_path / place
        train(
            **names,
            out=out,
            history=out / "history.csv",
            working=tmp_path / "working",
            frozen=frozen,
            workers=1,
            device="cpu",
            progress=False,
        )
        found.append((out / "last.safetensors").read_bytes())
    assert found[0] == found[1]
    judged = tmp_path / "judged.csv"
    files = {"last": tmp_path / "one" / "last.safetensors"}
    evaluate(**names, files=files, out=judged, frozen=frozen, workers=1, device="cpu")
    assert set(pd.read_csv(judged)["weights"]) == {"last"}


# What is said of it


def test_the_correlation_is_the_mean_of_spearman_s_over_games():
    rng = np.random.default_rng(0)
    f1, score = rng.normal(size=(2, 3, 6))
    f1[0, :2] = 0.5  # a tie
    expected = [scipy.stats.spearmanr(a, b).statistic for a, b in zip(f1, score, strict=True)]
    assert control_correlation.correlation(f1, score) == pytest.approx(np.mean(expected))
    same = np.array([[1.0, 1, 1]])
    assert control_correlation.correlation(same, np.array([[1.0, 2, 3]])) == 0


def test_p_values_of_few_methods_are_exact():
    f1, score = np.array([[1.0, 2, 3, 4]]), np.array([[10.0, 20, 30, 40]])
    rng = np.random.default_rng(0)
    # Both orders of 24 are as strong.
    assert control_correlation.p_value(f1, score, rng) == pytest.approx(2 / 24)
    both = np.repeat(f1, 2, axis=0), np.repeat(score, 2, axis=0)
    assert control_correlation.p_value(*both, rng) == pytest.approx(2 / 24**2)
    many = np.arange(9.0)[None], rng.permuted(np.arange(9.0))[None]
    assert 0 < control_correlation.p_value(*many, rng) <= 1


def compared(tmp_path, worth, **change):
    """A configuration, scores and evaluations; ``worth``: (f1, score) of method, game, seed."""
    config = settings(**STUDY, games=["pong", "boxing"], **change)
    probes, evaluations = [], []
    for method in METHODS:
        for game in config.games:
            for seed in config.seeds:
                f1, score = worth(method, game, seed)
                found = {"policy": "random_agent", "protocol": "paper", "readout": "linear"}
                probes.append(probe(game, method=method, f1=f1, seed=seed, **found))
                row = {"agent": f"control-{method}", "game": game, "seed": seed}
                games = [
                    row | {"weights": "last", "protocol": "classic", "finished": 1, "frames": 100}
                ]
                file = tmp_path / f"{method}-{game}-{seed}.csv"
                rows = [games[0] | {"score": score + change} for change in (-1, 1)]
                rows.append(games[0] | {"score": 999, "finished": 0})  # was cut off
                rows.append(games[0] | {"score": 555, "weights": "best"})
                write_csv(file, pd.DataFrame(rows))
                evaluations.append(file)
    return config, scored(tmp_path, *probes), evaluations


def test_the_tables_have_f1_and_scores(tmp_path):
    def worth(method, game, seed):
        rank = METHODS.index(method)
        return 0.2 + 0.1 * rank, (rank if game == "pong" else -rank) + 0.5 * seed

    config, scores, evaluations = compared(tmp_path, worth, seeds=[0, 1])
    write_control(config, scores, evaluations, REFERENCE, tmp_path / "out", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "control.csv").set_index(["game", "method"])
    row = table.loc["pong", "st-dim"]
    assert row["score"] == pytest.approx(2.25)
    assert row["score_std"] == pytest.approx(0.5 / 2**0.5, rel=1e-3)
    assert (row["random"], row["human"]) == (-20.7, 9.3)
    assert row["human_normalised"] == pytest.approx((2.25 + 20.7) / 30, abs=1e-4)
    found = pd.read_csv(tmp_path / "out" / "control_correlation.csv").set_index("category")
    # Rising in one game, falling in the other.
    assert found.loc["mean", "correlation"] == pytest.approx(0)
    assert found.loc["mean", ["methods", "games"]].tolist() == [3, 2]
    for name in ("control.tex", "control_correlation.tex", "control.png", "control.pdf"):
        assert (tmp_path / "out" / name).stat().st_size > 500


def test_a_perfect_predictor(tmp_path):
    config, scores, evaluations = compared(
        tmp_path,
        lambda method, game, seed: (0.2 + METHODS.index(method) / 10, 7.0 * METHODS.index(method)),
    )
    data = read_control(scores, evaluations, REFERENCE)
    row = control_correlation.table(config, data).set_index("category").loc["mean"]
    assert row["correlation"] == 1 and row["p_value"] == pytest.approx(2 / 36)
    assert row["low"] <= row["high"] == 1


def test_a_missing_agent_is_named(tmp_path):
    config, scores, evaluations = compared(tmp_path, lambda *names: (0.5, 1.0))
    data = read_control(scores, evaluations[1:], REFERENCE)
    with pytest.raises(UserError, match=r"run random-cnn-standardised/pong/0$"):
        control_correlation.table(config, data)


@pytest.mark.slow
def test_the_workflow_makes_the_study(source):
    study = {"base": "paper", "methods": METHODS[:2], "agent": AGENT}
    change = SMALL | {
        "games": ["spaceinvaders"],
        "only": {"methods": ["random-cnn", *METHODS[:2]], "protocols": ["paper"]},
        "ledger": None,
        "scaling": None,
        "control": study,
        "studies": ["control"],
    }
    directory = source / "runs" / "control"
    configure(source, directory, change)
    done = snakemake(source, directory)
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(directory / "results/tables/control.csv")
    assert table["method"].tolist() == METHODS[:2]
    assert "control_correlation" in (directory / "results/report.html").read_text()
    assert jobs(source, directory) == {}
    done = run(source, "python", "-m", "workflow_src", "stages", "--run", directory)
    assert done.returncode == 0, done.stderr
    stages = yaml.safe_load((directory / "dvc.yaml").read_text())["stages"]
    agent = stages["agents--control-random-cnn-whitened--spaceinvaders-s0"]
    assert "results/encoders/random_agent/paper/random-cnn-whitened" in agent["deps"]
