"""The benchmark's scripts, at sizes that say nothing about speed: what they measure is the same
thing on both sides.
"""

import json
import time
from dataclasses import fields
from functools import partial

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from speed import (
    agents,
    agents_gpu,
    bench,
    collect,
    duplicates,
    flops,
    frames,
    gpu,
    limits,
    measure,
    methods,
    places,
    probes,
    store,
    train,
    workflow,
)
from speed.baselines import collect as plain_collect
from speed.baselines import duplicates as plain_duplicates
from speed.baselines import st_dim as plain_st_dim
from speed.measure import Bench, Measured, Row
from workflow_src.ari import variables
from workflow_src.config.run import defaults
from workflow_src.episodes.store import CHUNK, FrameStore
from workflow_src.splits.duplicates import frame_hashes, occurs_in
from workflow_src.training import objective

pytestmark = pytest.mark.slow

KEYS = ["step", "unit", "ours", "baseline", "limit", "baseline_ratio", "limit_ratio", "peak_mb"]


@pytest.fixture(scope="module")
def at(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("speed"), rounds=1, tiny=True, threads=1)


@pytest.fixture
def here(monkeypatch):
    """Sides are called in this process: a fresh one takes seconds to load torch."""

    def alone(function, **_):
        return Measured(function(), 1.0)

    for module in (measure, probes, bench):
        monkeypatch.setattr(module, "alone", alone)


@pytest.fixture(scope="module")
def pong(at):
    return FrameStore.open(frames.played(at, 300))


def numbers(rows):
    """{step: row}, each of numbers that say something."""
    rows = list(rows)
    assert all(row.ours > 0 for row in rows)
    return {row.step: row for row in rows}


# Measuring


def test_a_row_is_a_line_of_the_json():
    assert [field.name for field in fields(Row)] == KEYS
    (line,) = measure.content([Row("a", "b", 1.23456, limit=2)])
    assert line == dict.fromkeys(KEYS) | {"step": "a", "unit": "b", "ours": 1.235, "limit": 2}
    shown = measure.table([Row("a", "b", 12345.6, limit=2), Row("c", "d", 0.123456)])
    assert (
        "12,350" in shown
        and "0.123" in shown
        and "nan" not in shown.lower()
        and "None" not in shown
    )


def test_ratios_are_of_the_same_round():
    """The machine is half as fast in the second round, and hiccups in the third: the ratio of
    medians would be 0.8.
    """
    rounds = {"ours": [10, 5, 8], "baseline": [5, 2.5, 1], "limit": [20, 10, 10]}
    found = measure.row(
        "s",
        "u",
        {name: [Measured(v, 7.0 + v) for v in values] for name, values in rounds.items()},
        scale=2,
    )
    assert (found.ours, found.baseline, found.limit) == (8, 2.5, 5)
    assert (found.baseline_ratio, found.limit_ratio, found.peak_mb) == (2, 1, 17)


def test_sides_are_measured_in_turn(monkeypatch):
    order = []
    monkeypatch.setattr(measure, "alone", lambda side: side())
    found = measure.interleaved(2, {name: partial(order.append, name) for name in "ab"})
    assert order == ["a", "b", "a", "b"] and {
        name: len(values) for name, values in found.items()
    } == {"a": 2, "b": 2}


def fill(megabytes, file):
    """Take memory for a moment, and map a file."""
    kept = np.ones(megabytes * 10**6, np.uint8)
    time.sleep(0.2)
    return len(kept) + 0 * int(np.memmap(file, np.uint8).sum())


def test_memory_is_a_process_of_its_own(tmp_path):
    np.zeros(200 * 10**6, np.uint8).tofile(tmp_path / "file")
    side = partial(fill, 100, tmp_path / "file")
    everything, beside = measure.alone(side), measure.alone(side, beside_files=True)
    assert everything.value == 100 * 10**6 and everything.peak_mb > 300
    assert everything.peak_mb - beside.peak_mb == pytest.approx(200, abs=40)


def test_a_side_that_fails_says_why():
    with pytest.raises(RuntimeError, match="unsupported operand"):
        measure.alone(partial(limits.copy, None))


def test_limits():
    assert limits.emulator("pong", 40, 2) > 0
    assert limits.copy(1, 0) > 0 and limits.product("bfloat16", 1, 64, 0) > 0


# Both sides do the same


def test_collecting(at, here):
    rows = numbers(collect.rows(at))
    assert [*rows] == ["collect Pong", "collect Ms Pac-Man"]
    assert all(
        row.baseline > 0 and row.limit > 0 and row.baseline_ratio > 0 for row in rows.values()
    )


def test_the_plain_collection_has_frames_and_labels():
    played, labels = plain_collect.collect("pong", 20, 2)
    assert len(played) == 20 and {(frame.shape, frame.dtype) for frame in played} == {
        ((210, 160), np.dtype(np.uint8))
    }
    assert len({frame.tobytes() for frame in played}) > 5, "nothing moves"
    names = variables("paper-2019", "pong")
    assert len(labels) == 10 and all(
        set(names) <= set(step) and len(step[name]) == 2 for step in labels for name in names
    )


def test_the_store(at, here):
    rows = [*numbers(store.rows(at)).values()]
    assert [row.unit for row in rows] == ["% of raw", "GB/s", "GB/s", "% of file"]
    assert rows[0].ours < 1.5


def test_one_chunk_is_read_and_no_more(at):
    file = frames.played(at, 3 * CHUNK, "mspacman")
    assert 10 < measure.alone(partial(store.touched, file)).value < 60


def test_duplicates(at, here, pong):
    (row,) = numbers(duplicates.rows(at)).values()
    assert row.baseline > 0 and row.limit > 0
    known, asked = duplicates.parts(len(pong))
    hashes = frame_hashes(pong)
    ours, theirs = (
        occurs_in(hashes[asked], hashes[known]),
        plain_duplicates.occurs(pong, known, asked),
    )
    assert np.array_equal(ours, theirs) and len(theirs) == 60


def test_st_dim_is_the_same_loss(one_thread, pong):
    """Of a batch, with the same weights in float32, and so are the gradients."""
    config = defaults({})
    ours = objective.find("st-dim")(config.methods["st-dim"], torch.Generator().manual_seed(0))
    plain = plain_st_dim.STDIM()
    plain.load_state_dict(ours.state_dict())
    t = np.arange(1, 17) * 15
    played = pong.read(np.arange(300))
    terms = ours(torch.from_numpy(np.stack([played[t - 1], played[t]], axis=1)).unsqueeze(2))
    loss = plain(*(plain_st_dim.gather(played, index, "cpu") for index in (t - 1, t)))
    assert loss.item() == pytest.approx(sum(terms.values()).item(), rel=1e-5)
    sum(terms.values()).backward()
    loss.backward()
    for name, parameter in plain.named_parameters():
        mine = ours.get_parameter(name).grad
        assert torch.allclose(
            parameter.grad, mine, rtol=1e-3, atol=1e-3 * float(mine.abs().max())
        ), name


def test_training_st_dim(at, here):
    (row,) = numbers(train.rows(at)).values()
    assert row.baseline > 0 and row.limit > 0 and "0.417 GFLOP" in row.step


def test_operations_by_hand():
    """Multiplications and additions of each layer: forward, and twice backward, but for the
    gradient of the frames.
    """
    rows = defaults({}).methods
    convolutions = [
        51 * 39 * 32 * 64,
        24 * 18 * 64 * 32 * 16,
        11 * 8 * 128 * 64 * 16,
        9 * 6 * 64 * 128 * 9,
    ]
    frame = 2 * (3 * (sum(convolutions) + 64 * 9 * 6 * 256) - convolutions[0]) / 1e9
    assert flops.trunk(rows["st-dim"]) == pytest.approx(frame)
    heads = 3 * 2 * (256 * 128 + 88 * (128 * 128 + 2 * 64 * 128)) / 1e9
    assert flops.per_example(rows["st-dim"], 64, {}) == pytest.approx(2 * frame + heads, rel=1e-3)
    assert flops.per_example(rows["dim"], 64, {}) == pytest.approx(frame, rel=0.05)
    told = {"variables": ["a", "b"], "classes": 256}
    assert flops.per_example(rows["supervised"], 64, told) == pytest.approx(
        2 * (frame + 6 * 256 * 256 / 1e9)
    )
    gru = 2 * 2 * 3 * 256 * 512
    scores = sum(2 * 64 * 256 * (100 - k) ** 2 for k in range(1, 100, 4))
    cpc = 100 * frame + 3 * (100 * (gru + 2 * 25 * 256 * 256) + scores) / 1e9
    assert flops.per_example(rows["cpc"], 64, {}) == pytest.approx(cpc)


def test_every_other_method_that_learns(at, here):
    rows = numbers(methods.rows(at))
    learning = [
        name for name, row in defaults({}).methods.items() if row.learns_from and name != "st-dim"
    ]
    assert [step.split()[1] for step in rows] == learning
    assert all(row.limit > 0 and row.baseline is None for row in rows.values())


def test_place_codes(at, here):
    learned, fitted = numbers(places.rows(at)).values()
    assert learned.unit == fitted.unit == "frames/s"
    assert all(row.ours > 0 and row.limit > 0 for row in (learned, fitted))


def test_probes(at, here):
    learned, f1 = numbers(probes.rows(at)).values()
    assert learned.baseline > 0 and f1.unit.startswith("F1")


def test_probes_end_with_the_same_f1(at, one_thread):
    """Both ways are fitted to the end, with the same draws; and something was learned."""
    mine, other = probes.f1(frames.played(at, 800), 800, epochs=4, threads=1)
    assert np.abs(mine - other).max() <= 0.01
    assert mine.mean() > 0.1


def test_agents(at, here):
    rows = numbers(agents.rows(at))
    played = rows.pop("agents: play")
    assert played.baseline > 0 and played.limit > 0
    shares = [row for row in rows.values() if row.unit == "% of an update"]
    assert [0 < row.ours < 100 for row in shares] == [True, True]
    learned = [row for row in rows.values() if row.unit == "steps/s"]
    assert [row.baseline > 0 for row in learned] == [True] * 4


def test_workflow(at):
    rows = numbers(workflow.rows(at))
    assert [row.unit for row in rows.values()] == ["s", "s"]


# The commands


def test_bench_prints_one_table_and_writes_it(tmp_path):
    done = CliRunner().invoke(
        bench.main,
        ["--only", "duplicates", "--rounds", "1", "--tiny", "--out", tmp_path / "latest.json"],
    )
    assert done.exit_code == 0, done.output
    (line,) = json.loads((tmp_path / "latest.json").read_text())
    assert (
        sorted(line) == sorted(KEYS)
        and line["step"] == "duplicates and entropies"
        and line["peak_mb"] > 10
    )
    hardware, head, row = done.stdout.splitlines()
    assert (
        "cores" in hardware
        and "torch" in hardware
        and head.startswith("step")
        and "duplicates" in row
    )


def test_the_gpus_table_on_the_processor(one_thread):
    done = CliRunner().invoke(gpu.main, ["--device", "cpu"])
    assert done.exit_code == 0, (done.output, done.exception)
    learning = [name for name, row in defaults({}).methods.items() if row.learns_from]
    lines = [line for line in done.stdout.splitlines() if line.split()[0] in learning]
    assert {line.split()[0] for line in lines} == {*learning}
    assert all(" True" in line and " False" not in line for line in lines), done.stdout
    assert "GPU-hours" in done.stdout.splitlines()[-1]


def test_the_gpus_tables_of_agents_on_the_processor(one_thread):
    only = [word for part in ("parts", "speed") for word in ("--only", part)]
    done = CliRunner().invoke(agents_gpu.main, ["--device", "cpu", *only])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "update 32, graph" in done.stdout and "sample 128" in done.stdout
    *_, names, row = done.stdout.splitlines()
    assert names.split() == ["environments", "steps/s", "updates/s"]
    envs, steps, updates = map(float, row.split())
    assert envs == 4 and steps == pytest.approx(4 * updates) and steps > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("script", [gpu, agents_gpu])
def test_without_a_gpu_it_says_so(script):
    done = CliRunner().invoke(script.main, [])
    assert (
        done.exit_code == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    )
