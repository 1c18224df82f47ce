"""The label audit: each measure on arrays checked by hand, the published cases on the real games,
the same bytes twice.
"""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image
from workflow import ROOT

from workflow_src import artifacts, layout
from workflow_src.ari.labels import labels, variables
from workflow_src.audit import measured, recorded, writing
from workflow_src.audit.measure import annotated, generator, measure
from workflow_src.audit.verdict import ALIVE, CONSTANT, SUSPICIOUS, Byte, usual_values, verdict
from workflow_src.cli.main import cli
from workflow_src.config.run import defaults
from workflow_src.csv_files import read_cells, write_csv
from workflow_src.emulator.environment import NOOP, Environment
from workflow_src.errors import DamagedFile, UserError
from workflow_src.report.audit import frame_sheets, picture, summary
from workflow_src.report.audit import variables as audit

pytestmark = pytest.mark.slow

FRAMES = 3000


@pytest.fixture(scope="module")
def settings():
    return defaults({"label_set": "revised-2020", "games": ["pong"]}).episodes


@pytest.fixture(scope="module")
def measurements(play, settings, tmp_path_factory):
    """The file of measurements of a real game at a moderate scale, made once."""
    folder, made = tmp_path_factory.mktemp("measured"), {}

    def measurements(game):
        if game not in made:
            made[game] = folder / f"{game}.safetensors"
            measure(game, play(game, FRAMES), 0, settings, made[game])
        return made[game]

    return measurements


@pytest.fixture(scope="module")
def table(measurements):
    """The table of a real game, by variable."""

    def table(game, label_set):
        arrays, header = measured.read(measurements(game))
        return audit.audit_table(arrays, label_set, header["game"]).set_index("variable")

    return table


# What the reproduction report says, found again.


def test_the_lives_of_space_invaders_are_found_in_the_revised_set_alone(table):
    one = table("spaceinvaders", "paper-2019").loc["num_lives"]
    assert (one["ram_index"], one["verdict"]) == (125, SUSPICIOUS)
    assert one["reason"].startswith("does not follow the lives: it knows 0.")
    assert one["knows_lives"] < 0.5
    one = table("spaceinvaders", "revised-2020").loc["num_lives"]
    assert (one["ram_index"], one["verdict"], one["reason"]) == (73, ALIVE, "")
    assert one["knows_lives"] > 0.95 and one["at_lives"] == one["with_lives"] == 1


def test_montezumas_direction_is_more_than_a_direction(table):
    found = table("montezumarevenge", "paper-2019")
    one = found.loc["player_direction"]
    assert one["verdict"] == SUSPICIOUS and one["values"] > 4
    assert "differ in 6 bits: directions are 2, 4, 8, 16 or one more, in 4 bits" in one["reason"]
    assert (
        found.loc[["player_x", "player_y", "enemy_skull_x", "num_lives"], "verdict"].eq(ALIVE).all()
    )
    assert found.loc["room_number", ["verdict", "reason"]].tolist() == [
        CONSTANT,
        "1 in every frame",
    ]


def test_breakouts_blocks_are_constant_but_real(table):
    found = table("breakout", "paper-2019")
    blocks = found.filter(like="block_bit_map", axis=0)
    constant = blocks[blocks["verdict"] == CONSTANT]
    assert len(blocks) == 30 and len(constant) >= 15
    assert (constant["reason"] == [f"{value} in every frame" for value in constant["least"]]).all()
    # Nobody hit them, but the screen shows them: the annotation is right.
    assert (constant["pixels"] > 0).all()
    assert found.loc[["player_x", "ball_x", "ball_y", "score"], "verdict"].eq(ALIVE).all()


def test_good_variables_are_alive(table):
    found = table("boxing", "paper-2019")
    assert (found["verdict"] == ALIVE).all()
    assert (found.loc[["player_x", "enemy_x"], "moves_x"] > 0.95).all()
    assert (found.loc[["player_y", "enemy_y"], "moves_y"] > 0.95).all()
    assert (found.loc[["player_x", "enemy_x", "player_y", "enemy_y"], "readable"] > 0.7).all()
    assert (found.loc[["player_score", "enemy_score"], "with_rewards"] == 1).all()


def test_a_byte_of_the_paddle_is_overwritten_but_read_from_frames(table):
    one = table("pong", "paper-2019").loc["player_y"]
    assert (one["verdict"], one["overwritten"], one["pixels"]) == (ALIVE, 1, 0)
    assert one["readable"] > 0.5
    assert table("pong", "paper-2019").loc["ball_x", "moves_x"] > 0.95


# The verdict.


def counts(**shares):
    """Counts (256,) of a thousand frames: ``counts(v3=600, v7=400)``."""
    found = np.zeros(256, np.int64)
    for value, count in shares.items():
        found[int(value[1:])] = count
    return found


GOOD = Byte(counts(v0=500, v1=500), np.nan, np.nan, np.nan, 0.1, 0.0, 0.0, 0.0, 0.9)
SIX = counts(v0=200, v1=200, v2=200, v3=200, v4=100, v5=100)


@pytest.mark.parametrize(
    ("variable", "change", "reason"),
    [
        ("ball_x", {}, None),
        ("num_lives", {"knows_lives": 0.95}, None),
        ("num_lives", {}, None),  # the lives never change: nothing to judge by
        ("num_lives", {"knows_lives": 0.06}, "does not follow the lives: it knows 0.06 of them"),
        ("lifes", {"knows_lives": 0.06}, "does not follow the lives"),
        ("game_level", {"knows_lives": 1.0, "lives_know": 1.0}, "is a copy of the lives"),
        ("game_level", {"knows_lives": 1.0, "lives_know": 0.5}, None),
        ("num_lives", {"knows_lives": 1.0, "lives_know": 1.0}, None),
        ("score_1", {"with_rewards": 1.0}, None),
        (
            "score_1",
            {"with_rewards": 0.25},
            "does not follow the rewards: 0.25 of its changes come with one",
        ),
        ("ball_x", {"with_rewards": 0.0}, None),
        (
            "player_direction",
            {"counts": SIX},
            r"takes 6 values \(6 make up 99%\) that differ in 3 bits",
        ),
        ("player_direction", {"counts": counts(v0=500, v1=200, v2=200, v4=50, v8=50)}, None),
        (
            "player_direction",
            {"counts": counts(v0=500, v1=200, v16=300, v64=400, v128=200, v2=200, v4=100, v8=100)},
            "7 bits",
        ),
        (
            "player_direction",
            {"counts": counts(v0=500, v8=491, v1=4, v2=5)},
            None,
        ),  # two, and rare ones
        ("num_lives_direction", {"counts": SIX}, None),  # lives too: the number says nothing
        ("pin_existence_0", {"counts": counts(v5=600, v255=399, v1=1)}, None),
        (
            "pin_existence_0",
            {"counts": counts(v5=600, v255=300, v1=100)},
            r"takes 3 values .* existence is binary",
        ),
        (
            "ball_x",
            {"moves_x": 0.2, "moves_y": -0.95},
            r"the other axis: -0\.95, along its own \+0\.20",
        ),
        ("ball_y", {"moves_x": 0.2, "moves_y": -0.95}, None),
        ("ball_x", {"moves_x": 0.7, "moves_y": 0.95}, None),
        ("fruit_x", {"pixels": 0.0}, None),
        (
            "fruit_x",
            {"pixels": 0.0, "readable": 0.1},
            r"changes no pixel and frames do not show it \(R² 0\.10\)$",
        ),
        (
            "fruit_x",
            {"pixels": 0.0, "readable": np.nan, "overwritten": 1.0},
            "the game overwrites it and frames tell nothing$",
        ),
        (
            "fruit_x",
            {"pixels": 0.0, "readable": 0.1, "counts": counts(v0=999, v9=1)},
            "; 99.9% of frames have one value$",
        ),
        ("fruit_x", {"pixels": 1e-6, "readable": -1.0}, None),
    ],
)
def test_verdicts(variable, change, reason):
    judged, found = verdict(variable, GOOD._replace(**change))
    if reason is None:
        assert (judged, found) == (ALIVE, "")
    else:
        assert judged == SUSPICIOUS
        assert pd.Series([found]).str.contains(reason).all(), found


def test_one_value_is_constant_whatever_else_is_wrong():
    byte = GOOD._replace(counts=counts(v7=1000), knows_lives=0.0, pixels=0.0, readable=np.nan)
    assert verdict("num_lives", byte) == (CONSTANT, "7 in every frame")


def test_all_reasons_are_given():
    _, reason = verdict("num_lives", GOOD._replace(knows_lives=0.1, pixels=0.0, readable=0.0))
    assert reason.split("; ")[0].startswith("does not follow") and reason.split("; ")[1].startswith(
        "writing it"
    )


def test_usual_values_make_up_99_percent():
    assert usual_values(counts(v3=990, v7=9, v200=1)).tolist() == [3]
    assert usual_values(counts(v3=100, v7=889, v200=11)).tolist() == [7, 3, 200]


# Measures on recorded frames.


def test_counts_and_entropy():
    found = recorded.value_counts(np.array([[0, 255], [1, 255], [1, 255], [0, 255]], np.uint8))
    assert found.shape == (2, 256)
    assert (found[0, 0], found[0, 1], found[1, 255], found.sum()) == (2, 2, 4, 8)
    assert recorded.entropies(found) == pytest.approx([np.log(2), 0])


def test_a_change_is_within_a_game():
    values = np.array([[1], [2], [2], [5], [6]], np.uint8)
    assert recorded.changes(values, np.array([0, 0, 0, 1, 1]))[:, 0].tolist() == [
        False,
        True,
        False,
        False,
        True,
    ]


def test_shares_near_events():
    events = np.array([False, False, True, False, False, False])
    assert recorded.near(events, 1).tolist() == [False, True, True, True, False, False]
    among = np.array([[True, False], [True, False], [False, False]])
    assert recorded.share(among, np.array([True, False, True])) == pytest.approx(
        [0.5, np.nan], nan_ok=True
    )
    assert recorded.share(among, among) == pytest.approx([1, np.nan], nan_ok=True)


def test_what_bytes_and_lives_know_of_each_other():
    lives = np.array([3, 3, 2, 2, 1, 1, 0, 0] * 2, np.uint8)
    finer = np.arange(16, dtype=np.uint8) % 8  # tells the lives, which do not tell it
    coarser = lives // 2
    other = np.repeat([0, 1], 8).astype(np.uint8)  # independent of them
    knows, known = recorded.known(
        np.stack([lives, finer, coarser, other, np.zeros_like(lives)], axis=1), lives
    )
    assert knows == pytest.approx([1, 1, 0.5, 0, 0])
    assert known == pytest.approx([1, 2 / 3, 1, 0, np.nan], nan_ok=True)
    assert np.isnan(recorded.known(lives[:, None], np.zeros_like(lives))[0]).all()


def test_coarse_frames_are_means():
    frames = np.zeros((2, 210, 160), np.uint8)
    frames[1, 10:20, 150:160] = 200
    found = recorded.coarse(frames)
    assert found.shape == (2, 21 * 16 + 210 + 160)
    assert not found[0].any()
    squares, rows, columns = np.split(found[1], [336, 336 + 210])
    assert squares.nonzero()[0].tolist() == [16 + 15] and squares.max() == 200
    assert rows[10:20] == pytest.approx(200 * 10 / 160) and rows.sum() == pytest.approx(
        10 * 200 * 10 / 160
    )
    assert columns[150:] == pytest.approx(200 * 10 / 210) and columns[:150].max() == 0


def test_what_frames_show_is_read_and_what_they_do_not_is_not():
    rng = np.random.default_rng(0)
    shown, hidden = rng.integers(0, 100, (2, 2000))
    seen = np.stack([shown, shown // 2, rng.integers(0, 9, 2000)], axis=1).astype(np.float32)
    late = np.where(np.arange(2000) < 1500, 0, hidden)  # nothing to learn from
    found = recorded.readable(
        seen, np.stack([shown, hidden, late, np.full(2000, 7)], axis=1).astype(np.uint8)
    )
    assert found[0] > 0.95 and found[1] < 0.1
    assert np.isnan(found[2:]).all()


# Measures in the emulator.


def test_written_values_are_among_those_seen():
    found = writing.to_write(np.ones(256, int))
    assert len(found) == 16 and (found[0], found[-1]) == (0, 255)
    assert writing.to_write(counts(v3=9, v200=1)).tolist() == [3, 200]
    assert writing.to_write(counts(v5=1000)).tolist() == sorted(5 ^ 1 << bit for bit in range(8))


def moving(positions, width=40):
    """Renders (w, P) of a bright column of pixels at each of ``positions``, with the pixels' x and
    y.
    """
    y, x = (axis.ravel() for axis in np.mgrid[:10, :width])
    return (
        np.stack([np.where(x == position, 200, 10) for position in positions]).astype(np.uint8),
        x,
        y,
    )


def test_a_place_follows_the_value():
    assert writing.place(*moving([3, 8, 12, 20, 31])) == pytest.approx((1, 0))
    assert writing.place(*moving([31, 20, 12, 8, 3])) == pytest.approx((-1, 0))
    assert writing.place(*moving([3, 31, 8, 20, 12]))[0] == pytest.approx(0.3)
    renders, x, y = moving([3, 8, 12, 20, 31])
    assert writing.place(renders, y, x) == pytest.approx((0, 1))
    renders[4] = 90  # the whole screen flashes: that is no place
    assert writing.place(renders, x, y) == pytest.approx((1, 0))


def test_without_places_there_is_nothing_to_follow():
    assert writing.place(*moving([5, 5, 5])) is None
    assert writing.place(*moving([3, 8])) is None
    renders, x, y = moving([3, 8])
    assert writing.place(renders[:, :0], x[:0], y[:0]) is None


def test_pictures_keep_the_brightest_and_are_scaled():
    differences = np.zeros((2, 4, 4), np.float32)
    differences[0, 1, 1], differences[0, 2, 3] = 40, 10
    assert writing.pictures(differences).tolist() == [[[255, 0], [0, 64]], [[0, 0], [0, 0]]]


def test_writing_leaves_the_game_as_it_was():
    def played(write):
        environment, found = Environment("breakout", generator(0, "breakout", "emulator")), []
        for _ in writing.moments(environment, generator(0, "breakout", "writing"), 5):
            found.append(environment.ale.getRAM())
            if write:
                environment.ale.setRAM(72, 100)
                for _ in range(50):
                    environment.ale.act(environment.actions[NOOP])
        return np.stack(found)

    assert (played(True) == played(False)).all()
    assert len(np.unique(played(False), axis=0)) == 5


def test_what_writing_does_is_where_it_is_seen():
    """Breakout's paddle (72) moves along the lower edge; the byte of the score (84) changes the
    upper one.
    """
    environment = Environment("breakout", generator(0, "breakout", "emulator"))
    seen = np.zeros((2, 256), int)
    seen[0, 60:180] = seen[1, :10] = 1
    found = writing.effects(
        environment, generator(0, "breakout", "writing"), np.array([72, 77]), seen
    )
    assert found.moves_x[0] > 0.95 and found.moves_y[0] == 0
    assert found.pictures.shape == (2, 105, 80)
    assert np.flatnonzero(found.pictures[0].any(axis=1)).min() >= 90
    assert np.flatnonzero(found.pictures[1].any(axis=1)).max() <= 10
    assert 0 < found.pixels[0] <= found.pixels_most[0] < 0.02


# Files.


def test_the_same_inputs_give_the_same_bytes(play, settings, tmp_path):
    source = play("pong", 300)
    for name, seed in (("once", 0), ("again", 0), ("other", 1)):
        measure("pong", source, seed, settings, tmp_path / name)
    assert (
        (tmp_path / "once").read_bytes()
        == (tmp_path / "again").read_bytes()
        != (tmp_path / "other").read_bytes()
    )
    for folder in ("one", "two"):
        audit.write_audit(tmp_path / "once", "paper-2019", tmp_path / folder / "pong")
        frame_sheets.write_frames(tmp_path / "once", "paper-2019", tmp_path / folder / "frames")
    made = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert made == ["frames.gif", "frames.png", "pong.csv", "pong.pdf", "pong.png"]
    for name in made:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes()
        assert b"CreationDate" not in content and len(content) < 1_000_000


def test_measurements_are_of_the_bytes_of_all_label_sets(measurements):
    arrays, header = measured.read(measurements("spaceinvaders"))
    assert header["frames"] == FRAMES and header["game"] == "spaceinvaders"
    indices = arrays["indices"].tolist()
    assert (
        indices == annotated("spaceinvaders").tolist() == sorted({9, 17, 24, 26, 28, 73, 104, 125})
    )
    assert (arrays["counts"].sum(axis=1) == FRAMES).all()
    byte = measured.of_byte(arrays, 73)
    assert set(byte) == set(arrays) - set(measured.SCREENS)
    assert (byte["counts"] == arrays["counts"][indices.index(73)]).all()


def test_screens_are_in_colour_and_go_with_their_ram(measurements):
    arrays, _ = measured.read(measurements("breakout"))
    assert arrays["sheet"].shape == (12, 210, 160) and arrays["film"].shape == (48, 210, 160)
    colors = arrays["palette"][arrays["film"]]
    assert (colors.max(axis=3) > colors.min(axis=3)).any()  # not grey
    # The paddle is red, 16 pixels wide and smeared where it moves, between rows 189 and 193.
    paddle = (colors[:, 189:193, 8:152, 0] > 150).all(axis=1)
    whole = (paddle.sum(axis=1) >= 16) & (paddle.sum(axis=1) < 32)
    assert whole.sum() > 10
    middles = (paddle[whole] @ np.arange(paddle.shape[1])) / paddle[whole].sum(axis=1)
    assert np.corrcoef(middles, arrays["film_ram"][whole, 72])[0, 1] > 0.95


def test_the_animation_shows_every_label_and_marks_what_changed(measurements, tmp_path):
    path = measurements("breakout")
    frame_sheets.write_frames(path, "paper-2019", tmp_path / "breakout")
    arrays, _ = measured.read(path)
    values, names = (
        labels(arrays["film_ram"], "paper-2019", "breakout"),
        list(variables("paper-2019", "breakout")),
    )
    with Image.open(tmp_path / "breakout.gif") as animation:
        assert animation.n_frames == 48
        for k in (1, 20, 47):
            animation.seek(k)
            screen, changed = arrays["palette"][arrays["film"][k]], values[k] != values[k - 1]
            wanted = frame_sheets.tile(screen, names, values[k], changed)
            assert (np.asarray(animation.convert("RGB")) == wanted).all()  # no colour is lost
            assert (wanted == frame_sheets.MARK).all(axis=2).any() == changed.any()
    with Image.open(tmp_path / "breakout.png") as sheet:
        assert sheet.width > 3 * 320 and sheet.height > 4 * 420


def test_a_tile_has_the_screen_and_a_line_for_each_name():
    screen = np.full((210, 160, 3), (10, 20, 30), np.uint8)
    plain = frame_sheets.tile(screen, ["a", "b"], np.array([1, 2], np.uint8))
    assert (plain[:420, :320] == (10, 20, 30)).all()
    dark = (plain[:, 320:] < 100).all(axis=2).any(axis=1)
    assert dark[:16].any() and dark[16:32].any() and not dark[32:].any()
    marked = frame_sheets.tile(
        screen, ["a", "b"], np.array([1, 2], np.uint8), np.array([False, True])
    )
    there = (marked == frame_sheets.MARK).all(axis=2).any(axis=1)
    assert not there[:16].any() and there[16:32].any()
    many = frame_sheets.tile(screen, [f"v{i}" for i in range(41)], np.zeros(41, np.uint8))
    assert many.shape[0] == 420 and many.shape[1] > plain.shape[1]  # a second column


def test_the_table_has_a_row_for_each_variable(measurements, tmp_path):
    audit.write_audit(measurements("spaceinvaders"), "paper-2019", tmp_path / "spaceinvaders")
    found = pd.read_csv(tmp_path / "spaceinvaders.csv")
    assert found["variable"].tolist() == list(variables("paper-2019", "spaceinvaders"))
    assert found["ram_index"].tolist() == list(variables("paper-2019", "spaceinvaders").values())
    row = found.set_index("variable").loc["enemies_x"]
    assert row["categories"] == "other_localization"
    assert row["least"] < row["most"] and row["values"] > 2


@pytest.mark.parametrize("game", ["spaceinvaders", "breakout"])
def test_the_picture_has_a_row_for_each_variable(measurements, game):
    arrays, header = measured.read(measurements(game))
    found = audit.audit_table(arrays, "paper-2019", game)
    figure = picture.picture(arrays, found, "paper-2019", header)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert [text for text in texts if text in set(found["variable"])] == found["variable"].tolist()
    assert sum(len(axes.images) for axes in figure.axes) == len(found)
    assert len(figure.axes) == 5 * (1 if game == "spaceinvaders" else 2)


def test_the_summary_counts_and_lists(tmp_path):
    rows = {
        "paper-2019/pong": [
            ("ball_x", 49, ALIVE, ""),
            ("num_lives", 3, SUSPICIOUS, "no, not"),
            ("fruit", 4, CONSTANT, "0 in"),
        ],
        "paper-2019/boxing": [("clock", 17, ALIVE, "")],
        "revised-2020/pong": [("ball_x", 49, ALIVE, "")],
    }
    paths = []
    for name, found in rows.items():
        paths.append(tmp_path / f"{name}.csv")
        paths[-1].parent.mkdir(exist_ok=True)
        frame = pd.DataFrame(found, columns=["variable", "ram_index", "verdict", "reason"]).assign(
            categories="misc"
        )
        write_csv(paths[-1], frame)
    summary.write_summary(paths, tmp_path / "tables")
    found = read_cells(tmp_path / "tables" / "audit.csv").to_csv(index=False).splitlines()
    assert found == [
        "label_set,game,alive,suspicious,constant,variables",
        "paper-2019,pong,1,1,1,3",
        "paper-2019,boxing,1,0,0,1",
        "paper-2019,total,2,1,1,4",
        "revised-2020,pong,1,0,0,1",
        "revised-2020,total,1,0,0,1",
    ]
    found = read_cells(tmp_path / "tables" / "audit_variables.csv").to_csv(index=False)
    assert found.splitlines() == [
        "label_set,game,variable,ram_index,verdict,reason",
        'paper-2019,pong,num_lives,3,suspicious,"no, not"',
        "paper-2019,pong,fruit,4,constant,0 in",
    ]
    assert r"total & 2 & 1 & 1 & 4 \\" in (tmp_path / "tables" / "audit.tex").read_text()


def test_a_run_audits_the_label_sets_that_have_the_game():
    config = defaults(
        {"label_set": "revised-2020", "games": ["pong", "battlezone"], "seeds": [3, 4]}
    )
    found = [
        file
        for file in layout.everything(config)
        if re.fullmatch(r"results/audit/\w.*-20\d\d/\w+\.csv", file)
    ]
    assert found == [
        "results/audit/paper-2019/pong.csv",
        "results/audit/revised-2020/pong.csv",
        "results/audit/revised-2020/battlezone.csv",
    ]
    assert layout.audited(config, "pong") == "results/episodes/random_agent/probe/pong-s3.b2nd"


def test_the_command_line_does_all_steps(play, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "config.yaml", tmp_path)
    source = play("pong", 300)
    steps = [
        ["audit-measure", "--game", "pong", "--frames", source, "--seed", 0, "--out", "m"],
        ["audit", "--measured", "m", "--label-set", "paper-2019", "--out", "paper-2019/pong"],
        ["audit-frames", "--measured", "m", "--out", "frames/pong"],
        ["audit-summary", "paper-2019/pong.csv", "--out", "tables"],
    ]
    for step in steps:
        done = CliRunner().invoke(cli, list(map(str, step)), catch_exceptions=False)
        assert (done.exit_code, done.output) == (0, "")
    assert (
        (tmp_path / "tables" / "audit.csv")
        .read_text()
        .splitlines()[1]
        .startswith("paper-2019,pong,")
    )


# What a person can get wrong.


def test_frames_of_another_game_are_refused(breakout, settings, tmp_path):
    with pytest.raises(
        UserError, match="holds frames of breakout, not of pong: name the right file"
    ):
        measure("pong", breakout, 0, settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_and_damaged_files_are_refused(breakout, settings, measurements, tmp_path):
    with pytest.raises(UserError, match="there is no such file; make it first"):
        measure("breakout", tmp_path / "none", 0, settings, tmp_path / "out")
    content = bytearray(breakout.read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "broken.b2nd").write_bytes(content)
    with pytest.raises(DamagedFile, match=r"broken\.b2nd is damaged"):
        measure("breakout", tmp_path / "broken.b2nd", 0, settings, tmp_path / "out")
    content = bytearray(measurements("breakout").read_bytes())
    content[-1000] ^= 255
    (tmp_path / "broken").write_bytes(content)
    artifacts.write_arrays(tmp_path / "other", "split", {"a": np.zeros(3)}, {})
    for write in (audit.write_audit, frame_sheets.write_frames):
        with pytest.raises(DamagedFile, match="broken is damaged"):
            write(tmp_path / "broken", "paper-2019", tmp_path / "out")
        with pytest.raises(UserError, match="holds split, not audit: name the right file"):
            write(tmp_path / "other", "paper-2019", tmp_path / "out")
        with pytest.raises(UserError, match="unknown label set 'paper-2020'"):
            write(measurements("breakout"), "paper-2020", tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"broken.b2nd", "broken", "other"}


def test_summaries_of_nothing_or_of_damaged_tables_are_refused(tmp_path):
    with pytest.raises(UserError, match="no audits were named"):
        summary.write_summary([], tmp_path)
    row = {"variable": ["a"], "categories": [""], "ram_index": [3], "verdict": ["dead"]}
    table = pd.DataFrame(row | {"reason": [""]})
    write_csv(tmp_path / "pong.csv", table.drop(columns="categories"))
    with pytest.raises(
        DamagedFile, match=r"pong\.csv is damaged \(the column categories is missing\)"
    ):
        summary.write_summary([tmp_path / "pong.csv"], tmp_path)
    write_csv(tmp_path / "pong.csv", table)
    with pytest.raises(DamagedFile, match="it has an unknown verdict"):
        summary.write_summary([tmp_path / "pong.csv"], tmp_path)
