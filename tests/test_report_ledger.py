"""The ledger of quirks: differences by hand, its figure, and what is refused."""

import itertools

import pytest
from scored import data_of, probe, scored, settings

from workflow_src.csv_files import read_csv
from workflow_src.errors import UserError
from workflow_src.report.studies import ledger
from workflow_src.report.studies.write import write_study


def ledger_probes(config, f1=lambda protocol, method, game, seed: 0.5):
    """The ledger's probes; ``f1`` is the mean over categories."""
    protocols = [
        config.ledger.base,
        *(variant.protocol for variant in config.derived.ledger.variants),
    ]
    for row in itertools.product(protocols, config.ledger.methods, config.games, config.seeds):
        protocol, method, game, seed = row
        readout = config.methods[method].probe_names(config.probe.kinds)[0]
        yield probe(game, method, seed, f1(*row) - 0.1, protocol, readout)


def worth(protocol, method, game, seed):
    """Q5 gains ST-DIM 0.1 in pong and 0.2 in boxing, and another 0.02 with seed 1; nothing else
    matters.
    """
    gain = {"pong": 0.1, "boxing": 0.2}[game] + 0.02 * seed
    return 0.3 + 0.05 * seed + (gain if (protocol, method) == ("paper-q5", "st-dim") else 0)


def test_the_ledger_is_the_difference_to_the_base(tmp_path):
    config = settings(games=["pong", "boxing"], seeds=[0, 1])
    path = scored(tmp_path, *ledger_probes(config, worth))
    for folder in ("one", "two"):
        write_study(config, "ledger", path, tmp_path / folder, tmp_path / folder)
    for end in ("csv", "tex", "pdf", "png"):
        name = f"ledger.{end}"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    table = read_csv(
        tmp_path / "one" / "ledger.csv",
        text=["policy", "quirk", "protocol", "switches", "method", "game"],
    )
    quirks = ["Q1", "Q2", "Q4", "Q5", "Q6", "Q7", "Q8", "Q11", "Q12", "Q15"]
    assert (
        table["quirk"].unique().tolist()
        == quirks
        == [variant.quirk for variant in config.derived.ledger.variants]
    )
    assert len(table) == len(quirks) * 2 * 3
    q5 = table[(table["quirk"] == "Q5") & (table["method"] == "st-dim")].set_index("game")
    assert q5.index.tolist() == ["pong", "boxing", "mean"]
    assert q5["base"].tolist() == pytest.approx([0.325] * 3)
    assert q5["variant"].tolist() == pytest.approx([0.435, 0.535, 0.485])
    assert q5["difference"].tolist() == pytest.approx([0.11, 0.21, 0.16])
    assert q5["difference_std"].tolist() == pytest.approx([0.02 / 2**0.5] * 3, abs=1e-6)
    assert (table["protocol"] == [f"paper-{quirk.lower()}" for quirk in table["quirk"]]).all()
    others = table.drop(table.index[(table["quirk"] == "Q5") & (table["method"] == "st-dim")])
    assert others["difference"].abs().max() < 1e-9
    assert table.loc[table["quirk"] == "Q8", "switches"].iloc[0] == "entropy_of, min_episode_frames"
    shown = (tmp_path / "one" / "ledger.tex").read_text()
    assert r" &  & ST-DIM & 0.325 & 0.485 & +0.160{\tiny$\pm$}0.014 \\" in shown
    assert r"Not tested, because both protocols have the same setting: Q9 (lr 0.0003). " in shown


def test_the_figure_of_the_ledger_has_a_colour_for_a_method(tmp_path):
    config = settings(games=["pong", "boxing"], seeds=[0])
    data = data_of(tmp_path, *ledger_probes(config, worth))
    assert ledger.table(config, data)["difference_std"].isna().all()
    (axes,) = ledger.figure(config, data).axes
    cnn, dim = (line for line in axes.lines if line.get_label() in ("RANDOM-CNN", "ST-DIM"))
    assert cnn.get_xdata() == pytest.approx([0] * 10)
    assert dim.get_xdata() == pytest.approx([0, 0, 0, 0.15, 0, 0, 0, 0, 0, 0])
    assert cnn.get_color() != dim.get_color()
    assert [text.get_text() for text in axes.get_yticklabels()][:2] == [
        "Q1 shuffle_episodes",
        "Q2 noop",
    ]


def test_missing_variants_are_named(tmp_path):
    config = settings(games=["pong"], seeds=[0])
    there = [p for p in ledger_probes(config) if p["protocol"] not in ("paper-q4", "paper-q12")]
    named = (
        "paper-q4/random-cnn/pong/seed 0 .*paper-q4/st-dim/pong/seed 0 "
        ".*paper-q12/random-cnn/pong/seed 0 .* and 1 more"
    )
    with pytest.raises(UserError, match=named):
        write_study(config, "ledger", scored(tmp_path, *there), tmp_path, tmp_path)
    assert not (tmp_path / "ledger.csv").exists()


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        ({"ledger": None}, "has no section ledger: copy that section"),
        ({"ledger": {"target": "paper"}}, "name a base and a target that differ"),
    ],
)
def test_a_configuration_without_a_ledger_is_refused(tmp_path, change, fix):
    with pytest.raises(UserError, match=fix):
        write_study(settings(**change), "ledger", scored(tmp_path), tmp_path, tmp_path)
