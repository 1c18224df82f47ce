"""`atariari probe`, `atariari export`, and the script of 2019."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from atariari.scripts import run_probe
from workflow_src.ari.labels import variables
from workflow_src.cli.main import cli
from workflow_src.cli.one_line import _own
from workflow_src.config.configure import probing
from workflow_src.config.run import Config
from workflow_src.csv_files import read_csv
from workflow_src.errors import UserError
from workflow_src.probes import arrays
from workflow_src.report.one_game import plain_text

ENCODER = """
from torch import nn


class MyEncoder(nn.Module):
    def __init__(self, size=8):
        super().__init__()
        self.layers = nn.Sequential(nn.AvgPool2d(10), nn.Flatten(), nn.Linear(336, size))

    def forward(self, frames):
        return self.layers(frames)
"""


def call(*arguments) -> str:
    """What a command prints; a `UserError` is raised."""
    done = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    if isinstance(done.exception, UserError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def given(tmp_path):
    """Features that have a variable in them, and its labels, in files."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4, 1000)
    features = np.eye(4)[values] * [1e-2, 1, 1, 1] + rng.normal(size=(1000, 4)) * 1e-5
    np.save(tmp_path / "x.npy", features)
    table = pd.DataFrame({"player_x": values, "mood": values % 2, "episode": np.arange(1000) // 50})
    table.to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path


def arguments(folder, *more) -> list:
    return ["probe", "--features", folder / "x.npy", "--labels", folder / "labels.csv", *more]


def test_features_of_any_origin(given):
    said = call(*arguments(given, "--probe", "ridge", "--into", given / "out"))
    assert "700 train + 100 val + 200 test" in said
    table = read_csv(given / "out" / "scores.csv", text=["name", "metric"])
    f1 = table[table["metric"] == "f1"].set_index("name")["value"]
    assert f1["player_x"] == 1.0 and set(f1.index) == {"player_x", "mood"}
    again = call(*arguments(given, "--probe", "ridge", "--into", given / "out"))
    assert again == said


def test_standardised_features_have_deviation_one_over_train(given):
    data = arrays.standardised(arrays.read(given / "x.npy", given / "labels.csv"))
    train = data.parts["train"].values
    assert np.allclose(train.mean(0), 0, atol=1e-5) and np.allclose(train.std(0), 1, atol=1e-2)
    assert data.parts["test"].values.dtype == np.float32


def test_parts_can_be_named(given):
    table = pd.read_csv(given / "labels.csv").drop(columns="episode")
    table["part"] = np.array(["test", "val", "train", "train"])[np.arange(1000) % 4]
    table.to_csv(given / "labels.csv", index=False)
    data = arrays.read(given / "x.npy", given / "labels.csv")
    assert [len(part.labels) for part in data.parts.values()] == [500, 250, 250]
    assert (data.parts["test"].labels[:, 0] == table["player_x"][::4]).all()


@pytest.mark.parametrize("what", ["labels", "other", "damaged"])
def test_nothing_but_scores_is_replaced_by_scores(given, what):
    scores = given / "scores.csv"
    options = ["--features", given / "x.npy", "--labels", given / "labels.csv"]
    if what == "labels":
        (given / "labels.csv").rename(scores)
        options[-1] = scores
    else:
        scores.write_text({"other": "name,mean\nme,1\n", "damaged": "name,metric,value\n"}[what])
    before = scores.read_bytes()
    with pytest.raises(UserError, match="name another folder with --into"):
        call("probe", *options, "--probe", "ridge", "--into", given)
    assert scores.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n5,1,2\n", "row 1 has 3 cells, not 2"),
        ("a,b\n5,1\n5\n", "row 2 has 1 cells, not 2"),
        ("a,a\n1,2\n", "two columns have the same name"),
        (",a\n0,2\n", "or one has none"),
        ("", "no table"),
        ('a\n"1\n', "no table"),
        ("a\n\xff\n", "no table"),
    ],
)
def test_labels_that_pandas_would_shift_are_refused(given, text, said):
    (given / "labels.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=said) as error:
        call(*arguments(given))
    assert "\n" not in str(error.value)


def test_labels_may_begin_with_a_mark_of_utf_8(given):
    labels = given / "labels.csv"
    plain = arrays.read(given / "x.npy", labels).names
    labels.write_bytes(b"\xef\xbb\xbf" + labels.read_bytes())
    assert arrays.read(given / "x.npy", labels).names == plain


def damage(folder, what: str) -> None:
    table, features = pd.read_csv(folder / "labels.csv"), np.load(folder / "x.npy")
    if what == "rows":
        table = table[:-1]
    elif what == "value":
        table.loc[6, "player_x"] = 300
    elif what == "text":
        table["player_x"] = table["player_x"].astype(str).replace("1", "left")
    elif what == "mixed":
        table["episode"] = np.arange(1000) % 2
    elif what == "part":
        table["part"] = "training"
    elif what == "few":
        table["episode"] = 0
    elif what == "nothing":
        table = table[["episode"]]
    elif what == "nan":
        features[3, 1] = np.nan
    elif what == "shape":
        features = features.reshape(500, 2, 4)
    elif what == "large":
        features[3, 1] = 1e300
    elif what == "complex":
        features = features.astype(complex)
    elif what == "empty":
        features = features[:, :0]
    elif what == "objects":
        features = np.array([object()] * 3)
    table.to_csv(folder / "labels.csv", index=False)
    np.save(folder / "x.npy", features)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("rows", "has 1000 rows and .* 999: give one row"),
        ("value", "player_x in row 7 is '300', not a whole number from 0 to 255"),
        ("text", "player_x in row .* is 'left'"),
        ("mixed", "episodes are mixed: sort the rows"),
        ("part", "unknown part 'training'; known: train, val, test"),
        ("few", "no row is in train: give more episodes"),
        ("nothing", "has no variable"),
        ("nan", "infinite or no number"),
        ("shape", r"holds \(500, 2, 4\), not features"),
        ("large", "infinite or no number in float32"),
        ("complex", "holds complex128, not real numbers"),
        ("empty", r"holds \(1000, 0\), not features"),
        ("objects", "is no array of numbers"),
    ],
)
def test_wrong_arrays_are_refused_in_one_line(given, what, said):
    damage(given, what)
    with pytest.raises(UserError, match=said) as error:
        call(*arguments(given))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "nothing to probe"),
        (["--method", "nope"], "unknown method 'nope'"),
        (["--method", "vae", "--protocol", "papr"], r"did you mean paper\?"),
        (["--encoder", "my.py"], "names no class"),
        (["--encoder", "my.py:Enc", "--kwargs", "{"], "--kwargs is no JSON"),
        (["--encoder", "my.py:Enc", "--kwargs", "null"], "it has no names"),
        (["--encoder", "my.py:Enc", "--kwargs", '{"a": 1, "a": 2}'], "a name occurs twice"),
        (["--encoder", "~nobodyatall/my.py:Enc"], "no home directory of ~nobodyatall"),
        (["--method", "vae", "--weights", "w.pt"], "belong to --encoder"),
        (["--method", "vae", "--standardise"], "--method random-cnn-standardised"),
        (["--features", "x.npy"], "belong together"),
        (["--features", "x.npy", "--labels", "y.csv"], "come from elsewhere"),
        (["--encoder", "my.py:Enc", "--weights", "w.pkl"], "could run code"),
    ],
)
def test_wrong_options_are_refused_in_one_line(tmp_path, more, said):
    with pytest.raises(UserError, match=said) as error:
        call("probe", "--game", "pong", "--into", tmp_path / "run", *more)
    assert "\n" not in str(error.value) and not (tmp_path / "run" / "results").exists()


@pytest.mark.parametrize(
    "more", [["--size", 84], ["--stack", 4], ["--color", "rgb"], ["--kwargs", '{"size": 1}']]
)
def test_options_of_encoders_are_not_for_features(given, more):
    with pytest.raises(UserError, match="belong to --encoder"):
        call(*arguments(given, *more))


def test_a_class_of_ones_own_does_not_take_the_name_of_a_method():
    own = _own("mine.py:VAE", "{}", None, {}) | _own("mine.py:RandomCnn", "{}", None, {})
    assert list(own) == ["my-vae", "my-random-cnn"]
    assert list(_own("mine.py:Mine", "{}", None, {})) == ["mine"]


def test_a_run_has_only_what_is_probed():
    config = Config.check(probing("quick", "pong", "corrected", 3, ["vae"], {}, "ridge"), "here")
    assert (config.games, config.seeds, list(config.methods)) == (["pong"], [3], ["vae"])
    assert list(config.protocols) == ["corrected"] and config.probe.kinds == ["ridge"]
    # Ten epochs need ten times the rate under any protocol.
    assert config.protocols["corrected"].probes.lr == 3.0e-3 and config.probe.epochs == 10
    paper = Config.check(
        probing("paper", "pong", "paper", 0, ["random-cnn-whitened"], {}, "linear"), "here"
    )
    assert list(paper.methods) == ["random-cnn", "random-cnn-whitened"]
    assert paper.probe.epochs == 100 and paper.protocols["paper"].probes.lr == 3.0e-4


@pytest.mark.slow
def test_an_encoder_of_ones_own_in_one_line(tmp_path):
    (tmp_path / "enc.py").write_text(ENCODER)

    def probe(size: int) -> str:
        options = ["--encoder", "enc.py:MyEncoder", "--kwargs", json.dumps({"size": size})]
        done = subprocess.run(
            [sys.executable, "-m", "atariari", "probe", "--game", "PongNoFrameskip-v4", *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = probe(8)
    assert "MY-ENCODER" in said and "mean over categories" in said and "0.81" in said
    made = sorted(
        str(f.relative_to(tmp_path)) for f in tmp_path.rglob("results/**/*") if f.is_file()
    )
    # No encoder's frames, no audit, no tables: nothing that this does not need.
    kinds = sorted({file.split("results/")[1].split("/")[0] for file in made})
    assert kinds == [*("encoders", "episodes", "metrics.json", "probes", "scores.csv", "splits")]
    assert not any("pretrain" in file for file in made)
    frames = next(tmp_path.rglob("*.b2nd"))
    scores, played = next(tmp_path.rglob("scores.csv")), frames.stat().st_mtime_ns
    before = scores.read_bytes()
    probe(16)
    assert scores.read_bytes() != before and frames.stat().st_mtime_ns == played


def test_export(tmp_path):
    for form in ("npz", "parquet"):
        out = tmp_path / f"pong.{form}"
        said = call(*f"export --game pong --frames 600 --quiet --format {form} --out {out}".split())
        assert "600 frames of pong" in said
    with np.load(tmp_path / "pong.npz") as file:
        arrays_of = dict(file)
    table = pd.read_parquet(tmp_path / "pong.parquet")
    known = variables("paper-2019", "pong")
    assert list(arrays_of["names"]) == list(known) and arrays_of["frames"].shape == (600, 210, 160)
    for row in (0, 300, 599):
        frame = np.frombuffer(table["frame"][row], np.uint8).reshape(210, 160)
        ram = np.frombuffer(table["ram"][row], np.uint8)
        assert (frame == arrays_of["frames"][row]).all() and (ram == arrays_of["ram"][row]).all()
        for column, (name, index) in enumerate(known.items()):
            value = int(ram[index])
            assert value == table[f"label_{name}"][row] == arrays_of["labels"][row, column]
    assert len({frame.tobytes() for frame in arrays_of["frames"][:300]}) > 50
    again = tmp_path / "again.npz"
    call(*f"export --game pong --frames 600 --quiet --out {again}".split())
    assert again.read_bytes() == (tmp_path / "pong.npz").read_bytes()
    assert [file.name for file in tmp_path.iterdir() if file.is_dir()] == []


def test_export_makes_the_form_that_a_name_ends_in(tmp_path):
    out = tmp_path / "new" / "folder" / "pong.parquet"
    call(*f"export --game pong --frames 40 --quiet --out {out}".split())
    assert len(pd.read_parquet(out)) == 40
    assert [file.name for file in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--out", "x.parquet", "--format", "npz"], "give both the same ending"),
        (["--out", ""], "is a directory"),
    ],
)
def test_export_plays_nothing_for_a_file_that_cannot_be(tmp_path, monkeypatch, more, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        call("export", "--game", "pong", "--frames", 10**9, *more)
    assert not any(tmp_path.iterdir())


def test_the_table_of_a_game_has_means_over_categories():
    text = plain_text({"A": {"ball_x": 0.2, "ball_y": 0.4, "player_x": 0.9, "mood": 1.0}}, "title")
    rows = {line[:28].strip(): line.split()[-1] for line in text.splitlines()}
    assert rows["small_object_localization"] == "0.30" and rows["agent_localization"] == "0.90"
    assert rows["mean over categories"] == "0.60" and rows["mean over variables"] == "0.62"
    assert "mean over categories" not in plain_text({"A": {"mood": 1.0}}, "title")


def test_the_script_of_2019():
    arguments = ["--method", "infonce-stdim", "--env-name", "PongNoFrameskip-v4"]
    assert run_probe.command(arguments) == [
        *("probe", "--method", "st-dim", "--game", "PongNoFrameskip-v4"),
        *("--seed", "42", "--scale", "paper"),
    ]
    known = Config.load("config.yaml").methods
    assert set(run_probe.METHODS.values()) <= set(known)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "pretrained-rl-agent"], "--preset ppo"),
        (["--collect-mode", "pretrained_ppo"], "--preset ppo"),
        (["--num-processes", "8"], "--num-processes is episodes.num_envs in config.yaml"),
        (["--weights-path", "w.pt"], "atariari probe --encoder --weights"),
        (["--color"], "--color is not known"),
        (["--method", "stdim"], "invalid choice: 'stdim'"),
    ],
)
def test_the_script_of_2019_refuses_by_name(capsys, arguments, said):
    with pytest.raises(SystemExit) as error:
        run_probe.command(arguments)
    assert error.value.code == 2 and said in capsys.readouterr().err
