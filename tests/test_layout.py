"""Where the files of a run lie, and what their names mean."""

import re
import string
from pathlib import Path

import pytest
from configs import DIFFER, PAPER, refusal

from workflow_src import layout
from workflow_src.config.run import defaults
from workflow_src.config.section import PURPOSES
from workflow_src.errors import UserError


@pytest.fixture
def small():
    return defaults(
        {
            "games": ["pong", "qbert"],
            "seeds": [0, 7],
            "policies": {"other": {"kind": "random", "noop": True}},
            "probe": {"kinds": ["mlp", "linear"]},
            "methods": {
                name: None
                for name in PAPER["methods"]
                if name not in ("maj-clf", "vae", "pixel-pred", "supervised")
            },
            "ledger": {"methods": ["vae", "supervised", "maj-clf"]},
            "scaling": {"percent": [5, 40], "methods": ["vae"]},
        }
    )


def parsed(template, files):
    """The wildcards of each file, which must be of ``template``: {(game, policy, ...) in the order
    of the template}.
    """
    pattern = "".join(
        re.escape(text) + (f"(?P<{name}>[a-z0-9_-]+?)" if name else "")
        for text, name, *_ in string.Formatter().parse(template)
    )
    found = [re.fullmatch(pattern, file) for file in files]
    assert all(found)
    rows = [match.groupdict() for match in found]
    assert [template.format(**row) for row in rows] == list(files)
    assert len(set(files)) == len(files)
    return rows


def axes(rows, *names):
    return {tuple(row[name] for name in names) for row in rows}


def product(*values):
    found = {()}
    for some in values:
        found = {(*before, value) for before in found for value in some}
    return found


GAMES_SEEDS, PLAYERS, RULES = (
    [["pong", "qbert"], ["0", "7"]],
    ["random_agent", "other"],
    ["paper", "corrected"],
)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"game": "pong", "seed": 0}, None),
        ({"game": "pong", "seed": 1}, "was made with seed 1, not 0: delete it and make it again"),
        ({"game": "boxing"}, "was made with game boxing, not pong"),
        ({"policy": "other"}, "was made with policy other, not random_agent"),
        ({"protocol": "corrected"}, "was made with protocol corrected, not paper"),
        ({"purpose": "pretrain"}, "was made with purpose pretrain, not probe"),
    ],
)
def test_a_file_must_have_been_made_as_what_its_name_says(header, said):
    path = Path("/a/results/run/results/splits/random_agent/paper/probe/pong-s0.safetensors")
    if said is None:
        layout.check_names(path, header)
        layout.check_names(Path("elsewhere.safetensors"), {"game": "boxing"})
    else:
        with pytest.raises(UserError, match=said):
            layout.check_names(path, header)


def test_files_of_frames_and_splits(small):
    rows = parsed(layout.EPISODES.path, layout.EPISODES.files(small))
    played = [*PLAYERS, "random_agent-noop"]  # for corrected
    assert axes(rows, "policy", "purpose", "game", "seed") == product(
        played, PURPOSES, *GAMES_SEEDS
    )
    assert layout.EPISODES.files(small)[0] == "results/episodes/random_agent/pretrain/pong-s0.b2nd"
    rows = parsed(layout.SPLITS.path, layout.SPLITS.files(small))
    assert axes(rows, "policy", "protocol", "purpose", "game", "seed") == product(
        PLAYERS, RULES, PURPOSES, *GAMES_SEEDS
    )
    assert (
        layout.SPLITS.files(small)[0]
        == "results/splits/random_agent/paper/pretrain/pong-s0.safetensors"
    )


@pytest.mark.parametrize("artifact", [layout.ENCODERS, layout.HISTORIES], ids=lambda a: a.path)
def test_files_of_encoders(small, artifact):
    rows = parsed(artifact.path, artifact.files(small))
    learned = [["vae", "pixel-pred", "supervised"]]
    assert axes(rows, "policy", "protocol", "method", "game", "seed") == product(
        PLAYERS, RULES, *learned, *GAMES_SEEDS
    )


def test_files_of_probes(small):
    rows = parsed(layout.PROBES.path, layout.PROBES.files(small))
    assert axes(rows, "policy", "protocol", "game", "seed") == product(PLAYERS, RULES, *GAMES_SEEDS)
    readouts = {("maj-clf", "majority"), ("supervised", "supervised")}
    readouts |= product(["vae", "pixel-pred"], ["mlp", "linear"])
    assert axes(rows, "method", "probe") == readouts
    assert len(rows) == 6 * 2 * 2 * 2 * 2
    # Every encoder is probed, and every probe but the majority's has an encoder.
    names = ("policy", "protocol", "method", "game", "seed")
    assert axes([row for row in rows if row["probe"] != "majority"], *names) == axes(
        parsed(layout.ENCODERS.path, layout.ENCODERS.files(small)), *names
    )


def test_files_of_the_ledger(small):
    rows = parsed(layout.PROBES.path, layout.PROBES.files(small, "ledger"))
    variants = ["paper", *(f"paper-{quirk.lower()}" for quirk in DIFFER)]
    assert axes(rows, "policy", "protocol", "game", "seed") == product(
        PLAYERS, variants, *GAMES_SEEDS
    )
    # The readout of the tables alone.
    assert axes(rows, "method", "probe") == {
        ("vae", "mlp"),
        ("supervised", "supervised"),
        ("maj-clf", "majority"),
    }
    assert len(rows) == 3 * 11 * 8
    # The base's are the tables' own.
    shared = set(layout.PROBES.files(small, "ledger")) & set(layout.PROBES.files(small))
    assert (
        shared == {file for file in layout.PROBES.files(small, "ledger") if "/paper/" in file}
        and len(shared) == 3 * 8
    )
    assert layout.PROBES.files(small.model_copy(update={"ledger": None}), "ledger") == []


def test_files_of_scaling(small):
    rows = parsed(layout.PROBES.path, layout.PROBES.files(small, "scaling"))
    assert axes(rows, "policy", "protocol", "game", "seed") == product(
        PLAYERS, ["paper", "paper-p5", "paper-p40"], *GAMES_SEEDS
    )
    assert axes(rows, "method", "probe") == {("vae", "mlp")}
    assert (
        1000 * small.derived.percent("paper-p5") // 100,
        999 * small.derived.percent("paper-p40") // 100,
        1000 * small.derived.percent("paper") // 100,
    ) == (50, 399, 1000)


def test_folders_have_the_studies_that_belong_to_the_run(small):
    both = small.model_copy(update={"studies": ["ledger", "scaling"]})
    more = layout.folders(both).keys() - layout.folders(small).keys()
    assert "results/splits/random_agent/paper-p5/pretrain" in more
    assert "results/encoders/random_agent/paper-p40/vae" in more
    assert "results/probes/other/paper-q1/maj-clf/majority" in more
    assert "results/encoders/random_agent/paper-q11/vae" not in more  # probed on the base's
    # No file twice, and every score of the studies is of a folder.
    files = [file for folder in layout.folders(both).values() for file in folder]
    assert len(set(files)) == len(files)
    assert {*layout.PROBES.files(both, "ledger"), *layout.PROBES.files(both, "scaling")} <= set(
        files
    )
    assert {
        f"results/{kind}/scaling.{end}" for kind, end in (("tables", "csv"), ("tables", "tex"))
    } <= set(layout.everything(both))
    assert "results/figures/scaling.pdf" in layout.everything(both)
    assert "results/figures/scaling.pdf" not in layout.everything(small)


def test_a_study_without_its_section_is_refused():
    said = refusal(defaults, {"scaling": None, "studies": ["scaling"]})
    assert (
        said == "settings: studies: there is no section scaling; add it, or remove it from the list"
    )


def test_a_study_compares_with_the_seeds_and_switches_of_its_base(small):
    assert small.protocol("paper-p5") == small.protocols["paper"]
    assert small.derived.seed_protocol("paper-p5") == "paper"
    assert small.derived.parents("paper-q5") == ["paper", "corrected"]
    assert small.derived.encoder_protocol("paper-p5", small.methods["vae"]) == "paper-p5"


def test_files_of_examples(small):
    assert layout.EXAMPLES.files(small.for_game("qbert")) == [
        "results/examples/random_agent/paper/vae/qbert-s0.safetensors",
        "results/examples/random_agent/paper/pixel-pred/qbert-s0.safetensors",
    ]
    few = small.model_copy(update={"methods": {"maj-clf": small.methods["maj-clf"]}})
    assert layout.EXAMPLES.files(few.for_game("pong")) == layout.ENCODERS.files(few) == []


def test_no_two_files_have_one_name(small):
    files = [
        *layout.EPISODES.files(small),
        *layout.SPLITS.files(small),
        *layout.ENCODERS.files(small),
        *layout.HISTORIES.files(small),
    ]
    files += [file for game in small.games for file in layout.EXAMPLES.files(small.for_game(game))]
    files += [
        *{*layout.PROBES.files(small), *layout.PROBES.files(small, "ledger")},
        layout.SCORES.path,
        layout.STUDY_SCORES.path.format(study="ledger"),
    ]
    assert len(set(files)) == len(files)


def test_names_come_back_from_every_path(small):
    for artifact in layout.ARTIFACTS:
        for file in artifact.all_files(small):
            found, names = layout.find(file)
            assert found.path.format(**names) == file and found.step == artifact.step
    assert layout.find("results/nothing.txt") is None


def test_audits_have_games_of_their_own():
    for file in (
        "results/audit/measured/boxing.safetensors",
        "results/audit/paper-2019/boxing.csv",
    ):
        assert (layout.step_of(file), layout.game_of(file)) == ("audit", "boxing")
    assert layout.game_of("results/tables/iqm.csv") is None
    assert layout.step_of("results/episodes/random_agent/probe") == "episodes"


def test_an_artifact_can_have_any_axes(small):
    """Such as those of agents: agent, game, seed, checkpoint."""

    def axes(config, scope):
        for game in config.games:
            yield {"agent": "dqn", "game": game, "seed": 0, "checkpoint": 700}

    path = "results/agents/{agent}/{game}-s{seed}-{checkpoint}.safetensors"
    agents = layout.Artifact("agents", path, axes, when=lambda config: "pong" in config.games)
    assert agents.files(small)[0] == "results/agents/dqn/pong-s0-700.safetensors"
    names = {"agent": "dqn", "game": "pong", "seed": "0", "checkpoint": "700"}
    assert agents.parse(agents.files(small)[0]) == names and agents.has_folder
    assert agents.files(small.for_game("qbert")) == []
