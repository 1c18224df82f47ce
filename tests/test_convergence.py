"""The study of convergence: what it derives, its table and figure, and what is refused."""

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scored import data_of, probe, scored, settings

from workflow_src import layout
from workflow_src.config.run import defaults
from workflow_src.errors import UserError
from workflow_src.report.studies import convergence
from workflow_src.report.studies.write import write_study

EPOCHS = {"paper-e3": 3, "paper-e300": 300, "paper": 100}
METHODS = ("random-cnn", "random-cnn-standardised", "random-cnn-whitened")
SECTION = {"base": "paper", "epochs": [3, 300], "methods": list(METHODS)}


def run(**change):
    return settings(games=["pong", "boxing"], convergence=SECTION, **change)


def grown(config):
    """Scores that grow with the epochs, sooner where features are standardised."""
    return [
        probe(game, method, f1=start + epochs / 1000, protocol=protocol, readout="linear")
        for protocol, epochs in EPOCHS.items()
        for method, start in zip(METHODS, (0.1, 0.5, 0.6), strict=True)
        for game in config.games
    ]


def test_probes_alone_differ():
    config = run()
    derived = config.derived
    for protocol, epochs in EPOCHS.items():
        assert config.probe_of(protocol) == config.probe.model_copy(update={"epochs": epochs})
        assert config.protocol(protocol) == config.protocols["paper"]
        assert derived.seed_protocol(protocol) == derived.split_protocol(protocol) == "paper"
        for method in ("random-cnn-standardised", "st-dim", "supervised"):
            assert derived.encoder_protocol(protocol, config.methods[method]) == "paper"
        assert not derived.is_base("random_agent", protocol)
    assert config.probe_of("corrected") is config.probe
    files = layout.PROBES.files(config, "convergence")
    assert len(files) == 3 * 3 * 2
    assert (
        "results/probes/random_agent/paper-e300/random-cnn-standardised/linear/boxing-s0.json"
        in files
    )
    part = config.model_copy(update={"studies": ["convergence"]})
    more = layout.folders(part).keys() - layout.folders(config).keys()
    assert not [folder for folder in more if folder.startswith(("results/enc", "results/spl"))]
    assert "results/probes/random_agent/paper-e3/random-cnn/linear" in more


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"epochs": [3, 3]}, "convergence.epochs: duplicate entry 3"),
        ({"epochs": [3, 100]}, "convergence.epochs: 100 is probe.epochs, the run of the base"),
        ({"epochs": [0]}, "convergence.epochs.0: "),
        ({"base": "papr"}, "convergence: unknown protocol 'papr'"),
        ({"methods": ["st-din"]}, "convergence.methods: unknown method 'st-din'"),
        (
            {"methods": ["st-dim", "maj-clf"]},
            "convergence.methods: the probe of maj-clf is of kind majority, which has no epochs",
        ),
        ({"methods": ["supervised"]}, "the probe of supervised is of kind supervised, which has"),
    ],
)
def test_what_is_refused(change, text):
    with pytest.raises(UserError) as error:
        defaults({"convergence": SECTION | change})
    assert text in str(error.value) and "\n" not in str(error.value)


def test_a_closed_form_has_no_epochs():
    with pytest.raises(UserError, match=r"the probe of random-cnn is of kind ridge, which has no"):
        defaults({"convergence": SECTION, "probe": {"kinds": ["ridge", "linear"]}})


def test_f1_by_epochs(tmp_path):
    config = run()
    write_study(config, "convergence", scored(tmp_path, *grown(config)), tmp_path, tmp_path)
    table = pd.read_csv(tmp_path / "convergence.csv")
    mean = table[(table["game"] == "mean") & (table["method"] == "random-cnn")]
    assert mean["epochs"].tolist() == [3, 100, 300]  # in order, the base's among them
    assert mean["f1"].tolist() == pytest.approx([0.203, 0.3, 0.5])
    shown = (tmp_path / "convergence.tex").read_text()
    assert "Game & 3 & 100 & 300" in shown and "Mean & 0.60 & 0.70 & 0.90" in shown
    assert (tmp_path / "convergence.png").stat().st_size > 5000


def test_the_figure_has_the_mean_and_each_game(tmp_path):
    config = run()
    (axes,) = convergence.figure(config, data_of(tmp_path, *grown(config))).axes
    lines = [tuple(line.get_ydata()) for line in axes.lines]
    assert len(lines) == 3 * (2 + 1)
    figure = axes.figure
    FigureCanvasAgg(figure).draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1  # nothing of the legend is cut off
    assert [label.get_text() for label in axes.get_xticklabels()] == ["3", "100", "300"]


def test_what_is_missing_is_named(tmp_path):
    config = run()
    few = [one for one in grown(config) if one["protocol"] != "paper-e300"]
    with pytest.raises(UserError, match=r"convergence needs every game .* paper-e300/random-cnn/"):
        write_study(config, "convergence", scored(tmp_path, *few), tmp_path / "o", tmp_path / "o")
    assert not (tmp_path / "o").exists()
