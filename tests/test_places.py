"""Place codes against plain loops, and the methods that are measured instead of trained."""

import itertools
import json

import numpy as np
import pytest
import scipy.linalg
import torch
from steps import probe, train
from trainings import index

from workflow_src import encoders
from workflow_src.config.methods import Method
from workflow_src.config.run import defaults
from workflow_src.encoders import places
from workflow_src.errors import UserError
from workflow_src.methods import profiles, rrr
from workflow_src.methods.profiles import ProfilesAlone
from workflow_src.training.objective import EpisodeIndex

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = {"game": "breakout", "policy": "random_agent", "protocol": "paper", "seed": 0}
H, W = 210, 160


def scene(count, room=20, seed=0):
    """A picture of ``room``'s gray level and two squares, of 90 and 230, that move on it."""
    rng = np.random.default_rng(seed)
    frames = np.full((count, H, W), room, np.uint8)
    frames[:, 100:110] = room + 5  # a wall that stands still
    for frame in frames:
        for level, size in ((90, 8), (230, 5)):
            y, x = rng.integers(H - size), rng.integers(W - size)
            frame[y : y + size, x : x + size] = level
    return torch.from_numpy(frames)


def everything(frames):
    return np.arange(len(frames))


def measured(kind, frames):
    kind.measure(frames, everything(frames))
    return kind


def test_profiles_are_counts_by_level_column_and_row():
    frames = scene(40)
    profiles = measured(places.Profiles(), frames)
    levels = {level: int(n) for level, n in enumerate(profiles.levels) if n < places.LEVELS}
    assert set(levels) == {90, 230}
    background = np.full((H, W), 20)
    background[100:110] = 25
    assert (profiles.backgrounds.numpy() == background).all()
    found = profiles(frames[:5]).view(5, places.LEVELS, W + H)
    for frame, counts in zip(frames[:5].numpy(), found.numpy(), strict=True):
        expected = np.zeros((places.LEVELS, W + H), int)
        for y, x in itertools.product(range(H), range(W)):
            if frame[y, x] != background[y, x] and frame[y, x] in levels:
                expected[levels[frame[y, x]], x] += 1
                expected[levels[frame[y, x]], W + y] += 1
        assert (counts == expected).all()
    assert torch.equal(places.in_pieces(profiles, frames), profiles(frames))


def test_the_levels_of_most_frames_are_counted():
    frames = scene(30)
    frames[:3][frames[:3] == 20] = 190  # large, and seldom there
    for level in range(20):  # one more pixel of each, in every frame another
        frames[torch.arange(30), level, 2 * torch.arange(30) + 1] = 100 + level
        frames[torch.arange(30), 30 + level, torch.arange(30) + 40] = 100 + min(level, 7)
    profiles = measured(places.Profiles(), frames)
    counted = {level for level in range(256) if profiles.levels[level] < places.LEVELS}
    assert len(counted) == places.LEVELS and {90, 230, 107} <= counted
    # Of those alike, the darker.
    assert counted == {90, 230, *range(100, 108)}


def test_rooms_have_backgrounds_of_their_own_and_what_moves_has_none():
    rooms = [scene(60, room, seed) for seed, room in enumerate((20, 140))]
    rooms[1][:, :, :80] = 200
    frames = torch.cat(rooms)
    profiles = measured(places.Profiles(), frames)
    distinct = {one.numpy().tobytes() for one in profiles.backgrounds}
    assert len(distinct) == 2
    # Nothing but the squares is counted, in either room.
    counts = profiles(frames).view(-1, places.LEVELS, W + H)
    assert counts[:, :, :W].sum((1, 2)).max() <= 8 * 8 + 5 * 5
    alone = measured(places.Profiles(), rooms[0])
    assert len({one.numpy().tobytes() for one in alone.backgrounds}) == 1


@pytest.mark.parametrize("count", [1, 2])
def test_few_frames_are_enough_to_measure(count):
    frames = scene(count)
    for kind in (places.Profiles(), places.Codebooks()):
        assert len(places.in_pieces(measured(kind, frames), frames)) == count


def test_what_never_changes_has_no_scale_and_no_deviation_is_blown_up():
    counts = torch.zeros(50, places.PROFILES, dtype=torch.uint8)
    counts[:, 1], counts[::2, 2], counts[0, 3] = 9, 100, 1
    mean, scale = places.standardisation(counts)
    assert (mean[1], mean[2]) == (3, 5) and mean[3] == pytest.approx(1 / 50)
    assert scale.nonzero().flatten().tolist() == [2, 3]
    assert scale[2] == pytest.approx(1 / 5)
    assert scale[3] == pytest.approx(1 / 0.5)  # a tenth of the largest deviation, not 0.14


def test_codebooks_name_the_patches_that_there_are():
    frames = torch.zeros(40, H, W, dtype=torch.uint8)
    digits = torch.arange(40) % 3
    frames[digits == 1, :15, :16] = 100
    frames[digits == 2, :15, :16] = 250
    books = measured(places.Codebooks(), frames)
    codes = books(frames)
    assert codes.shape == (40, places.PLACES) and codes.dtype == torch.uint8
    first = codes[:, 0]
    assert len({*zip(first.tolist(), digits.tolist(), strict=True)}) == 3
    assert len({*first.tolist()}) == 3 and (codes[:, 1:] == codes[0, 1:]).all()
    entropy = places.entropy(codes)
    share = np.bincount(digits) / 40
    assert entropy[0].item() == pytest.approx(-(share * np.log(share)).sum(), rel=1e-6)
    assert entropy[1:].abs().max() == 0


def test_the_nearest_patch_is_the_nearest():
    frames = torch.from_numpy(
        np.random.default_rng(0).integers(256, size=(60, H, W), dtype=np.uint8)
    )
    books = measured(places.Codebooks(), frames)
    codes = books(frames[:2])
    centers = books.centers.double().numpy()
    for number, place in itertools.product(range(2), (0, 9, 10, 139)):
        y, x = divmod(place, W // 16)
        patch = frames[number, 15 * y : 15 * y + 15, 16 * x : 16 * x + 16].numpy().ravel() / 255
        distance = ((centers[place] - patch) ** 2).sum(1)
        assert distance[codes[number, place]] == pytest.approx(distance.min(), abs=1e-4)
    # Each of k-means' centers is the mean of what is nearest to it.
    every = books(frames)[:, 5]
    patches = frames[:, :15, 80:96].flatten(1).double() / 255
    own = [patches[every == code].mean(0) for code in every.unique()]
    moved = max(
        (mean - books.centers[5, int(code)]).abs().max().item()
        for mean, code in zip(own, every.unique(), strict=True)
    )
    assert moved < 0.05


def test_an_index_s_rows_and_stacks():
    episodes = EpisodeIndex(np.array([2, 9]), np.array([3, 2]))
    assert episodes.rows.tolist() == [2, 3, 4, 9, 10]
    assert episodes.stacks(2).tolist() == [[2, 2], [2, 3], [3, 4], [9, 9], [9, 10]]


def test_the_first_factor_is_the_best_of_its_rank():
    """Against the definition: the fit of a ridge, cut to its leading directions in Y."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 12)) * np.linspace(0.5, 1.5, 12)
    y = x @ rng.normal(size=(12, 9)) + rng.normal(size=(400, 9))
    x, y, ridge = x - x.mean(0), y - y.mean(0), 0.01
    gram, cross = x.T @ x / 400, x.T @ y / 400
    full = np.linalg.solve(gram + ridge * np.eye(12), cross)
    # Ridge regression is plain regression on data with more rows.
    more = np.vstack([x, np.sqrt(400 * ridge) * np.eye(12)])
    _, _, directions = np.linalg.svd(more @ full)
    for rank in (1, 4):
        factor = rrr._first_factor(gram, cross, ridge, rank)
        within = factor.T @ (gram + ridge * np.eye(12)) @ factor
        assert within == pytest.approx(np.eye(rank), abs=1e-9)
        best = full @ directions[:rank].T @ directions[:rank]
        ours = factor @ (factor.T @ cross)
        assert ours == pytest.approx(best, abs=1e-9)
    assert not rrr._first_factor(gram, cross, ridge, 15)[:, 12:].any()


@pytest.mark.parametrize("stack", [1, 3])
def test_rrr_s_features_are_uncorrelated_and_tell_where_things_are(stack):
    frames, row = scene(600), Method(kind="rrr", feature_size=24, frame_stack=stack)
    model = rrr.ReducedRank(row, torch.Generator().manual_seed(0))
    model.prepare(frames, index(400, 200))
    stacks = frames[torch.from_numpy(index(400, 200).stacks(stack))]
    features = encoders.encode(model.encoder, stacks, torch.device("cpu")).astype(float)
    assert features.mean(0) == pytest.approx(0, abs=1e-3)
    covariance = np.cov(features.T)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 0.05
    assert np.diag(covariance).min() > 0.5 and np.diag(covariance).max() < 1.01
    position = np.array([np.nonzero(f == 90)[1].mean() for f in frames.numpy()])
    fitted = np.linalg.lstsq(np.c_[features, np.ones(600)], position, rcond=None)[0]
    left = position - np.c_[features, np.ones(600)] @ fitted
    before = rrr.ReducedRank(row, torch.Generator().manual_seed(0)).encoder
    plain = encoders.encode(before, stacks, torch.device("cpu")).astype(float)
    other = np.linalg.lstsq(np.c_[plain, np.ones(600)], position, rcond=None)[0]
    assert left.var() < 0.7 * (position - np.c_[plain, np.ones(600)] @ other).var()


def test_profiles_are_whitened_and_read_the_newest_frame():
    frames = scene(300)
    model = ProfilesAlone(Method(kind="profiles", feature_size=20), torch.Generator())
    model.prepare(frames, index(300))
    features = encoders.encode(model.encoder, frames, torch.device("cpu")).astype(float)
    assert features.mean(0) == pytest.approx(0, abs=1e-3)
    assert np.cov(features.T) == pytest.approx(np.eye(20), abs=0.02)
    stacked = torch.stack([frames.flip(0), frames], 1)
    newest = encoders.encode(model.encoder, stacked, torch.device("cpu"))
    assert np.array_equal(newest, features.astype(np.float32))
    floats = model.encoder(frames[:9, None].float() / 255)
    assert np.array_equal(floats.numpy(), newest[:9])


def slow(size):
    settings = Method(kind="profiles", feature_size=size, options={"slow": True})
    return ProfilesAlone(settings, torch.Generator())


def test_slow_directions_are_the_generalised_eigenvectors():
    rng = np.random.default_rng(0)
    # Sources whose value stays with probability 0 to 0.9 a step, mixed and scaled.
    stays, count = np.linspace(0, 0.9, 12), 4000
    values = rng.normal(size=(count, 12))
    for t in range(1, count):
        values[t] = np.where(rng.random(12) < stays, values[t - 1], values[t])
    values = values @ rng.normal(size=(12, 12)) * rng.uniform(0.2, 3, 12)
    values -= values.mean(0)
    covariance, changes = np.cov(values.T, bias=True), np.cov(np.diff(values.T), bias=True)
    found = profiles._slow(covariance, changes, 5)
    assert found.T @ covariance @ found == pytest.approx(np.eye(5), abs=1e-9)
    root = scipy.linalg.sqrtm(covariance).real
    _, vectors = scipy.linalg.eigh(covariance - changes / 4, root)
    best = vectors[:, ::-1][:, :5]
    for k in range(1, 6):  # the same spaces, best first
        both = np.c_[found[:, :k], best[:, :k]]
        assert np.linalg.matrix_rank(both / np.linalg.norm(both, axis=0), tol=1e-6) == k
    assert profiles._slow(covariance, changes, 99).shape == (12, 12)
    # A direction that hardly varies is left out, whatever its speed.
    tiny = scipy.linalg.block_diag(covariance, 1e-12)
    assert profiles._slow(tiny, scipy.linalg.block_diag(changes, 0), 99).shape == (13, 12)


def test_slow_profiles_prefer_what_stays_to_what_flickers():
    count = 600
    rng = np.random.default_rng(0)
    frames = np.full((count, H, W), 20, np.uint8)
    at = np.repeat(rng.integers(0, W - 2, count // 20), 20)  # small, and seldom elsewhere
    for t, frame in enumerate(frames):
        frame[50:52, at[t] : at[t] + 2] = 90
        for level in (150, 230):
            y, x = rng.integers(100, H - 20), rng.integers(W - 20)
            frame[y : y + 20, x : x + 20] = level
    frames = torch.from_numpy(frames)
    place = np.c_[at < W / 2, at < W / 4, at < W * 3 / 4].astype(float)

    def explained(model):
        model.prepare(frames, index(count))
        found = np.c_[encoders.encode(model.encoder, frames, torch.device("cpu")), np.ones(count)]
        left = place - found @ np.linalg.lstsq(found, place, rcond=None)[0]
        return 1 - left.var() / place.var()

    largest = ProfilesAlone(Method(kind="profiles", feature_size=32), torch.Generator())
    assert explained(slow(32)) > 0.45 > 0.35 > explained(largest)


def test_slow_profiles_need_a_frame_after_another():
    alone = EpisodeIndex(np.arange(40), np.ones(40, np.int64))
    with pytest.raises(UserError, match=r"^no frame has one after it: "):
        slow(4).prepare(scene(40), alone)


@pytest.mark.parametrize("kind", ["rrr", "profiles", "place-codes"])
def test_a_game_in_which_nothing_moves_is_refused(kind):
    from workflow_src.training import objective

    frames = torch.full((30, H, W), 7, dtype=torch.uint8)
    model = objective.find(kind)(Method(kind=kind), torch.Generator())
    with pytest.raises(UserError, match=r"nothing moves before its background in 30 frames: "):
        model.prepare(frames, index(30))


ROWS = {
    "profiles": {"kind": "profiles", "feature_size": 16},
    "slow-profiles": {"kind": "profiles", "feature_size": 16, "options": {"slow": True}},
    "rrr": {"kind": "rrr", "feature_size": 16, "frame_stack": 2},
    "place-codes": {"kind": "place-codes", "feature_size": 16, "epochs": 1},
    "dim-ua": {"kind": "dim-ua", "feature_size": 16, "epochs": 1, "charts": 3},
    "dim-ua-mean": {"kind": "dim-ua", "feature_size": 16, "epochs": 1, "readout": "mean"},
}


@pytest.mark.parametrize("method", ROWS)
def test_weights_are_read_back_conditioned_and_probed(collected, tmp_path, method):
    other = {"kind": "conditioned", "of": method, "features": "whitened"}
    config = defaults(
        {
            "methods": {method: ROWS[method], "other": other},
            "training": {"threads": 1, "precision": "float32", "batch_size": 16},
            "probe": {"threads": 1, "epochs": 2, "batch_size": 16},
        }
    )
    data = {"frames": collected.frames("pretrain"), "split": collected.split("pretrain")}
    made = {}
    for name, base in (
        (method, {}),
        ("again", {}),
        ("other", {"base": tmp_path / method, "base_row": config.method(method)}),
    ):
        history = tmp_path / f"{name}.csv"
        which = method if name == "again" else name
        out = tmp_path / name
        train(
            config, method=which, out=out, history=history, progress=False, **NAMES, **data, **base
        )
        made[name] = out
    assert made[method].read_bytes() == made["again"].read_bytes()
    row = config.method("other")
    assert (row.charts, row.readout) == (
        config.method(method).charts,
        config.method(method).readout,
    )
    for name in (method, "other"):
        encoder, header = encoders.load(made[name], config.method(name))
        assert encoder.state_dict().keys() and header["feature_size"] == 16
        found = tmp_path / f"{name}.json"
        probing = {"frames": collected.frames("probe"), "split": collected.split("probe")}
        probe(config, method=name, kind="linear", weights=made[name], out=found, **NAMES, **probing)
        assert json.loads(found.read_text())["features"]["size"] == 16
    if method.startswith("dim-ua"):
        wrong = Method(kind="dim-ua", feature_size=16, charts=5)
        with pytest.raises(UserError, match=r"has charts .*, but the configuration says 5: name"):
            encoders.load(made[method], wrong)


def test_the_charts_that_a_probe_gets():
    mean, most = (
        encoders.of_row(Method(kind="dim-ua", feature_size=6, readout=how), seeded())
        for how in ("mean", "argmax")
    )
    frames = scene(8).unsqueeze(1)
    _, charts, membership = most.atlas(frames)
    assert charts.shape == (8, 4, 6) and most.feature_size == 6
    assert torch.allclose(membership.sum(1), torch.ones(8))
    assert torch.equal(mean(frames), charts.mean(1))
    for found, values, belongs in zip(most(frames), charts, membership, strict=True):
        assert torch.equal(found, values[belongs.argmax()])
    assert torch.equal(most.maps(frames)[1], most(frames))


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"kind": "combined", "options": {"terms": ""}}, "it names no term; write such as"),
        (
            {"kind": "combined", "options": {"terms": "local"}},
            "unknown term .local. .did you mean local-local",
        ),
        (
            {"kind": "st-dim-vicreg", "options": {"terms": "variance:x"}},
            "'x' is no weight of variance; write such as variance:0.5",
        ),
        (
            {"kind": "place-codes", "options": {"terms": "profiles profiles:2"}},
            "profiles stands there twice; remove one",
        ),
        ({"kind": "mst-dim", "options": {"masked": 1.0}}, "it is a share of the pixels"),
        ({"kind": "st-dim", "charts": 4}, "charts and readout belong to kind dim-ua"),
        ({"kind": "st-dim", "encoder": "profiles"}, "encoder profiles belongs to kind profiles"),
        ({"kind": "profiles", "encoder": "nature"}, "kind profiles has an encoder of its own"),
        ({"kind": "rrr", "epochs": 3}, "epochs has no effect on kind rrr"),
        ({"kind": "profiles", "input_scale": "byte"}, "input_scale has no effect on kind profiles"),
    ],
)
def test_a_row_that_means_nothing_is_refused(row, said):
    with pytest.raises(UserError, match=f"^[^\\n]*{said}"):
        defaults({"methods": {"x": row}})


def test_terms_and_their_weights():
    row = Method(kind="st-dim-vicreg", options={"terms": "global-local variance:0.5 covariance:2"})
    assert row.terms == {"global-local": 1.0, "variance": 0.5, "covariance": 2.0}
    assert Method(kind="mst-dim").terms == {"global-local": 1.0, "local-local": 1.0}
