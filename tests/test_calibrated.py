"""The label set ``calibrated``: maps from bytes to pixels, how they are measured, and its fixes."""

import csv
import itertools
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest

from workflow_src.ari import AtariARIWrapper, calibrated
from workflow_src.ari.calibrated import ENCODINGS, Map, axis_of, pixels, positions
from workflow_src.ari.labels import (
    CALIBRATED,
    GAMES,
    REVISED,
    decoder,
    is_position,
    labels,
    variables,
)
from workflow_src.audit import calibration, measured, recorded
from workflow_src.audit.calibration import (
    Fit,
    Seen,
    error,
    families,
    fit,
    moved,
    nearest,
    objects,
    renders,
    together,
)
from workflow_src.audit.writing import moments
from workflow_src.cli.main import main
from workflow_src.csv_files import read_csv, write_csv
from workflow_src.emulator.environment import Environment
from workflow_src.errors import DamagedFile, UserError
from workflow_src.report.audit.calibration import COLUMNS, TEXTS, write_calibration

HERE = Path(calibrated.__file__).parent
with open(HERE / "calibration.csv", newline="") as _file:
    ROWS = list(csv.DictReader(_file))
KEPT = [row for row in ROWS if not row["reason"]]


def environment(game):
    return Environment(game, np.random.default_rng(0))


# Encodings


def by_hand(encoding, byte):
    """The same one by one, as the television interface moves a sprite."""
    if encoding == "linear":
        return byte
    fine = byte // 16 - 16 if byte // 16 >= 8 else byte // 16
    coarse = byte % 16
    if encoding == "nibbles":
        return 15 * coarse - fine
    return 15 * (coarse // 2) + (0 if coarse % 2 else 87) - fine


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_equal_a_plain_loop(encoding):
    found = ENCODINGS[encoding](np.arange(256))
    np.testing.assert_array_equal(found, [by_hand(encoding, byte) for byte in range(256)])


def test_positions_wrap_where_a_byte_does():
    assert positions(Map("linear", 1.0, -49.0), "x")[[49, 205, 0]].tolist() == [0, 156, -49]
    assert positions(Map("linear", 1.0, 0.0), "y")[[209, 210]].tolist() == [209, -46]
    assert positions(Map("linear", -1.0, 71.0), "y")[[71, 230]].tolist() == [0.0, 97.0]
    assert positions(Map("linear", 2.0, 22.0), "y")[[0, 94, 250]].tolist() == [22.0, 210.0, 10.0]
    assert positions(Map("linear", 0.5, 10.0), "y")[255] == 137.5


def test_pixels_are_whole_and_on_the_screen():
    found = pixels(Map("linear", 1.0, -48.5), "x")
    assert found.dtype == np.int64 and found.min() == 0 and found.max() == 159
    assert found[[0, 48, 49, 50, 207, 208]].tolist() == [0, 0, 1, 2, 159, 159]
    assert pixels(Map("linear", 1.0, 0.0), "y").max() == 209


@pytest.mark.parametrize(
    ("name", "axis"),
    [("ball_x", "x"), ("enemy_y1", "y"), ("sprite0_y", "y"), ("player_column", ""), ("score", "")],
)
def test_axes(name, axis):
    assert axis_of(name) == axis


# What the package ships


def test_every_position_is_measured_or_says_why_not():
    found = {(row["game"], row["variable"]): int(row["ram_index"]) for row in ROWS}
    wanted = {
        (game, name): index
        for game in GAMES[REVISED]
        for name, index in variables(REVISED, game).items()
        if is_position(name)
    }
    assert found == wanted


def test_what_is_kept_is_near_enough():
    for row in KEPT:
        assert int(row["moments"]) >= calibration.MOMENTS
        assert int(row["distinct"]) >= calibration.DISTINCT
        assert float(row["error"]) <= calibration.CLOSE
        within, chance = float(row["within"]), float(row["chance"])
        assert within - chance >= calibration.SKILL * (1 - chance) - 0.001
    assert len(KEPT) > 0.6 * len(ROWS)
    within = [float(row["within"]) for row in KEPT]
    assert np.median(within) > 0.95


@pytest.mark.parametrize("game", GAMES[CALIBRATED])
def test_labels_equal_a_plain_loop(game):
    ram = np.random.default_rng(0).integers(0, 256, (50, 128)).astype(np.uint8)
    maps = {row["variable"]: row for row in KEPT if row["game"] == game}
    with open(HERE / "fixes.csv", newline="") as file:
        fixes = {row["variable"]: row for row in csv.DictReader(file) if row["game"] == game}
    read = labels(ram, CALIBRATED, game)
    names = variables(CALIBRATED, game)
    assert read.shape == (50, len(names)) and read.dtype == np.int64
    for v, (name, index) in enumerate(names.items()):
        for row, one in zip(ram, read[:, v].tolist(), strict=True):
            byte = int(row[index])
            if name in fixes:
                bits = [int(row[index]) >> bit & 1 for bit in range(8)]
                mask = [int(fixes[name]["mask"]) >> bit & 1 for bit in range(8)]
                kept = [bit for bit, chosen in zip(bits, mask, strict=True) if chosen]
                value = sum(bit << n for n, bit in enumerate(kept))
                equals = fixes[name]["equals"]
                assert one == (value == int(equals) if equals else value)
            elif is_position(name):
                last = 159 if axis_of(name) == "x" else 209
                put = float(maps[name]["scale"]) * by_hand(maps[name]["encoding"], byte)
                put += float(maps[name]["offset"])
                period = 256 * abs(float(maps[name]["scale"]))
                before = 60 if axis_of(name) == "x" else 46
                if maps[name]["encoding"] == "linear" and period >= 256:
                    while put >= period - before:
                        put -= period
                    while put < -before:
                        put += period
                assert one == min(max(int(np.floor(put + 0.5)), 0), last)
            else:
                assert one == byte == int(row[variables(REVISED, game)[name]])


def test_what_is_left_out():
    assert "player_x" not in variables(CALIBRATED, "pong")
    assert "game_level" not in variables(CALIBRATED, "berzerk")
    assert "num_lives_direction" not in variables(CALIBRATED, "asteroids")
    assert "player_column" not in variables(CALIBRATED, "qbert")
    for game in GAMES[CALIBRATED]:
        assert variables(CALIBRATED, game), game


def test_values_fit_the_probes_classes():
    for game in GAMES[CALIBRATED]:
        tables = decoder(CALIBRATED, game).tables
        assert tables.min() >= 0 and tables.max() < 256


# Fixes, each shown by writing


def mirrored(before, after):
    """Whether the screens differ in one small box, where one is the mirror image of the other."""
    differs = before != after
    if not 4 <= differs.sum() <= 400:
        return False
    rows, columns = np.nonzero(differs)
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    return before[box].shape[1] <= 17 and (before[box][:, ::-1] == after[box]).mean() > 0.97


@pytest.mark.parametrize("game", ["montezumarevenge", "frostbite"])
def test_the_bit_of_a_direction_mirrors_the_player(game):
    index = variables(CALIBRATED, game)["player_direction"]
    played, count, found = environment(game), 0, 0
    for state in moments(played, np.random.default_rng(1), 20):
        played.ale.restoreState(state)
        other = np.array([played.ale.getRAM()[index] ^ 8], np.uint8)
        screens, _ = renders(played, state, index, other)
        count += 1
        found += any(mirrored(*pair) for pair in zip(screens[0], screens[1], strict=True))
    assert count == 20 and found >= 12


def test_the_bits_of_seaquest_s_lanes_are_its_enemies():
    played, seen = environment("seaquest"), 0
    for state in moments(played, np.random.default_rng(1), 40):
        played.ale.restoreState(state)
        ram = np.array(played.ale.getRAM())
        for lane in range(4):
            if not 20 < ram[30 + lane] < 90:
                continue
            screens, rams = renders(played, state, 36 + lane, np.arange(8, dtype=np.uint8))
            nothing = screens[1, 1]
            for pattern in range(1, 8):
                after = rams[1 + pattern, 1]
                places = objects(screens[1 + pattern, 1] != nothing, "x")[:, 1]
                names = list(variables(CALIBRATED, "seaquest"))
                values = labels(after, CALIBRATED, "seaquest")
                there = [
                    values[names.index(f"enemy_obstacle_existence_{lane}_{slot}")]
                    for slot in range(3)
                ]
                wanted = [after[30 + lane] + 16 * slot for slot in range(3) if there[slot]]
                # The last of several is all together.
                assert places[: len(wanted)].astype(int).tolist() == wanted
                seen += 1
    assert seen >= 50


def test_a_diver_is_drawn_where_its_byte_is_one():
    played, seen = environment("seaquest"), 0
    for state in moments(played, np.random.default_rng(1), 60):
        played.ale.restoreState(state)
        ram = np.array(played.ale.getRAM())
        for lane in range(4):
            if not 20 < ram[71 + lane] < 140:
                continue
            screens, _ = renders(played, state, 113 + lane, np.array([0, 1, 255], np.uint8))
            missile, diver, other = screens[1:, 1]
            if (missile != diver).any():
                assert (missile == other).all()
                seen += 1
    assert seen >= 10
    index = variables(CALIBRATED, "seaquest")["diver_existence_0"]
    ram = np.zeros((3, 128), np.uint8)
    ram[:, index] = 0, 1, 255
    at = list(variables(CALIBRATED, "seaquest")).index("diver_existence_0")
    assert labels(ram, CALIBRATED, "seaquest")[:, at].tolist() == [0, 1, 0]


def test_q_bert_s_tiles_go_row_by_row():
    played = environment("qbert")
    state = next(iter(moments(played, np.random.default_rng(1), 1)))
    centres = []
    for number in range(21):
        index = variables(REVISED, "qbert")[f"tile_color_{number}"]
        screens, _ = renders(played, state, index, np.array([26, 148], np.uint8))
        rows, columns = np.nonzero((screens[1] != screens[2]).any(axis=0))
        centres.append((rows.mean(), columns.mean()))
    tiles = iter(centres)
    rows = [[next(tiles) for _ in range(count)] for count in range(1, 7)]
    heights = [np.mean([y for y, _ in row]) for row in rows]
    assert all(25 < below - above < 32 for above, below in itertools.pairwise(heights))
    for row in rows:
        assert np.ptp([y for y, _ in row]) < 1
        assert all(20 < b[1] - a[1] < 30 for a, b in itertools.pairwise(row))


# Measuring


def test_what_moved_is_what_differs_from_most():
    screens = np.zeros((5, 210, 160), np.uint8)
    for number, column in enumerate([10, 40, 70, 100, 130]):
        screens[number, 50:60, column : column + 8] = 3
    masks = moved(screens)
    for number, column in enumerate([10, 40, 70, 100, 130]):
        assert masks[number].sum() == 80
        assert objects(masks[number], "x").tolist() == [[column + 3.5, column, column + 7]]
        assert objects(masks[number], "y").tolist() == [[54.5, 50, 59]]
    assert not moved(np.zeros((3, 210, 160), np.uint8)).any()
    assert objects(np.zeros((210, 160), bool), "x").shape == (0, 3)


def test_objects_are_apart_and_specks_do_not_count():
    mask = np.zeros((210, 160), bool)
    mask[50:60, 10:18] = mask[50:60, 42:50] = True
    mask[100, 100] = True
    assert objects(mask, "x").tolist() == [[13.5, 10, 17], [45.5, 42, 49], [29.5, 10, 49]]
    mask[50:60, 20:22] = True  # two pixels beside the first: a part of it
    assert objects(mask, "x")[0].tolist()[1:] == [10, 21]


def seen_by(one, axis, values, noise=0.0):
    """Objects of ten pixels where a fit puts them, and a share of them anywhere."""
    rng = np.random.default_rng(0)
    byte = np.array(values, np.uint8)
    place = positions(one.map, axis)[byte]
    lost = rng.random(len(byte)) < noise
    place = np.where(lost, rng.uniform(0, 160, len(byte)), place)
    anchors = {0: place, 1: place + 4.5, 2: place - 4.5}[one.anchor]
    places = np.stack([anchors, anchors - 4.5, anchors + 4.5], axis=1)
    return seen_at(byte, places)


def seen_at(byte, places):
    """A render for each byte, every tenth of play."""
    numbers = np.arange(len(byte))
    return Seen(numbers, places, byte, numbers % 10 > 0, numbers // 2)


@pytest.mark.parametrize(
    ("one", "axis"),
    [
        (Fit(Map("linear", 1.0, -48.5), 0, 0), "x"),
        (Fit(Map("linear", -1.0, 71.0), 0, 0), "y"),
        (Fit(Map("linear", 2.0, 22.0), 0, 0), "y"),
        (Fit(Map("linear", 0.5, 100.0), 0, 0), "y"),
        (Fit(Map("nibbles", 1.0, 14.0), 0, 0), "x"),
        (Fit(Map("halves", 1.0, -6.0), 0, 0), "x"),
    ],
)
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_map_is_found_again(one, axis, noise):
    limits = {"x": 160, "y": 210}
    put = positions(one.map, axis)
    on_screen = np.flatnonzero((put >= 5) & (put < limits[axis] - 5))
    seen = seen_by(one, axis, np.resize(on_screen, 600), noise)
    assert fit(seen, axis) == one
    assert (error(one, axis, seen) < 0.01).mean() >= 1 - noise - 0.05


def test_a_map_of_two_values_is_none():
    assert fit(seen_by(Fit(Map("linear", 1.0, 0.0), 0, 0), "x", [20, 30] * 30), "x") is None


def test_copies_are_found_where_one_sprite_does_not_explain_them():
    rng = np.random.default_rng(0)
    byte = rng.integers(10, 100, 400).astype(np.uint8)
    place = byte + rng.choice([0, 16, 32], 400) + 3.5
    places = np.stack([place, place - 3.5, place + 3.5], axis=1)
    found = fit(seen_at(byte, places), "x")
    assert found.copies == 16 and found.map == Map("linear", 1.0, 3.5)


@pytest.mark.parametrize(("anchor", "offset"), [(0, 10.0), (1, 13.5), (2, 6.5)])
def test_a_map_is_of_the_centre_whatever_was_followed(anchor, offset):
    one = Fit(Map("linear", 1.0, 10.0), anchor, 0)
    assert calibration.centred(one, 8.0) == Map("linear", 1.0, offset)


def test_errors_are_to_the_nearest_object_of_each_render():
    put = np.arange(256.0)
    places = np.array([[10.0, 7, 13], [50, 47, 53], [80, 77, 83]])
    seen = Seen(
        np.array([0, 0, 1]), places, np.array([48, 60], np.uint8), np.ones(2, bool), np.arange(2)
    )
    assert nearest(put, 0, 0, seen).tolist() == [2, 20]
    assert nearest(put, 16, 0, seen).tolist() == [2, 4]
    assert nearest(put, 0, 1, seen).tolist() == [1, 17]
    both = together([seen, seen])
    assert nearest(put, 0, 0, both).tolist() == [2, 20, 2, 20]


def test_families_differ_in_numbers_alone():
    names = dict.fromkeys(["enemy_x1", "enemy_x2", "enemy_y1", "ball_x"], 0)
    assert families(names) == [["enemy_x1", "enemy_x2"], ["enemy_y1"], ["ball_x"]]


@pytest.fixture
def briefly(monkeypatch):
    """Fewer moments, enough for objects that are always there."""
    monkeypatch.setattr(calibration, "FITTED", 12)
    monkeypatch.setattr(calibration, "CHECKED", 30)
    monkeypatch.setattr(calibration, "_PLAYED", 1500)
    monkeypatch.setattr(calibration, "MOMENTS", 5)


def test_pong_is_measured_as_it_is_shipped(briefly, tmp_path):
    from workflow_src.config.run import Config

    write_calibration("pong", 3, Config.load("config.yaml").episodes, tmp_path / "pong")
    found = read_csv(tmp_path / "pong.csv", text=TEXTS, numbers=["scale", "offset"])
    shipped = {row["variable"]: row for row in KEPT if row["game"] == "pong"}
    kept = found[found["reason"] == ""].set_index("variable")
    assert set(kept.index) == set(shipped) == {"ball_x", "ball_y", "enemy_y", "player_y"}
    for name, row in kept.iterrows():
        assert row["scale"] == float(shipped[name]["scale"])
        assert row["error"] <= 1 and row["within"] > 0.6
    # The ball itself, not what its byte says: two pixels wide, four high.
    assert kept.loc["ball_x", "extent"] == 2 and kept.loc["ball_y", "extent"] == 4
    # The paddles' bytes are computed anew in every frame: another byte is written.
    assert kept.loc["player_y", "written"] != kept.loc["player_y", "ram_index"]
    reasons = found.set_index("variable")["reason"]
    assert "in every frame" in reasons["player_x"]
    assert (tmp_path / "pong.png").stat().st_size > 2000


def command(monkeypatch, *arguments):
    """The exit code of a command that runs in this process."""
    monkeypatch.setattr(sys, "argv", ["workflow_src", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


def test_commands(briefly, tmp_path, monkeypatch):
    tables = [tmp_path / f"{game}.csv" for game in ("boxing", "bowling")]
    for table in tables:
        out = table.with_suffix("")
        assert command(monkeypatch, "calibrate", "--game", out.name, "--seed", 0, "--out", out) == 0
    assert command(monkeypatch, "calibration", *tables, "--out", tmp_path / "all.csv") == 0
    whole = read_csv(tmp_path / "all.csv", text=TEXTS)
    assert whole["game"].unique().tolist() == ["bowling", "boxing"]
    assert (whole["reason"] == "").mean() > 0.7


def test_a_table_of_another_kind_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "other.csv").write_text(pd.DataFrame({"a": [1]}).to_csv(index=False))
    asked = ["calibration", tmp_path / "other.csv", "--out", tmp_path / "all.csv"]
    assert command(monkeypatch, *asked) == 2
    assert "other.csv is damaged" in capsys.readouterr().err
    assert not (tmp_path / "all.csv").exists()


# In use


def test_velocities_are_in_pixels():
    env = AtariARIWrapper(gym.make("PongNoFrameskip-v4"), label_set=CALIBRATED, velocities=True)
    env.action_space.seed(0)
    _, info = env.reset(seed=0)
    before = info["labels"]
    for _ in range(60):
        *_, info = env.step(env.action_space.sample())
        found = info["labels"]
        assert found["player_y_velocity"] == found["player_y"] - before["player_y"]
        assert 0 <= found["player_y"] <= 209
        before = found
    assert {"ball_x", "ball_x_velocity"} <= set(found)


def test_the_audit_judges_what_the_label_set_says():
    counts = np.zeros((1, 256), int)
    counts[0, [8, 16, 24, 44, 76, 79]] = [100, 100, 50, 50, 20, 20]
    arrays = {
        "indices": np.array([52]),
        "counts": counts,
        "entropy": recorded.entropies(counts),
        "overview": np.array([[8, 16, 24]], np.uint8),
        "closeup": np.array([[16, 16, 8]], np.uint8),
        **{name: np.ones(1) for name in measured.OF_BYTE},
    }
    (one,) = (
        found
        for name, _, found in measured.of_variables(arrays, only("player_direction"))
        if name == "player_direction"
    )
    assert np.isnan(one["knows_lives"]) and np.isnan(one["changes"])
    # Bit 3 is set in 8, 24, 44, 76 and 79.
    assert one["counts"].sum() == 340 and one["counts"][:2].tolist() == [100, 240]
    assert one["overview"].tolist() == [1, 0, 1] and one["closeup"].tolist() == [0, 0, 1]
    assert one["entropy"] == pytest.approx(recorded.entropies(np.array([[100, 240]]))[0])


def test_a_byte_that_was_not_measured_is_refused():
    with pytest.raises(UserError, match=r"have no RAM byte 108, .*: measure the game again"):
        measured.of_byte({"indices": np.array([4, 100])}, 108)


def test_game_tables_are_named_once_and_of_one_game(tmp_path, monkeypatch, capsys):
    out = tmp_path / "pong.csv"
    write_csv(out, pd.DataFrame([dict.fromkeys(COLUMNS, 1) | {"game": "pong"}], columns=COLUMNS))
    asked = ["calibration", out, out, "--out", tmp_path / "all.csv"]
    assert command(monkeypatch, *asked) == 2
    assert "a second table of pong: name one for each game" in capsys.readouterr().err
    write_csv(out, pd.DataFrame(columns=COLUMNS))
    assert command(monkeypatch, "calibration", out, "--out", tmp_path / "all.csv") == 2
    assert "is not of one game" in capsys.readouterr().err
    assert not (tmp_path / "all.csv").exists()


def test_where_nothing_can_be_written_nothing_is_measured(tmp_path, monkeypatch, capsys):
    (tmp_path / "pong.png").mkdir()
    asked = ["calibrate", "--game", "pong", "--seed", 0, "--out", tmp_path / "pong"]
    assert command(monkeypatch, *asked) == 2
    assert "pong.png" in capsys.readouterr().err
    assert not (tmp_path / "pong.csv").exists()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("calibration.csv", lambda text: text.splitlines()[0] + "\n"),
        ("calibration.csv", lambda text: text.replace("linear", "cubic")),
        ("fixes.csv", lambda text: text.replace("240", "x")),
        ("fixes.csv", None),
    ],
)
def test_a_damaged_package_says_so(tmp_path, monkeypatch, name, damage):
    for each in ("calibration.csv", "fixes.csv"):
        text = (HERE / each).read_text()
        if each != name:
            (tmp_path / each).write_text(text)
        elif damage:
            (tmp_path / each).write_text(damage(text))
    monkeypatch.setattr(calibrated, "__file__", str(tmp_path / "calibrated.py"))
    calibrated._rows.cache_clear()
    with pytest.raises(DamagedFile, match=rf"{name} is damaged .*: install the package again"):
        calibrated.maps("asteroids") and calibrated.fixes("asteroids")
    calibrated._rows.cache_clear()


def only(name):
    """Montezuma's decoder, of one variable."""
    whole = decoder(CALIBRATED, "montezumarevenge")
    at = whole.names.index(name)
    return type(whole)((name,), whole.indices[[at]], whole.tables[[at]])
