"""The page: what it has, from which files, and what is refused."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from paged import GAMES, HOSTILE, Tags, configuration, make_run, write_picture
from scored import REFERENCE

from workflow_src import layout
from workflow_src.ari.labels import variables
from workflow_src.cli.main import cli
from workflow_src.errors import DamagedFile, UserError
from workflow_src.report.names import DASH
from workflow_src.report.page import files
from workflow_src.report.page.write import inside_script


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def written(run):
    """The path of the page."""
    run.write(run.directory / layout.PAGE.path)
    return run.directory / layout.PAGE.path


@pytest.fixture(scope="module")
def tags(written):
    return Tags(written.read_text())


def test_the_same_files_give_the_same_bytes(run, written, tmp_path):
    assert run.write(tmp_path / "again.html") == written.read_text()


def test_it_is_sound_html(tags):
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(set(ids)) == len(ids), sorted(name for name in set(ids) if ids.count(name) > 1)
    for link in tags.of("a"):
        assert link["href"].startswith(("#", "data:text/csv;base64,"))
        assert not link["href"].startswith("#") or link["href"][1:] in ids, link
    assert all(
        image["alt"] and image["src"].startswith("data:image/") and image["width"]
        for image in tags.of("img")
    )
    assert (
        len(tags.of("h1"))
        == len([a for a in tags.of("article") if a["class"] == "view"])
        == 3 + len(GAMES)
    )
    assert {"main", "header", "nav", "footer"} <= {tag for tag, _ in tags.found}
    assert tags.of("html")[0]["lang"] == "en"


def test_it_is_one_file_without_addresses(written, tags):
    addresses = [
        a[key] for _, a in tags.found for key in ("src", "href", "srcset", "action") if key in a
    ]
    assert len(addresses) > 50 and all(address.startswith(("#", "data:")) for address in addresses)
    assert not tags.of("link")[1:] and not [a for a in tags.of("script") if "src" in a]
    policy = next(
        a["content"] for a in tags.of("meta") if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert (
        written.read_text().count("DataTables 2.") <= 2
    )  # the library once: its licence, and its style's
    pictures = [a["src"] for a in tags.of("img")]
    # Each once, and one of them on the first screen too.
    made = [p for p in written.parent.rglob("*.*") if p.suffix in (".png", ".gif")]
    assert len(pictures) == len(made) + 1


def test_every_game_has_its_page(run, tags):
    assert [a["data-game"] for a in tags.of("article") if "data-game" in a] == GAMES
    assert [a["value"] for a in tags.of("option")] == ["", *GAMES, "paper", "corrected", ""]
    for game in GAMES:
        heads, below, *rows = tags.rows[f"variables-{game}"]
        assert heads == ["Variable", "Protocol", "MAJ-CLF", "RANDOM-CNN", "ST-DIM"]
        assert below == ["F1", "accuracy"] * 3
        names = sorted(variables("paper-2019", game))
        assert [row[:2] for row in rows] == [
            [name, protocol] for name in names for protocol in ("paper", "corrected")
        ]


def test_splits_say_what_was_dropped_and_why(tags):
    heads, *rows = tags.rows["splits-pong"]
    expected = ["Purpose", "Protocol", "Seed", "Frames", "Train", "Validation", "Test", "Dropped"]
    assert heads == [*expected, "Terminal frame", "Short episode", "Duplicate in train"]
    assert len(rows) == 2 * 2 * 2  # protocols, seeds, purposes
    assert rows[0] == ["pretrain", "paper", "0", "100", "60", "20", "10", "10", "3", "0", "7"]
    heads, *rows = tags.rows["entropies-pong"]
    assert [row[-1] for row in rows[:6]] == [
        "kept",
        "kept",
        "dropped",
        "kept",
        "kept",
        "kept",
    ]  # by name


def test_trainings_are_summed_up(tags):
    heads, *rows = tags.rows["histories-pong"]
    assert heads == [
        "Method",
        "Protocol",
        "Seed",
        "Epochs",
        "Untrained",
        "Least",
        "At epoch",
        "Last",
        "Last train",
    ]
    assert rows[0] == ["ST-DIM", "paper", "0", "2", "5", "2", "1", "3", "1"]
    assert len(rows) == 4


def test_the_headline_is_table_2s_mean(run, tags):
    mean = pd.read_csv(run.directory / "results/tables/table2_f1_by_game.csv").query(
        "game == 'mean' and protocol == 'paper'"
    )
    heads, below, *rows = tags.rows["headline"]
    assert heads == ["Method", "Protocol paper", "Protocol corrected", "Published"]
    assert below == ["F1", "± std", "difference"] * 2
    assert [row[0] for row in rows] == ["MAJ-CLF", "RANDOM-CNN", "ST-DIM"]
    ours, published = mean[["st-dim", "st-dim_paper"]].iloc[0]
    assert rows[2][1] == f"{ours:.3f}"
    assert rows[2][3].replace("−", "-") == f"{ours - published:+.3f}"


def test_names_from_files_are_text(written, tags):
    assert HOSTILE not in written.read_text()
    assert written.read_text().count("&lt;script&gt;alert(1)&lt;/script&gt;") > 10
    assert tags.rows["odd-csv"][2] == ["boxing", "100", HOSTILE]


def test_a_title_that_is_not_known_is_the_files_name(tags):
    assert "odd-csv" in tags.rows
    assert tags.rows["odd-csv"][3] == ["mspacman", DASH, "plain"]


def test_without_an_audit_or_a_figure_there_is_a_page(run, tmp_path):
    text = run.write(tmp_path / "bare.html", shown=[])
    assert "This run has no tables." in text and "This run has no figures." in text
    assert "headline" not in Tags(text).rows


@pytest.mark.parametrize("which", ["scores", "shown", "splits", "histories"])
def test_a_file_that_is_missing_is_named(run, tmp_path, which):
    lost = tmp_path / "random_agent/paper/st-dim/lost-s0.csv"
    with pytest.raises(UserError, match=r"cannot read .*lost-s0\.csv: there is no such file"):
        run.write(tmp_path / "out.html", **{which: lost if which == "scores" else [lost]})
    assert not (tmp_path / "out.html").exists()


@pytest.mark.parametrize(
    "name, content",
    [("a.csv", b""), ("a.csv", b"a\n1,2\n3\n,,\n"), ("a.png", b"none"), ("a.gif", b"")],
)
def test_a_damaged_file_is_named(run, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DamagedFile, match=rf"{name} is damaged"):
        run.write(tmp_path / "out.html", shown=[tmp_path / name])


def test_a_cut_picture_is_damaged(run, tmp_path):
    path = write_picture(tmp_path / "cut.png")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedFile, match=r"cut\.png is damaged"):
        run.write(tmp_path / "out.html", shown=[path])


def test_another_kind_of_file_is_refused(run, tmp_path):
    with pytest.raises(UserError, match=r"cannot show .*a\.pdf: name tables as CSV"):
        run.write(tmp_path / "out.html", shown=[tmp_path / "a.pdf"])


@pytest.mark.parametrize(
    "path, title, game, part",
    [
        ("results/tables/iqm.csv", "Interquartile means", None, "probes"),
        ("/run/results/figures/learning_curves.png", "Learning curves", None, "probes"),
        ("results/figures/learning_curves/pong.png", "Learning curves of pong", "pong", "learning"),
        (
            "results/tables/table4_f1_by_variable/boxing.csv",
            "All variables of boxing",
            "boxing",
            "probes",
        ),
        # Of the whole run, although its name ends in a game's.
        ("results/tables/reproduction_pong.csv", "Pong, reproduced", None, "probes"),
        ("results/audit/frames/boxing.gif", "Frames of boxing", "boxing", "frames"),
        ("results/audit/paper-2019/pong.csv", "Labels of pong, paper-2019", "pong", "labels"),
        ("results/tables/audit.csv", "Label audit", None, "probes"),
        # No game of this run.
        ("results/figures/learning_curves/freeway.png", "Freeway", None, "probes"),
        # Not in the catalogue.
        ("results/tables/odd_one.csv", "Odd one", None, "probes"),
        ("results/tables/odd_pong.csv", "Odd", "pong", "probes"),
        ("results/odd/pong.csv", "Odd", "pong", "probes"),
    ],
)
def test_files_are_placed_by_their_paths(path, title, game, part):
    found = files.subject(configuration(), Path(path))
    assert (found.title, found.game, found.part) == (title, game, part)


def test_code_cannot_end_its_script():
    code = "a='</script>';b='<!--';c=1<d"
    assert inside_script(code) == r"a='\x3C/script>';b='\x3C!--';c=1<d"


def test_the_command_finds_its_files(run, written, monkeypatch):
    monkeypatch.chdir(run.directory)
    Path("config.yaml").write_text(
        yaml.safe_dump(run.config.model_dump(exclude_none=True), sort_keys=False)
    )
    shown = [str(path.relative_to(run.directory)) for path in run.shown]
    done = CliRunner().invoke(
        cli,
        ["report", *shown, "--reference", str(REFERENCE), "--out", "again.html"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    assert Path("again.html").read_bytes() == written.read_bytes()
