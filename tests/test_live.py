"""Where running jobs stand: what they tell, and what is shown of it."""

import json
import os
import pty
import subprocess
import sys
import time

import pandas as pd
import pytest
from workflow import ROOT

from workflow_src import live
from workflow_src.csv_files import write_csv
from workflow_src.errors import UserError
from workflow_src.report.tensorboard import write

TRAINED = "encoders/random_agent/paper/st-dim/pong-s0"
HISTORY = [{"epoch": 0, "train_loss": 8.0, "val_loss": 8.5}]


def test_a_job_tells_epoch_losses_speed_and_time_left(tmp_path, capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with live.at(tmp_path / "a" / "pong-s0.log", "st-dim on pong"):
        meter = live.Meter("a training", 4, "examples", 1)
        meter.begin(0)
        now[0] += 50  # the untrained model's loss costs no time of an epoch
        meter.end(HISTORY)
        meter.begin(1)
        now[0] += 10
        meter.count(300, 0.5)
        (facts,) = live.running(tmp_path)
        assert live.describe(facts) == (
            "st-dim on pong: epoch 1 of 4 (50%), loss 8, val 8.5, 30 examples/s, "
            "at most 0:01:10 left"
        )
        now[0] += 10
        meter.count(300, 1.0)
        rows = [*HISTORY, {"epoch": 1, "train_loss": 7.0, "val_loss": 7.5}]
        meter.end(rows)
        (facts,) = live.running(tmp_path)
        assert (facts["train_loss"], facts["left"]) == (7.0, 60.0)
        # The history so far, after every epoch.
        told = (tmp_path / "a" / "pong-s0.live.csv").read_text()
        assert told == "epoch,train_loss,val_loss\n0,8.0,8.5\n1,7.0,7.5\n"
    assert live.running(tmp_path) == []
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "a training: epoch 0 of 4, loss 8, val 8.5"
    assert lines[1].startswith("a training: epoch 1 of 4, loss 7, val 7.5, 30 examples/s")


def test_a_job_goes_on_where_nothing_can_be_told(tmp_path):
    (tmp_path / "logs").write_text("a file")
    with live.at(tmp_path / "logs" / "x.log", "x"):
        live.Meter("x", 1, "frames", 0, lines=False).end(HISTORY)
    with live.at(None, "x"):
        live.Meter("x", 1, "frames", 0, lines=False).end(HISTORY)


def test_damaged_and_old_tellings_are_left_out(tmp_path):
    (tmp_path / "a.live.json").write_text("{")
    (tmp_path / "b.live.json").write_text("[]")
    (tmp_path / "c.live.json").write_text('{"name": "c"}')
    good = json.dumps({"name": "d", "epoch": 1, "epochs": 2})
    (tmp_path / "d.live.json").write_text(good)
    (tmp_path / "e.live.json").write_text(good)
    os.utime(tmp_path / "e.live.json", (0, 0))
    assert [live.describe(facts) for facts in live.running(tmp_path)] == ["d: epoch 1 of 2"]


def test_the_status_is_a_bar_or_lines(monkeypatch):
    jobs = [{"name": "a", "epoch": 1, "epochs": 2}, {"name": "b", "epoch": 0, "epochs": 2}]
    assert live.status(3, 12, jobs, 65, bar=False) == (
        "0:01:05  3 of 12 steps\n         a: epoch 1 of 2\n         b: epoch 0 of 2"
    )
    monkeypatch.setenv("COLUMNS", "60")
    line = live.status(3, 12, jobs, 65, bar=True)
    assert line == "[#####...............] 3 of 12 steps  a: epoch 1 of 2  |  b: epoch 0 of 2"[:59]


FOLLOWED = """
import sys, time
from pathlib import Path
from workflow_src import live
from workflow_src.errors import UserError
live._SHOW_SECONDS = {True: 0.05, False: 0.05}
live.follow(Path(sys.argv[1]), lambda: (1, 2), alone=sys.argv[2] == "alone")
time.sleep(0.5)
"""


@pytest.mark.parametrize("alone", [True, False])
def test_a_terminal_gets_a_line_that_changes(tmp_path, alone):
    main, other = pty.openpty()
    command = [sys.executable, "-c", FOLLOWED, tmp_path, "alone" if alone else "beside"]
    done = subprocess.run(list(map(str, command)), stderr=other, cwd=ROOT)
    os.close(other)
    said = os.read(main, 4096).decode()
    assert done.returncode == 0
    assert ("\r\x1b[K[##########..........] 1 of 2 steps" in said) is alone
    # Nothing changed, so it is said once.
    assert said.count("1 of 2 steps") == 1


@pytest.fixture
def trained(tmp_path):
    """A run with an encoder that is trained, one that is being trained, and one that learns not."""
    running = tmp_path / "logs" / f"{TRAINED}.live.csv"
    running.parent.mkdir(parents=True)
    running.write_text("epoch,train_loss\n0,8.0\n")
    table = pd.DataFrame({"epoch": [0, 1, 2], "train_loss": [8.0, 7.0, 6.5]})
    write_csv(tmp_path / "results" / f"{TRAINED.replace('pong', 'boxing')}.csv", table)
    empty = TRAINED.replace("st-dim", "random-cnn")
    write_csv(tmp_path / "results" / f"{empty}.csv", pd.DataFrame({"epoch": []}))
    return tmp_path


def test_histories_become_tensorboards_files(trained, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    theirs = tmp_path / "out" / "encoders" / "notes.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    for _ in range(2):  # again makes no second curve
        assert write(trained, tmp_path / "out") == 2
    assert theirs.read_text() == "mine"
    for game, values in (("pong", [8.0]), ("boxing", [8.0, 7.0, 6.5])):
        events = EventAccumulator(str(tmp_path / "out" / TRAINED.replace("pong", game)))
        events.Reload()
        found = [(event.step, event.value) for event in events.Scalars("train_loss")]
        assert found == list(enumerate(values))
    with pytest.raises(UserError, match="has no history of a training"):
        write(tmp_path / "nothing", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (f"results/{TRAINED}.csv", b"epoch,train_loss\n0,eight\n"),
        (f"results/{TRAINED}.csv", b"\xff\xfe\n1\n"),
        (f"results/{TRAINED}.csv", b""),
        (f"logs/{TRAINED}.live.csv", b"epoch,train_loss\n0,1.0,2.0\n"),
        (f"logs/{TRAINED}.live.csv", b"epoch,train_loss\n0,eight\n"),
    ],
)
def test_a_damaged_history_is_named_and_nothing_written(trained, name, content):
    (trained / name).parent.mkdir(parents=True, exist_ok=True)
    (trained / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is damaged"):
        write(trained, trained / "out")
    assert not (trained / "out").exists()


@pytest.mark.parametrize("blocked", ["out", "out/encoders"])
def test_no_place_for_tensorboards_files_is_one_line(trained, blocked):
    (trained / blocked).parent.mkdir(exist_ok=True)
    (trained / blocked).write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write .*out: a part of the path is a file"):
        write(trained, trained / "out")
