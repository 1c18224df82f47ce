"""The transfer study and what is in the frames of each policy."""

import numpy as np
import pandas as pd
import pytest
import yaml
from configs import PAPER, refusal
from scored import probe, scored, settings
from workflow import SMALL, configure, jobs, run, snakemake

from workflow_src import layout
from workflow_src.config.run import defaults
from workflow_src.emulator.environment import CONTINUES, LIFE_LOST, TERMINATED
from workflow_src.errors import UserError
from workflow_src.report.data import read_data
from workflow_src.report.studies import transfer
from workflow_src.report.studies.write import write_study
from workflow_src.report.tables import frames_by_policy
from workflow_src.splits.describe import describe
from workflow_src.splits.split import split

OTHER = {"other": {"kind": "random", "noop": True}}
STUDY = {
    "policies": OTHER,
    "ledger": None,
    "scaling": None,
    "transfer": {"base": "paper", "methods": ["st-dim"]},
    "studies": ["transfer"],
}


def test_only_probes_are_its_own():
    config = defaults(STUDY | {"games": ["pong"]})
    derived = config.derived
    assert derived.methods("transfer") == {
        "paper": ("st-dim",),
        "paper-from-random_agent": ("st-dim",),
        "paper-from-other": ("st-dim",),
    }
    crossed, method = "paper-from-other", config.methods["st-dim"]
    assert derived.split_protocol(crossed) == derived.seed_protocol(crossed) == "paper"
    assert derived.encoder_protocol(crossed, method) == "paper"
    assert derived.encoder_policy("random_agent", crossed) == "other"
    assert derived.encoder_policy("random_agent", "paper") == "random_agent"
    for artifact in (layout.ENCODERS, layout.SPLITS, layout.EPISODES):
        assert set(artifact.files(config, "transfer")) <= set(artifact.files(config))
    probes = set(layout.PROBES.files(config, "transfer")) - set(layout.PROBES.files(config))
    assert probes == {
        "results/probes/random_agent/paper-from-other/st-dim/linear/pong-s0.json",
        "results/probes/other/paper-from-random_agent/st-dim/linear/pong-s0.json",
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"policies": {"other": None}}, "it compares policies, and there is one; add another"),
        ({"transfer": {"base": "papr"}}, "unknown protocol 'papr' (did you mean paper?)"),
        ({"transfer": {"methods": ["random-cnn"]}}, "random-cnn does not learn from the encoder's"),
        ({"protocols": {"paper-from-other": {}}}, "paper-from-other is reserved by the study"),
        ({"transfer": None}, "there is no section transfer; add it, or remove it from the list"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, said):
    both = STUDY | change
    if change.get("transfer"):
        both["transfer"] = STUDY["transfer"] | change["transfer"]
    if "protocols" in change:
        both["protocols"] = {"paper-from-other": PAPER["protocols"]["paper"]}
    assert said in refusal(defaults, both)


SCORES = {  # (learned from, probed on): F1
    ("random_agent", "random_agent"): 0.3,
    ("other", "random_agent"): 0.2,
    ("random_agent", "other"): 0.5,
    ("other", "other"): 0.6,
}


def compared(**change):
    """A configuration with the study, and scores of every pair of policies; boxing is 0.1 lower."""
    config = settings(**STUDY, games=["pong", "boxing"], **change)
    found = [
        probe(
            game,
            f1=f1 - 0.1 - 0.1 * (game == "boxing") + seed / 50,
            seed=seed,
            policy=policy,
            protocol="paper" if source == policy else f"paper-from-{source}",
            readout="linear",
        )
        for (source, policy), f1 in SCORES.items()
        for game in config.games
        for seed in config.seeds
    ]
    return config, found


def test_each_pair_of_policies_has_a_score(tmp_path):
    config, found = compared(seeds=[0, 1])
    write_study(config, "transfer", scored(tmp_path, *found), tmp_path / "out", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "transfer.csv")
    mean = table[table["game"] == "mean"].set_index(["trained_on", "probed_on"])
    for (source, policy), f1 in SCORES.items():
        row = mean.loc[source, policy]
        assert row["f1"] == pytest.approx(f1 - 0.05 + 0.01)
        assert row["difference"] == pytest.approx(f1 - SCORES[policy, policy])
        assert row["f1_std"] == pytest.approx(0.02 / 2**0.5, abs=1e-6)
        assert row["difference_std"] == pytest.approx(0)
    text = (tmp_path / "out" / "transfer.tex").read_text()
    assert "Policy: random" in text and r"Mean & 0.26{\tiny" in text
    axes = transfer.figure(config, read_data(tmp_path / "scores.csv")).axes
    assert [one.get_title() for one in axes] == [
        "ST-DIM, probed on random_agent",
        "ST-DIM, probed on other",
    ]


def test_a_missing_pair_is_named(tmp_path):
    config, found = compared()
    few = [one for one in found if (one["protocol"], one["game"]) != ("paper-from-other", "boxing")]
    with pytest.raises(
        UserError, match=r"missing probes, st-dim/boxing/seed 0 \(of other, on random_agent\)$"
    ):
        write_study(config, "transfer", scored(tmp_path, *few), tmp_path / "out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_in_frames_is_counted(tmp_path, write_store):
    """20 episodes of 5 frames; every episode repeats one frame, the fifth is its own."""
    frames = np.zeros((100, 210, 160), np.uint8)
    frames[4::5, 0, 0] = np.arange(1, 21)
    end = np.full(100, CONTINUES, np.uint8)
    end[4::5] = LIFE_LOST
    end[9::10] = TERMINATED
    columns = {
        "end": end,
        "episode": np.arange(100) // 5,
        "game": np.arange(100) // 10,
        "reward": (np.arange(100) % 10 == 3) * 2.0,
        "ram": np.random.default_rng(0).integers(0, 9, (100, 128)).astype(np.uint8),
    }
    header = {"game": "pong", "frames_per_env": [100], "settings": {"num_envs": 1}}
    store = write_store("frames.b2nd", frames, header, **columns)
    config = defaults({"games": ["pong"]})
    out = tmp_path / "split.safetensors"
    split(
        game="pong",
        policy="random_agent",
        protocol="corrected",
        purpose="probe",
        seed=0,
        settings=config.splits,
        switches=config.protocols["paper"].splits.model_copy(
            update={
                "labels_slip_at_reset": False,
                "min_episode_frames": 1,
                "drop_lone_test_frames": False,
            }
        ),
        label_set="paper-2019",
        frames=store,
        out=out,
    )
    row = describe(out, store)
    assert row["frames"] == 100 and row["distinct"] == 21 / 100
    assert row["duplicates"] == 0.8  # of each test episode, four frames are in train
    assert (row["games"], row["game_length"], row["reward"]) == (10, 10, 2.0)
    assert row["kept"] == row["annotated"] > 0 and row["entropy"] > 1
    table = frames_by_policy.table(config, pd.DataFrame([row, row | {"seed": 1, "reward": 4.0}]))
    assert table["game"].tolist() == ["pong", "mean"] and table["reward"].tolist() == [3.0, 3.0]
    assert "21.0\\%" in frames_by_policy.latex(config, table).replace(" ", "")
    other = write_store("other.b2nd", frames[::-1].copy(), header, **columns)
    with pytest.raises(UserError, match="was made from other frames than"):
        describe(out, other)


@pytest.mark.slow
def test_a_run_of_two_policies(source):
    """The real workflow: two agents' frames, each one's encoder on the other's."""
    directory = source / "runs" / "policies"
    change = SMALL | STUDY | {"games": ["spaceinvaders"], "agents": {}}
    change["only"] = {"methods": ["maj-clf", "st-dim"], "protocols": ["paper"]}
    change["training"] = {"epochs": 1, "batch_size": 16, "threads": 1}
    configure(source, directory, change)
    done = snakemake(source, directory)
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(directory / "results/tables/transfer.csv")
    assert len(table) == 2 * 4 and table["f1"].between(0, 1).all()
    own = table["trained_on"] == table["probed_on"]
    assert (table.loc[own, "difference"] == 0).all() and (table.loc[~own, "difference"] != 0).all()
    frames = pd.read_csv(directory / "results/tables/frames_by_policy.csv")
    assert set(frames["policy"]) == {"random_agent", "other"}
    assert (
        frames["distinct"].between(0.1, 1).all() and (frames["kept"] <= frames["annotated"]).all()
    )
    assert "frames_by_policy" in (directory / "results/report.html").read_text()
    # Nothing but probes is made again for a pair of policies.
    assert not list((directory / "results/encoders").rglob("*from*"))
    assert jobs(source, directory) == {}
    done = run(source, "python", "-m", "workflow_src", "stages", "--run", directory)
    assert done.returncode == 0, done.stderr
    stages = yaml.safe_load((directory / "dvc.yaml").read_text())["stages"]
    crossed = stages["probes--other--paper-from-random_agent--st-dim--linear"]
    assert "results/encoders/random_agent/paper/st-dim" in crossed["deps"]
    assert "results/splits/other/paper/probe" in crossed["deps"]
