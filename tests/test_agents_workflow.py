"""Agents as Snakemake and DVC make them, in a run of their own."""

import pandas as pd
import pytest
import yaml
from configs import PAPER, refusal
from test_agents_published import of_atari_agents, write, zipped
from workflow import configure, jobs, run, snakemake

from workflow_src.config.run import Config

pytestmark = pytest.mark.slow

ROW = {
    "environment": {"kind": "catch", "options": {"size": 12}},
    "body": "mlp",
    "hidden": 8,
    "memory": {"size": 640},
    "num_envs": 4,
    "steps": 800,
    "learn_start": 200,
    "epsilon": {"steps": 400},
    "target_every": 200,
    "validate_every": 400,
    "validate_steps": 100,
    "threads": 1,
}
CHANGE = {
    "games": ["pong"],
    "seeds": [0, 1],
    "device": "cpu",
    "only": {"methods": ["random-cnn"], "protocols": ["paper"]},
    "ledger": None,
    "scaling": None,
    "agents": {
        "plain": ROW,
        "own-c51": ROW | {"variants": ["c51"], "checkpoints": "all", "protocol": "modern"},
    },
}


@pytest.fixture(scope="module")
def agents(source):
    """A run of which the agents were made, and nothing else."""
    directory = source / "runs" / "agents"
    configure(source, directory, CHANGE)
    done = snakemake(source, directory, "agents")
    assert done.returncode == 0, done.stdout + done.stderr
    # How far it is can be seen while Snakemake runs, and in the log.
    assert "plain on catch, seed 0: epoch 2 of 2, step 800 of 800, " in done.stdout + done.stderr
    return directory


def test_their_files(agents):
    folder = agents / "results/agents/own-c51/catch-s1"
    assert sorted(file.name for file in folder.iterdir()) == [
        "best.safetensors",
        "history.csv",
        "last.safetensors",
        "step-000000400.safetensors",
        "step-000000800.safetensors",
    ]
    games = pd.read_csv(agents / "results/evaluations/own-c51/catch-s1.csv")
    assert set(games["weights"]) == {file.stem for file in folder.glob("*.safetensors")}
    assert set(games["protocol"]) == {"modern"} and set(games["sticky"]) == {0.25}
    assert not (agents / "checkpoints/agents/own-c51/catch-s1").exists()


def test_their_table_and_figure(agents):
    table = pd.read_csv(agents / "results/tables/agent_scores.csv")
    assert set(table["agent"]) == {"plain", "own-c51"} and set(table["game"]) == {"catch"}
    assert table["score"].between(0, 1).all() and (table["std"] >= 0).all()
    assert table["human_normalised"].isna().all()  # nobody published a score of Catch
    assert (agents / "results/figures/agent_curves.png").stat().st_size > 5000
    assert "Agent own-c51" in (agents / "results/tables/agent_scores.tex").read_text()


def test_nothing_to_do_again_and_a_setting_reruns_its_agent(source, agents):
    assert jobs(source, agents, "agents") == {}
    file = agents / "config.yaml"
    before = file.read_text()
    config = yaml.safe_load(before)
    config["agents"]["plain"]["gamma"] = 0.9
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    variant = source / "workflow_src/agents/variants/c51.py"
    text = variant.read_text()
    try:
        wanted = {"agents_plain": 2, "evaluations_plain": 2, "agents": 1}
        assert jobs(source, agents, "agents") == wanted
        # An edited variant concerns the agents that have it.
        file.write_text(before)
        variant.write_text(text.replace('"vmax": 10.0', '"vmax": 9.0'))
        wanted = {"agents_own-c51": 2, "evaluations_own-c51": 2, "agents": 1}
        assert jobs(source, agents, "agents") == wanted
        variant.write_text(text + "\n# A comment.\n")
        assert jobs(source, agents, "agents") == {}
    finally:
        file.write_text(before)
        variant.write_text(text)


def test_dvc_has_a_stage_for_each_folder(source, agents):
    done = run(source, "python", "-m", "workflow_src", "stages", "--run", agents)
    assert done.returncode == 0, done.stderr
    stages = yaml.safe_load((agents / "dvc.yaml").read_text())["stages"]
    stage = stages["agents--own-c51--catch-s1"]
    assert stage["outs"] == ["results/agents/own-c51/catch-s1"]
    assert "agents.own-c51" in stage["params"][0]["config.yaml"]
    assert "agent_protocols.modern" in stage["params"][0]["config.yaml"]
    assert "agents.own-c51" in stage["params"][1]["code.yaml"]
    judged = stages["evaluations--own-c51"]
    assert judged["outs"] == ["results/evaluations/own-c51"]
    assert "results/agents/own-c51/catch-s1" in judged["deps"]
    assert {"results/tables/agent_scores.csv", "results/figures/agent_curves.pdf"} <= set(
        stages["agents"]["outs"]
    )


MISTAKES = [
    (
        {"preset": "naturr"},
        "agents.a: preset: unknown preset of agents 'naturr' (did you mean nature?)",
    ),
    ({"variants": ["doubl"]}, "agents.a: unknown variant 'doubl' (did you mean double?)"),
    ({"variants": ["c51", "quantile"]}, "c51 and quantile cannot be combined; remove one of them"),
    (
        {"options": {"c51": {"atoms": 5}}},
        "options: c51 is neither this agent's kind nor among its variants",
    ),
    (
        {"variants": ["c51"], "options": {"c51": {"atoms": 0}}},
        "options.c51.atoms: 0 is not a whole number from 1 to 1000000, such as 51",
    ),
    (
        {"variants": ["prioritised"], "options": {"prioritised": {"kind": "ranks"}}},
        "options.prioritised.kind: unknown choice 'ranks' (did you mean rank?)",
    ),
    (
        {"protocol": "modem"},
        "agents.a.protocol: unknown protocol of agents 'modem' (did you mean modern?)",
    ),
    ({"num_envs": 3}, "num_envs: 3 and learn_every: 4 do not divide one another"),
    ({"steps": 300_000}, "steps: 300000 is not a multiple of validate_every: 250000"),
    ({"environment": {"kind": "catch", "mode": 3}}, "environment.mode has no effect on kind catch"),
    ({"environment": {"kind": "custom"}}, "environment.module: '' does not name a class in a file"),
    ({"body": "mine.txt:A"}, "body: 'mine.txt:A' does not name a class in a file"),
    ({"body": "mine.py:A"}, "agents.a.body: there is no file mine.py; write its path relative"),
    ({"gammma": 0.9}, "unknown key agents.a.gammma (did you mean gamma?)"),
    ({"epsilon": {"end": 2.0}}, "agents.a.epsilon.end: "),
]


@pytest.mark.parametrize(("row", "text"), MISTAKES)
def test_a_mistake_is_one_line(tmp_path, row, text):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(PAPER | {"agents": {"a": row}}))
    assert text in refusal(Config.load, path)


def test_a_published_agent_is_taken_judged_and_filmed(source, tmp_path):
    """From a local folder of atari-agents' layout."""
    folder = tmp_path / "theirs"
    write(folder, "C51_classic/Pong/0", 250_000, zipped(of_atari_agents(atoms=51)))
    row = {"kind": "published", "algorithm": "C51_classic", "step": 250_000, "source": str(folder)}
    directory = source / "runs" / "published"
    change = CHANGE | {"agents": {"c51": row | {"validate_steps": 16, "threads": 1}}, "seeds": [0]}
    configure(source, directory, change | {"recordings": {"steps": 5}})
    film = "results/films/c51/pong-s0/last.gif"
    done = snakemake(source, directory, "agents", film)
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(directory / "results/tables/agent_scores.csv")
    assert table.query("game == 'pong'")["frames"].tolist() == [1_000_000]
    assert (directory / film).stat().st_size > 1000
    assert jobs(source, directory, "agents", film) == {}
    row["step"] = 500_000
    configure(source, directory, change | {"agents": {"c51": row}})
    done = snakemake(source, directory, "agents")
    assert done.returncode == 1
    log = (directory / "logs/agents/c51/pong-s0.log").read_text()
    assert "has no weights of step 500000: near it are 250000" in log and log.count("\n") == 1
