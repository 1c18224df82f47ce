import csv
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import ale_py.roms
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation, TimeLimit

from workflow_src.ari import AtariARIWrapper, game_of, gym_id, rom_name
from workflow_src.ari.labels import CATEGORIES, GAMES, LABEL_SETS, categories, labels, variables
from workflow_src.errors import UserError

ROOT = Path(__file__).parents[1]
with open(ROOT / "reference" / "paper_table1_variables_by_category.csv", newline="") as _file:
    TABLE_1 = {
        row.pop("game"): {name: int(count) for name, count in row.items()}
        for row in csv.DictReader(_file)
    }
TOTAL = TABLE_1.pop("total")

ALL_GAMES = GAMES["revised-2020"]
# `calibrated` changes what bytes say: test_calibrated.py.
RAW = ("paper-2019", "revised-2020")
RAW_AND_GAMES = [(label_set, game) for label_set in RAW for game in GAMES[label_set]]
SETS_AND_GAMES = [(label_set, game) for label_set in LABEL_SETS for game in GAMES[label_set]]
STEMS = {"pong": "Pong", "mspacman": "MsPacman"}
ID_FORMS = ["{}NoFrameskip-v4", "{}-v4", "{}-v0", "ALE/{}-v5"]

# gymnasium says of the -v0 ids that they are old.
pytestmark = pytest.mark.filterwarnings("ignore:.*out of date:DeprecationWarning")


def table_row(game):
    names = variables("paper-2019", game)
    return {c: sum(c in categories(name) for name in names) for c in CATEGORIES}


def expected(env, label_set, game):
    """The labels read one by one from the emulator."""
    ram = env.unwrapped.ale.getRAM()
    read = {name: int(ram[index]) for name, index in variables(label_set, game).items()}
    if label_set not in RAW:
        values = labels(np.array(ram), label_set, game).tolist()
        return dict(zip(read, values, strict=True))
    return read


def assert_labels_are_the_ram(env, label_set, game, steps=20):
    env.action_space.seed(0)
    _, info = env.reset(seed=0)
    assert info["labels"] == env.labels() == expected(env, label_set, game)
    seen = [info["labels"]]
    for _ in range(steps):
        *_, info = env.step(env.action_space.sample())
        assert info["labels"] == expected(env, label_set, game)
        seen.append(info["labels"])
    assert list(seen[0]) == list(variables(label_set, game))
    assert all(
        type(value) is int and 0 <= value <= 255 for labels_ in seen for value in labels_.values()
    )
    return seen


# Label sets


@pytest.mark.parametrize(
    ("label_set", "games", "count"), [("paper-2019", 22, 308), ("revised-2020", 24, 362)]
)
def test_sizes(label_set, games, count):
    assert len(GAMES[label_set]) == games
    assert list(GAMES[label_set]) == sorted(GAMES[label_set])
    assert sum(len(variables(label_set, game)) for game in GAMES[label_set]) == count


def test_revised_set_has_every_game():
    assert (*RAW, "calibrated") == LABEL_SETS
    assert set(ALL_GAMES) - set(GAMES["paper-2019"]) == {"battlezone", "skiing"}


def test_no_annotation_stands_twice():
    with open(ROOT / "workflow_src" / "ari" / "annotations.csv", newline="") as file:
        rows = [(row["label_set"], row["game"], row["variable"]) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows)) == 308 + 362


@pytest.mark.parametrize(("label_set", "game"), SETS_AND_GAMES)
def test_ram_indices_are_bytes_of_the_ram(label_set, game):
    assert all(0 <= index <= 127 for index in variables(label_set, game).values())


def test_variables_are_a_copy():
    variables("paper-2019", "pong").clear()
    assert list(variables("paper-2019", "pong").items())[:2] == [
        ("enemy_score", 13),
        ("player_score", 14),
    ]


@pytest.mark.parametrize(("label_set", "game"), RAW_AND_GAMES)
@pytest.mark.parametrize("shape", [(), (7,), (3, 2)])
def test_labels_equal_a_plain_loop(label_set, game, shape):
    ram = np.random.default_rng(0).integers(0, 256, (*shape, 128), dtype=np.uint8)
    found = labels(ram, label_set, game)
    assert found.dtype == np.int64
    assert found.shape == (*shape, len(variables(label_set, game)))
    for column, index in enumerate(variables(label_set, game).values()):
        assert np.array_equal(found[..., column], ram[..., index])


@pytest.mark.parametrize(
    "ram", [np.zeros((2, 127), np.uint8), np.zeros(128, np.int64)], ids=["shape", "dtype"]
)
def test_labels_refuse_what_is_no_ram(ram):
    with pytest.raises(AssertionError, match="no RAM"):
        labels(ram, "paper-2019", "pong")


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(
        UserError,
        match=r"unknown label set 'paper-2018' \(did you mean paper-2019\?\); known: paper-2019, "
        "revised",
    ):
        variables("paper-2018", "pong")
    with pytest.raises(
        UserError,
        match=r"game 'pongg' \(did you mean pong\?\); known: asteroids, berzerk, .*yarsrevenge$",
    ):
        variables("paper-2019", "pongg")
    hint = (
        r"unknown paper-2019 game 'skiing'; .*; label set revised-2020 has it, as has calibrated$"
    )
    with pytest.raises(UserError, match=hint):
        labels(np.zeros(128, np.uint8), "paper-2019", "skiing")


# Categories


def test_table_1_has_the_games_of_the_paper():
    assert tuple(TABLE_1) == GAMES["paper-2019"]


@pytest.mark.parametrize("game", TABLE_1)
def test_table_1(game):
    assert table_row(game) | {"overall": len(variables("paper-2019", game))} == TABLE_1[game]


def test_table_1_total():
    rows = [table_row(game) for game in TABLE_1]
    assert {c: sum(row[c] for row in rows) for c in CATEGORIES} | {"overall": 308} == TOTAL


@pytest.mark.parametrize(
    ("variable", "found"),
    [
        ("ball_x", ("small_object_localization",)),
        ("player_missile_y", ("small_object_localization",)),
        ("player_x", ("agent_localization",)),
        ("enemy_y", ("other_localization",)),
        ("clock", ("score_clock_lives_display",)),
        ("room_number", ("misc",)),
        ("num_lives_direction", ("score_clock_lives_display", "misc")),
        ("tile_color_0", ()),
    ],
)
def test_categories(variable, found):
    assert categories(variable) == found


def test_every_variable_of_the_paper_has_a_category():
    assert all(
        categories(name) for game in GAMES["paper-2019"] for name in variables("paper-2019", game)
    )


def test_what_the_revised_set_leaves_without_a_category():
    without = [
        (game, name)
        for game in ALL_GAMES
        for name in variables("revised-2020", game)
        if not categories(name)
    ]
    assert sum(game == "qbert" and name.startswith("tile_color_") for game, name in without) == 21
    assert sum(game == "battlezone" for game, _ in without) == 5
    assert len(without) == 26


# Names of games


@pytest.mark.parametrize("game", ALL_GAMES)
def test_three_names_of_a_game(game):
    assert game_of(game) == game_of(rom_name(game)) == game
    assert Path(ale_py.roms.get_rom_path(rom_name(game))).is_file()
    for suffix in ("NoFrameskip-v4", "-v4", "-v0", "NoFrameskip-v0"):
        assert gym.envs.registration.registry[gym_id(game, suffix)].kwargs["game"] == rom_name(game)
        assert game_of(gym_id(game, suffix)) == game
    v5 = f"ALE/{gym_id(game, '-v5')}"
    assert gym.envs.registration.registry[v5].kwargs["game"] == rom_name(game)
    assert game_of(v5) == game
    assert (
        game_of(gym_id(game, "Deterministic-v4"))
        == game_of(gym_id(game, "-ramNoFrameskip-v4"))
        == game
    )


@pytest.mark.parametrize(
    ("game", "rom", "env_id"),
    [
        ("mspacman", "ms_pacman", "MsPacmanNoFrameskip-v4"),
        ("montezumarevenge", "montezuma_revenge", "MontezumaRevengeNoFrameskip-v4"),
        ("demonattack", "demon_attack", "DemonAttackNoFrameskip-v4"),
        ("qbert", "qbert", "QbertNoFrameskip-v4"),
    ],
)
def test_names_by_hand(game, rom, env_id):
    assert (rom_name(game), gym_id(game)) == (rom, env_id)


@pytest.mark.parametrize("name", ["Breakoutt-v4", "ALE/Enduro-v5", "CartPole-v1", ""])
def test_unknown_game_is_refused_with_the_known_ones(name):
    with pytest.raises(
        UserError, match=r"^unknown game .*known: asteroids, battlezone, .*, yarsrevenge$"
    ) as refusal:
        game_of(name)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name_of", [rom_name, gym_id])
def test_rom_and_id_of_an_unknown_game(name_of):
    with pytest.raises(UserError, match=r"unknown game 'pongg' \(did you mean pong\?\)"):
        name_of("pongg")


# The wrapper, on real games


@pytest.mark.parametrize("form", ID_FORMS)
@pytest.mark.parametrize("game", STEMS)
@pytest.mark.parametrize("label_set", LABEL_SETS)
def test_wrapper_on_every_kind_of_id(label_set, game, form):
    with AtariARIWrapper(gym.make(form.format(STEMS[game])), label_set=label_set) as env:
        assert_labels_are_the_ram(env, label_set, game)


@pytest.mark.parametrize(("label_set", "game"), SETS_AND_GAMES)
def test_wrapper_on_every_game(label_set, game):
    with AtariARIWrapper(gym.make(gym_id(game)), label_set) as env:
        assert_labels_are_the_ram(env, label_set, game, steps=3)


def test_labels_move_with_the_game():
    with AtariARIWrapper(gym.make("PongNoFrameskip-v4")) as env:
        seen = assert_labels_are_the_ram(env, "paper-2019", "pong", steps=100)
    assert len({labels_["ball_x"] for labels_ in seen}) > 10


def test_wrapper_over_and_under_other_wrappers():
    inner = FrameStackObservation(
        AtariPreprocessing(TimeLimit(gym.make("ALE/Pong-v5", frameskip=1), 50)), 4
    )
    with TimeLimit(AtariARIWrapper(inner), 5) as env:
        _, info = env.reset(seed=0)
        assert info["labels"] == expected(env, "paper-2019", "pong")
        *_, info = env.step(0)
        assert info["labels"] == expected(env, "paper-2019", "pong")
        assert "lives" in info


def test_wrapper_changes_nothing_else():
    with gym.make("Pong-v4") as plain, AtariARIWrapper(gym.make("Pong-v4")) as wrapped:
        (frame, info), (wrapped_frame, wrapped_info) = plain.reset(seed=3), wrapped.reset(seed=3)
        for action in (2, 3, 0, 2):
            assert np.array_equal(frame, wrapped_frame)
            assert wrapped_info.keys() - info.keys() == {"labels"}
            frame, *rest, info = plain.step(action)
            wrapped_frame, *wrapped_rest, wrapped_info = wrapped.step(action)
            assert rest == wrapped_rest


def test_wrapper_without_a_spec():
    with AtariARIWrapper(ale_py.AtariEnv("ms_pacman")) as env:
        assert env.unwrapped.spec is None
        assert_labels_are_the_ram(env, "paper-2019", "mspacman", steps=3)


def test_wrapper_believes_the_rom_not_the_id():
    with AtariARIWrapper(gym.make("ALE/Pong-v5", game="boxing")) as env:
        assert_labels_are_the_ram(env, "paper-2019", "boxing", steps=3)


def test_wrapped_environment_is_made_again_from_its_spec():
    with AtariARIWrapper(gym.make("Pong-v4"), "revised-2020") as env, gym.make(env.spec) as again:
        _, info = again.reset(seed=0)
        assert list(info["labels"]) == list(variables("revised-2020", "pong"))


def test_wrapper_refuses_what_it_cannot_label():
    with (
        gym.make("ALE/Enduro-v5") as env,
        pytest.raises(UserError, match=r"unknown game 'enduro'.*; known: asteroids, "),
    ):
        AtariARIWrapper(env)
    with (
        gym.make("ALE/Skiing-v5") as env,
        pytest.raises(UserError, match="unknown paper-2019 game 'skiing'"),
    ):
        AtariARIWrapper(env)
    with (
        gym.make("ALE/Pong-v5") as env,
        pytest.raises(UserError, match="unknown label set 'paper'"),
    ):
        AtariARIWrapper(env, "paper")
    with (
        gym.make("CartPole-v1") as env,
        pytest.raises(UserError, match=r"CartPole.* has no Atari emulator"),
    ):
        AtariARIWrapper(env)
    with (
        gym.make("ALE/Pong-v5") as env,
        pytest.raises(UserError, match="label_set is None: give text"),
    ):
        AtariARIWrapper(env, None)
    with (
        closing(gym.make_vec("ALE/Pong-v5", 1, vectorization_mode="sync")) as env,
        pytest.raises(UserError, match="or wrap a vector environment in AtariARIVectorWrapper"),
    ):
        AtariARIWrapper(env)


# Imports


def modules_after(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}, set(done.stdout.split())


def test_wrapper_makes_games_and_imports_little():
    packages, modules = modules_after(
        "from workflow_src.ari import AtariARIWrapper; import gymnasium; "
        "gymnasium.spec('PongNoFrameskip-v4')"
    )
    # What these three bring along is theirs; none of it may be ours.
    allowed, _ = modules_after("import gymnasium, ale_py, numpy")
    assert packages - allowed - sys.stdlib_module_names == {"workflow_src"}
    assert not packages & {
        "torch",
        "pandas",
        "pydantic",
        "cv2",
        "blosc2",
        "yaml",
        "click",
        "matplotlib",
        "sklearn",
    }
    ours = {
        name
        for name in modules
        if name.startswith("workflow_src.") and not name.startswith("workflow_src.ari")
    }
    assert ours == {"workflow_src.errors"}


def test_label_sets_need_no_gymnasium():
    packages, _ = modules_after("import workflow_src.ari.labels")
    assert not packages & {"gymnasium", "ale_py"}


def test_unknown_name_of_the_package():
    import workflow_src.ari

    assert not hasattr(workflow_src.ari, "nothing")
    assert all(hasattr(workflow_src.ari, name) for name in workflow_src.ari.__all__)
