"""The page: what stands in it, and what it does in a real browser, from a file, without a network."""

import itertools
import re
import shutil
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from conftest import needs
from PIL import Image

from workflow_src import artifacts, layout
from workflow_src.ari.labels import categories, variables
from workflow_src.cli.main import cli
from workflow_src.config.run import Config, defaults
from workflow_src.errors import DamagedFile, UserError
from workflow_src.report import cells, page
from workflow_src.report.names import CATEGORY_NAMES, DASH, title
from workflow_src.report.scores import COLUMNS, TYPES
from workflow_src.report.tables import write_tables

ROOT = Path(__file__).parents[1]
GAMES = ["pong", "boxing", "mspacman"]
METHODS = ["maj-clf", "random-cnn", "st-dim"]
HOSTILE = "<script>alert(1)</script>"
REASONS = ["its episode", "terminal frame", "short episode", "duplicate in train"]


@pytest.fixture(scope="module")
def config():
    """Three games, both protocols, two seeds, three methods."""
    others = [
        name
        for name in yaml.safe_load((ROOT / "config.yaml").read_text())["methods"]
        if name not in METHODS
    ]
    return defaults(
        {
            "games": GAMES,
            "seeds": [0, 1],
            "methods": dict.fromkeys(others),
            "ledger": None,
            "scaling": None,
        }
    )


def scores(config: Config) -> pd.DataFrame:
    """Scores of every probe: by variable of the game, by category, and their means."""
    random, rows = np.random.default_rng(0), []
    for game, protocol, (method, row), seed in itertools.product(
        config.games, config.protocols, config.methods.items(), config.seeds
    ):
        head = [
            "random_agent",
            protocol,
            method,
            row.probe_names(config.probe.kinds)[0],
            game,
            seed,
            config.label_set,
        ]
        names = {"variable": list(variables(config.label_set, game)), "mean_over_categories": [""]}
        names |= {"mean_over_variables": [""], "mean_weighted": [""]}
        names["category"] = [
            c for c in CATEGORY_NAMES if any(c in categories(v) for v in names["variable"])
        ]
        for level, metric in itertools.product(names, ("f1", "accuracy")):
            rows += [[*head, level, name, metric, random.uniform()] for name in names[level]]
    return pd.DataFrame(rows, columns=COLUMNS).astype(TYPES)


def write_split(
    path: Path, config: Config, purpose: str, protocol: str, game: str, seed: int
) -> None:
    """A split of 100 frames: 60 train, 20 val, 10 test, and 10 dropped, 7 of which are duplicates."""
    part = np.repeat(np.array([0, 1, 2, 3], np.uint8), [60, 20, 10, 10])
    reason = np.repeat(np.array([0, 1, 3], np.uint8), [90, 3, 7])
    names = list(variables(config.label_set, game))
    about = {
        name: {"entropy": 0.1 * number, "kept": number > 0} for number, name in enumerate(names)
    }
    header = {
        "game": game,
        "policy": "random_agent",
        "protocol": protocol,
        "purpose": purpose,
        "seed": seed,
    }
    header |= {"parts": ["train", "val", "test", "dropped"], "reasons": REASONS}
    header |= {"label_set": config.label_set, "variables": about} if purpose == "probe" else {}
    artifacts.write_arrays(path, "split", {"part": part, "reason": reason}, header)


def write_picture(path: Path, frames: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shades = [Image.new("L", (320, 210), 40 * shade) for shade in range(frames)]
    shades[0].save(path, save_all=frames > 1, append_images=shades[1:]) if frames > 1 else shades[
        0
    ].save(path, dpi=(300, 300))
    return path


@dataclass(frozen=True)
class Run:
    """A small run of made files, and how its page is written."""

    config: Config
    directory: Path
    shown: list[Path]

    def files(self, names: list[str]) -> list[Path]:
        return [self.directory / name for name in names]

    def write(self, out: Path, **change) -> str:
        arguments = {
            "scores": self.directory / layout.SCORES,
            "shown": self.shown,
            "splits": self.files(layout.splits(self.config)),
            "histories": self.files(layout.encoders(self.config, layout.HISTORY)),
        }
        page.write_report(self.config, **(arguments | change), out=out)
        return out.read_text()


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    """All that the page shows, each file small: the real tables, and pictures of one shade."""
    directory = tmp_path_factory.mktemp("run")
    results = directory / "results"
    artifacts.write_text(results / "scores.csv", scores(config).to_csv(index=False))
    write_tables(config, results / "scores.csv", ROOT / "reference", results / "tables")
    artifacts.write_text(
        results / "tables/odd.csv",
        f"game,amount,why\npong,9,\nboxing,100,{HOSTILE}\nmspacman,,plain\n"
        + "".join(f"g{number},{number},x\n" for number in (10, 11, 12, 13)),
    )
    for game in config.games:
        for seed, protocol in itertools.product(config.seeds, config.protocols):
            for purpose in ("pretrain", "probe"):
                names = {"purpose": purpose, "protocol": protocol, "game": game, "seed": seed}
                write_split(
                    directory / layout.SPLIT.format(policy="random_agent", **names), config, **names
                )
        verdicts = itertools.cycle(["alive", "constant", "suspicious"])
        rows = "".join(
            f"{name},{byte},{next(verdicts)},{HOSTILE}\n"
            for name, byte in variables("paper-2019", game).items()
        )
        for label_set in ("paper-2019", "revised-2020"):
            audit = layout.AUDIT.format(label_set=label_set, game=game)
            artifacts.write_text(
                directory / f"{audit}.csv", f"variable,ram_index,verdict,reason\n{rows}"
            )
            write_picture(directory / f"{audit}.png")
        write_picture(directory / f"{layout.FRAMES.format(game=game)}.png")
        write_picture(directory / f"{layout.FRAMES.format(game=game)}.gif", frames=3)
        write_picture(results / f"figures/learning_curves/{game}.png")
    for path in layout.encoders(config, layout.HISTORY):
        text = "epoch,train_loss,val_loss\n0,4,5\n1,3,2\n2,1,3\n" if "st-dim" in path else "epoch\n"
        artifacts.write_text(directory / path, text)
    write_picture(results / "figures/f1_by_game.png")
    write_picture(results / "figures/learning_curves.png")
    shown = sorted(
        [
            *(results / "tables").glob("*.csv"),
            *(results / "figures").rglob("*.png"),
            *results.rglob("audit/*/*"),
        ]
    )
    return Run(config, directory, shown)


@pytest.fixture(scope="module")
def written(run):
    """The path of the page."""
    run.write(run.directory / layout.REPORT)
    return run.directory / layout.REPORT


class Tags(HTMLParser):
    """Every element of a page, as (tag, attributes), and the text of each table's rows."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.rows: dict[str, list[list[str]]] = {}  # by the id of the section they stand in
        self.section = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag == "section" and "id" in dict(attrs):
            self.section = dict(attrs)["id"]
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")

    def handle_data(self, data):
        if self.rows.get(self.section, [[]])[-1]:
            self.rows[self.section][-1][-1] += data.strip()

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def tags(written):
    return Tags(written.read_text())


# What stands in it


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
    assert len(pictures) == len(
        [p for p in written.parent.rglob("*.*") if p.suffix in (".png", ".gif")]
    )


def test_every_game_has_its_page(run, tags):
    assert [a["data-game"] for a in tags.of("article") if "data-game" in a] == GAMES
    assert [a["value"] for a in tags.of("option")] == ["", *GAMES]
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
    assert heads == ["Method", "Published", "Protocol paper", "Protocol corrected"]
    assert below == ["F1", "± std", "difference"] * 2
    assert [row[0] for row in rows] == ["MAJ-CLF", "RANDOM-CNN", "ST-DIM"]
    ours, published = mean[["st-dim", "st-dim_paper"]].iloc[0]
    assert rows[2][2] == f"{ours:.3f}"
    assert rows[2][4].replace("−", "-") == f"{ours - published:+.3f}"


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


# Files


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
    "path, key, names",
    [
        ("results/tables/iqm.csv", "iqm", {}),
        ("/run/results/figures/learning_curves.png", "learning_curves", {}),
        ("results/figures/learning_curves/pong.png", "learning_curves/{game}", {"game": "pong"}),
        ("results/tables/table4_pong.csv", "table4_{game}", {"game": "pong"}),
        (
            "results/tables/reproduction_pong.csv",
            "reproduction_pong",
            {},
        ),  # of the whole run by its title
        ("results/audit/frames/boxing.gif", "audit/frames/{game}", {"game": "boxing"}),
        (
            "results/audit/paper-2019/pong.csv",
            "audit/{label_set}/{game}",
            {"game": "pong", "label_set": "paper-2019"},
        ),
        ("results/tables/audit.csv", "audit", {}),
        ("results/tables/table4_freeway.csv", "table4_freeway", {}),  # no game of this run
    ],
)
def test_files_are_placed_by_their_paths(config, path, key, names):
    assert page.subject(Path(path), config) == (key, names)


@pytest.mark.parametrize(
    "key, shown", [("odd_one", "Odd one"), ("odd/{game}", "Odd"), ("odd_{game}", "Odd")]
)
def test_titles_that_are_not_known_are_names(key, shown):
    assert title(key, game="pong") == (shown, "")
    assert title("learning_curves/{game}", game="pong")[0] == "Learning curves of pong"


# Tables


def test_numbers_have_the_decimals_they_need():
    assert cells.numbers(pd.Series([1.0, np.nan, 12000])) == ["1", DASH, "12,000"]
    assert cells.numbers(pd.Series([0.1, 0.25])) == ["0.10", "0.25"]
    assert cells.numbers(pd.Series([0.1, -0.12345]), signed=True) == ["+0.100", "−0.123"]


def test_heads_of_one_method_stand_below_its_name(config):
    frame = pd.DataFrame(
        {
            "policy": "p",
            "game": ["pong", "mean"],
            "st-dim": [0.5, 0.25],
            "st-dim_paper": [0.81, np.nan],
        }
    )
    found = cells.table(config, frame.assign(**{"st-dim_std": np.nan}), "t", caption="Said.")
    assert [(head.text, head.span) for head in found.groups] == [("Game", 1), ("ST-DIM", 2)]
    assert [head.text for head in found.heads if head.below] == ["ours", "paper"]
    assert found.caption == "Said. Policy p."
    assert found.summaries == [False, True]
    assert found.rows[0][0] == cells.Cell("pong", href="#game=pong")
    assert found.rows[1][2] == cells.Cell(DASH, order="")


def test_a_verdict_is_a_badge_and_comes_early(config):
    row = {
        "variable": "ball_x",
        "ram_index": 49,
        "least": 0,
        "verdict": "constant",
        "reason": "always 0",
    }
    found = cells.table(config, pd.DataFrame([row]), "t")
    assert [head.text for head in found.heads] == [
        "Variable",
        "Verdict",
        "Reason",
        "RAM byte",
        "Least",
    ]
    assert found.rows[0][1] == cells.Cell("constant", badge="bad")


def test_code_cannot_end_its_script():
    code = "a='</script>';b='<!--';c=1<d"
    assert page.inside_script(code) == r"a='\x3C/script>';b='\x3C!--';c=1<d"


# What it was made with


def test_hardware_and_versions_are_told(monkeypatch):
    assert page.versions()["numpy"] == np.__version__
    monkeypatch.setattr(page, "PACKAGES", ("no-such-package",))
    assert list(page.versions()) == ["Python"]
    assert page.hardware()["Processor"]


def test_gpus_are_named_where_there_are_any(monkeypatch, tmp_path):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho NVIDIA H200\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert page.hardware()["GPU"] == "NVIDIA H200"
    smi.write_text("#!/bin/sh\nexit 9\n")
    assert page.hardware()["GPU"] == "none"


def test_the_command_finds_its_files(run, written, monkeypatch):
    monkeypatch.chdir(run.directory)
    Path("config.yaml").write_text(
        yaml.safe_dump(run.config.model_dump(exclude_none=True), sort_keys=False)
    )
    shown = [str(path.relative_to(run.directory)) for path in run.shown]
    done = CliRunner().invoke(
        cli, ["report", *shown, "--out", "again.html"], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert Path("again.html").read_bytes() == written.read_bytes()


# In a browser

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync", "--no-first-run"]


@pytest.fixture(scope="module")
def browser():
    needs("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGUMENTS
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, written):
    """Open the page at an address; at the end there was no request but for the file itself, and no complaint."""
    requests, complaints, contexts = [], [], []

    def visit(address="", wait=True, **settings):
        contexts.append(browser.new_context(**settings))
        contexts[-1].set_default_timeout(15_000)
        tab = contexts[-1].new_page()
        tab.on("request", lambda request: requests.append(request.url))
        tab.on(
            "console",
            lambda said: (
                complaints.append(said.text) if said.type in ("error", "warning") else None
            ),
        )
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(f"{written.as_uri()}#{address}")
        if wait:
            tab.wait_for_selector(".view.shown[data-ready]")
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert {
        re.sub("#.*", "", url) for url in requests if not url.startswith(("data:", "blob:"))
    } <= {written.as_uri()}
    assert complaints == []


def column(tab, section, number):
    return tab.eval_on_selector_all(
        f"#{section} tbody tr td:nth-child({number})", "cells => cells.map(c => c.textContent)"
    )


def views(tab):
    return tab.eval_on_selector_all(
        ".view", "views => views.filter(v => v.checkVisibility()).map(v => v.id)"
    )


def until(tab, found, expected):
    """Wait until ``found()`` is ``expected``: a browser draws when it has time to."""
    for _ in range(250):
        if found() == expected:
            return
        tab.wait_for_timeout(20)
    assert found() == expected


def background(tab):
    return tab.evaluate("getComputedStyle(document.body).backgroundColor")


def overflow(tab):
    return tab.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


@pytest.mark.parametrize("address", ["", "tables", "figures", *(f"game={game}" for game in GAMES)])
def test_every_page_opens_without_a_request_or_complaint(visit, address):
    tab = visit(address)
    until(tab, lambda: views(tab), [address or "overview"])
    tab.eval_on_selector_all(".view.shown details", "all => all.forEach(one => one.open = true)")
    for image in tab.query_selector_all(".view.shown img"):
        image.scroll_into_view_if_needed()
        tab.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=image)
    assert tab.query_selector_all(".view.shown table.sheet:not(.dataTable)") == []


def test_the_policy_forbids_requests(browser, written):
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto(written.as_uri())
        assert (
            tab.evaluate("fetch('http://127.0.0.1:9/').then(() => 'went', error => error.name)")
            == "TypeError"
        )
        refused = "new Promise(r => { document.addEventListener('securitypolicyviolation', e => r(e.effectiveDirective));"
        assert (
            tab.evaluate(refused + "new Image().src = 'http://127.0.0.1:9/a.png' })") == "img-src"
        )


def test_a_table_sorts_numbers_as_numbers(visit):
    tab = visit("tables")
    until(tab, lambda: column(tab, "odd-csv", 2), ["9", "100", DASH, "10", "11", "12", "13"])
    tab.click("#odd-csv thead th:nth-child(2)")
    until(tab, lambda: column(tab, "odd-csv", 2), [DASH, "9", "10", "11", "12", "13", "100"])
    tab.click("#odd-csv thead th:nth-child(2)")
    until(tab, lambda: column(tab, "odd-csv", 2), ["100", "13", "12", "11", "10", "9", DASH])


def test_a_table_below_two_rows_of_heads_sorts(visit):
    tab = visit("game=mspacman")
    tab.click("#variables-mspacman thead tr:nth-child(2) th:nth-child(1)")
    found = sorted(column(tab, "variables-mspacman", 3), key=float)
    until(tab, lambda: column(tab, "variables-mspacman", 3), found)
    tab.click(
        "#variables-mspacman thead th.group >> nth=0"
    )  # a head of several columns sorts nothing
    tab.wait_for_timeout(100)
    assert column(tab, "variables-mspacman", 3) == found


def test_a_table_filters(visit):
    tab = visit("tables")
    tab.get_by_role("searchbox", name="Filter rows of Odd").fill("plain")
    until(tab, lambda: column(tab, "odd-csv", 1), ["mspacman"])
    tab.fill("#odd-csv input[type=search]", "")
    until(tab, lambda: len(column(tab, "odd-csv", 1)), 7)


def test_games_are_chosen_by_list_link_and_address(visit):
    tab = visit()
    tab.select_option("#game", "boxing")
    tab.wait_for_selector("[id='game=boxing'].shown[data-ready]")
    until(tab, lambda: views(tab), ["game=boxing"])
    assert tab.url.endswith("#game=boxing")
    assert tab.title() == "boxing – AtariARI report"
    tab.click("a[rel=next]:visible")
    until(tab, lambda: views(tab), ["game=mspacman"])
    assert tab.input_value("#game") == "mspacman"
    tab.go_back()
    until(tab, lambda: views(tab), ["game=boxing"])
    tab.click("header nav a[href='#figures']")
    until(tab, lambda: views(tab), ["figures"])
    assert tab.get_attribute("header nav a[href='#figures']", "aria-current") == "page"
    assert tab.input_value("#game") == ""
    assert views(visit("pong")) == ["game=pong"]  # the short form
    assert views(visit("nothing%20there")) == ["overview"]


def test_an_address_inside_of_a_page_opens_it(visit):
    tab = visit("odd-csv")
    until(tab, lambda: views(tab), ["tables"])
    assert tab.evaluate(
        "document.getElementById('odd-csv').getBoundingClientRect().top < innerHeight"
    )


def test_light_and_dark_follow_the_system_and_the_button(visit):
    light, dark = visit(color_scheme="light"), visit(color_scheme="dark")
    white, black = background(light), background(dark)
    assert white != black
    light.click("#theme")
    until(light, lambda: background(light), black)
    assert light.get_attribute("#theme", "aria-pressed") == "true"
    light.reload()
    until(light, lambda: background(light), black)  # remembered
    light.click("#theme")
    until(light, lambda: background(light), white)
    dark.emulate_media(color_scheme="light")
    until(dark, lambda: background(dark), white)
    paper = visit("figures", color_scheme="dark").eval_on_selector(
        ".picture", "box => getComputedStyle(box).backgroundColor"
    )
    assert min(map(int, re.findall(r"\d+", paper)[:3])) > 230  # figures are drawn for white


def test_it_works_where_nothing_can_be_remembered(visit, browser, written):
    with browser.new_context(color_scheme="light") as context:
        context.add_init_script(
            "Object.defineProperty(window, 'localStorage', { get() { throw new Error('forbidden') } })"
        )
        tab = context.new_page()
        tab.goto(written.as_uri())
        before = background(tab)
        tab.click("#theme")
        until(tab, lambda: background(tab) != before, True)


@pytest.mark.parametrize("address", ["", "tables", "figures", "game=mspacman"])
def test_a_phone_never_scrolls_sideways(visit, address):
    tab = visit(address, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    assert overflow(tab) == 0
    assert tab.evaluate("visualViewport.scale") == 1


def test_wide_tables_scroll_in_their_box(visit):
    tab = visit("game=mspacman", viewport={"width": 390, "height": 844})
    box = tab.query_selector("#variables-mspacman [role=region]")
    assert box.evaluate("box => [box.scrollWidth > box.clientWidth, box.tabIndex]") == [True, 0]


def test_the_keyboard_is_enough(visit):
    tab = visit()

    def go_to(what):
        for _ in range(200):
            tab.keyboard.press("Tab")
            if tab.evaluate("what => document.activeElement.closest(what) !== null", what):
                return
        raise AssertionError(f"Tab never comes to {what}")

    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    go_to("a[href='#tables']")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#tables.shown[data-ready]")
    until(tab, lambda: tab.evaluate("document.activeElement.tagName"), "H1")
    go_to("#odd-csv th:nth-child(2)")
    tab.keyboard.press("Enter")
    until(tab, lambda: column(tab, "odd-csv", 2)[1:3], ["9", "10"])
    tab.focus("#game")
    tab.keyboard.press("p")
    tab.wait_for_selector("[id='game=pong'].shown")
    until(
        tab, lambda: tab.evaluate("document.activeElement.id"), "game"
    )  # who steps through the list stays in it
    tab.focus(".skip")
    tab.keyboard.press("Enter")
    until(tab, lambda: tab.evaluate("document.activeElement.id"), "content")
    assert views(tab) == ["game=pong"]


def test_an_animation_plays_when_it_is_asked_for(visit):
    tab = visit("game=pong")
    assert not tab.is_visible(".view.shown .animation img")
    tab.focus(".view.shown .animation summary")
    tab.keyboard.press("Enter")
    until(tab, lambda: tab.is_visible(".view.shown .animation img"), True)


def test_without_scripts_all_can_be_read(browser, written):
    with browser.new_context(java_script_enabled=False) as context:
        tab = context.new_page()
        tab.goto(written.as_uri())
        assert (
            tab.locator("#overview").is_visible()
            and tab.locator("[id='game=pong'] table").first.is_visible()
        )
        assert not tab.locator("#theme").is_visible() and not tab.locator("#game").is_visible()
