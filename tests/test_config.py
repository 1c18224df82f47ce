"""The configuration: what the repository ships, merging, and the options of kinds."""

import pytest
import yaml
from configs import PAPER, PRESETS, ROOT, put

from workflow_src import kinds
from workflow_src.ari.labels import GAMES
from workflow_src.config.configure import configure
from workflow_src.config.methods import Method
from workflow_src.config.reading import apply_preset
from workflow_src.config.run import Config

# What is shipped


LATER = (
    "combined",
    "dim-ua",
    "mst-dim",
    "place-codes",
    "profiles",
    "rrr",
    "st-dim-vicreg",
)
CONDITIONED = ["random-cnn-standardised", "random-cnn-whitened"]


def test_the_repository_s_configuration_is_the_paper_s_run():
    loaded = Config.load(ROOT / "config.yaml")
    assert tuple(loaded.games) == GAMES["paper-2019"] and len(loaded.games) == 22
    assert loaded.label_set == "paper-2019"
    assert (loaded.episodes.frames.of("pretrain"), loaded.episodes.frames.of("probe")) == (
        100_000,
        50_000,
    )
    assert loaded.splits.model_dump() == {
        "pretrain": {"train": 0.8, "val": 0.2},
        "probe": {"train": 0.7, "val": 0.1, "test": 0.2},
        "min_entropy": 0.6,
    }
    for trained in (loaded.training, loaded.probe):
        assert (trained.epochs, trained.patience, trained.batch_size, trained.eps) == (
            100,
            15,
            64,
            1e-5,
        )
    assert loaded.training.lr == 3e-4
    for name, row in loaded.methods.items():
        assert (row.encoder, row.feature_size, row.frame_stack) == ("nature", 256, 1)
        others = {"maj-clf": "majority"} | dict.fromkeys(CONDITIONED, "conditioned")
        assert row.kind == others.get(name, name)
        changed = {"eps": 1e-8} if name == "cpc" else {}
        assert row.training(loaded.training).model_dump() == loaded.training.model_dump() | changed
    # Every method of the paper is a column; one's own encoders and agents, and what came later,
    # are in presets.
    others = {"custom", "agent"} | set(LATER)
    assert {row.kind for row in loaded.methods.values()} == set(kinds.names("methods")) - others
    assert len(loaded.methods) == 14
    assert loaded.methods["vae"].resolved_options == {"beta": 1.0}
    assert {"sequence_length": 100, "horizon_step": 4}.items() <= loaded.methods[
        "cpc"
    ].resolved_options.items()
    assert loaded.probe.kinds == ["linear"]
    assert loaded.ledger.model_dump() == {
        "base": "paper",
        "target": "corrected",
        "methods": ["random-cnn", "st-dim"],
    }


def test_the_paper_s_protocol_has_every_quirk_and_the_corrected_none():
    paper, corrected = (PAPER["protocols"][name] for name in ("paper", "corrected"))
    for step in ("episodes", "splits", "methods"):
        assert all(paper[step][switch] != corrected[step][switch] for switch in paper[step])
    assert {
        name for name in paper["probes"] if paper["probes"][name] == corrected["probes"][name]
    } == {"lr"}
    assert not paper["episodes"]["noop"]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_give_a_configuration(preset, tmp_path):
    target = configure(ROOT / "config.yaml", preset.stem, [], tmp_path)
    loaded = Config.load(target)
    change = yaml.safe_load(preset.read_text())
    assert loaded.model_dump(exclude_defaults=True) == Config.check(
        apply_preset(PAPER, change, "x"), "x"
    ).model_dump(exclude_defaults=True)
    assert loaded != Config.load(ROOT / "config.yaml")


def test_there_are_presets():
    assert "quick" in [path.stem for path in PRESETS]


def test_row_of_a_method_changes_the_training():
    loaded = Config.check(put("methods.st-dim", {"kind": "st-dim", "epochs": 7, "lr": 1e-3}), "x")
    changed = loaded.methods["st-dim"].training(loaded.training)
    assert changed.model_dump() == loaded.training.model_dump() | {"epochs": 7, "lr": 1e-3}


def test_the_quick_run_has_a_baseline_an_untrained_encoder_and_the_paper_s_own(tmp_path):
    loaded = Config.load(configure(ROOT / "config.yaml", "quick", [], tmp_path))
    assert list(loaded.methods) == ["maj-clf", "random-cnn", *CONDITIONED, "st-dim"]
    assert loaded.ledger is None and not loaded.derived.found


@pytest.mark.parametrize(
    ("kind", "has_encoder", "learns_from", "decodes"),
    [
        ("majority", False, None, None),
        ("random-cnn", True, None, None),
        ("custom", True, None, None),
        ("st-dim", True, "pretrain", None),
        ("cpc", True, "pretrain", None),
        ("vae", True, "pretrain", 0),
        ("pixel-pred", True, "pretrain", 1),
        ("supervised", True, "probe", None),
        ("supervised-shared", True, "probe", None),
    ],
)
def test_what_kinds_need(kind, has_encoder, learns_from, decodes):
    row = Method(kind=kind, **{"module": "a.py:A"} if kind == "custom" else {})
    assert (row.has_encoder, row.learns_from, row.decodes) == (has_encoder, learns_from, decodes)


def test_kinds_are_files():
    """A folder of kinds has nothing else in it, so no list of exceptions is needed."""
    for folder in ("methods", "encoders/architectures", "episodes/policies", "probes/kinds"):
        files = {path.stem for path in (ROOT / "workflow_src" / folder).glob("*.py")} - {"__init__"}
        assert {kinds.stem(kind) for kind in kinds.names(folder)} == files and files


def test_configuration_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Config.load(ROOT / "config.yaml").training.epochs = 3
