"""Published agents: files of their layouts, written here, are found, checked, converted, played."""

import base64
import gzip
import hashlib
import http.server
import io
import json
import pickle
import threading
import urllib.parse
import zipfile
from typing import ClassVar

import pandas as pd
import pytest
import torch

from workflow_src.agents import evaluate, published, remote, weights
from workflow_src.agents import learner as learners
from workflow_src.config.agents import Agent
from workflow_src.config.run import defaults
from workflow_src.errors import UserError

pytestmark = pytest.mark.usefixtures("one_thread")

SWITCHES = defaults({}).agent_protocols
GAME, ACTIONS = "pong", 6


def saved(content) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def convolutions(prefix):
    shapes = {"0": (32, 4, 8, 8), "2": (64, 32, 4, 4), "4": (64, 64, 3, 3)}
    state = {f"{prefix}{name}.weight": torch.randn(shape) * 0.05 for name, shape in shapes.items()}
    return state | {f"{prefix}{name}.bias": torch.randn(s[0]) * 0.1 for name, s in shapes.items()}


def linear(name, inputs, outputs):
    return {
        f"{name}.weight": torch.randn(outputs, inputs) * 0.05,
        f"{name}.bias": torch.randn(outputs),
    }


def of_atari_agents(atoms=1):
    """The file of an agent as atari-agents wrote it, and its network as that project had it."""
    state = convolutions("_AtariNet__features.") | linear("_AtariNet__head.0", 3136, 512)
    state |= linear("_AtariNet__head.2", 512, ACTIONS * atoms)
    if atoms > 1:
        state["_AtariNet__support"] = torch.linspace(-10, 10, atoms)
    return state


def zipped(state) -> bytes:
    return gzip.compress(saved({"estimator_state": state, "step": 250_000}), 1)


def values(state, prefix, hidden, last, frames, atoms=1):
    """The action values, by the functions that such a network is made of."""
    x = frames.float() / 255
    for layer, stride in (("0", 4), ("2", 2), ("4", 1)):
        x = torch.conv2d(
            x, state[f"{prefix}{layer}.weight"], state[f"{prefix}{layer}.bias"], stride=stride
        ).relu()
    x = x.flatten(1) @ state[f"{hidden}.weight"].T + state[f"{hidden}.bias"]
    found = x.relu() @ state[f"{last}.weight"].T + state[f"{last}.bias"]
    if atoms == 1:
        return found
    return found.view(-1, ACTIONS, atoms).softmax(2) @ state["_AtariNet__support"]


FRAMES = torch.randint(0, 256, (5, 4, 84, 84), generator=torch.Generator().manual_seed(0))
FRAMES = FRAMES.to(torch.uint8)


def row(**change):
    return Agent.model_validate({"kind": "published", "step": 250_000, **change})


def take(directory, settings, game=GAME):
    published.take(
        game=game,
        agent="theirs",
        seed=0,
        row=settings,
        switches=SWITCHES[settings.protocol],
        out=directory / "out",
        history=directory / "out" / "history.csv",
        working=directory / "working",
    )
    learner = learners.build(
        settings,
        actions=ACTIONS,
        frame_shape=(84, 84),
        generator=torch.Generator(),
        device=torch.device("cpu"),
    )
    expected = {"agent": "theirs", "game": game}
    header = weights.load(directory / "out" / "last.safetensors", learner.network, expected)
    with torch.no_grad():
        return learner.action_values(FRAMES), header


@pytest.fixture
def folder(tmp_path):
    """A local folder of atari-agents' layout, with three steps of a DQN."""
    torch.manual_seed(0)
    for step in (250_000, 15_250_000, 50_000_000):
        write(tmp_path / "theirs", "DQN_modern/Pong/0", step, zipped(of_atari_agents()))
    return tmp_path / "theirs"


def write(root, folder, step, content):
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / f"model_{step}.gz").write_bytes(content)


@pytest.mark.parametrize(
    ("algorithm", "atoms", "protocol"),
    [
        ("DQN_modern", 1, "modern"),
        ("MDQN_modern", 1, "modern"),
        ("C51_classic", 51, "classic"),
        ("DQN_classic_adam", 1, "classic"),
    ],
)
def test_agents_of_atari_agents_value_actions_as_theirs_do(tmp_path, algorithm, atoms, protocol):
    torch.manual_seed(1)
    state = of_atari_agents(atoms)
    content = zipped(state)
    write(tmp_path / "theirs", f"{algorithm}/Pong/2", 250_000, content)
    settings = row(algorithm=algorithm, seed=2, source=str(tmp_path / "theirs"))
    assert settings.protocol == protocol and settings.environment.pool == "resize-first"
    found, header = take(tmp_path, settings)
    names = ("_AtariNet__features.", "_AtariNet__head.0", "_AtariNet__head.2")
    torch.testing.assert_close(found, values(state, *names, FRAMES, atoms), atol=1e-4, rtol=1e-4)
    assert header["sha256"] == hashlib.sha256(content).hexdigest()
    assert header["source"] == f"{algorithm}/Pong/2/model_250000.gz" and header["step"] == 250_000
    assert (tmp_path / "out/last.safetensors").read_bytes() == (
        tmp_path / "out/best.safetensors"
    ).read_bytes()
    history = pd.read_csv(tmp_path / "out/history.csv")
    assert history["frames"].tolist() == [1_000_000] and history["score"].isna().all()


def test_agents_of_cleanrl(tmp_path):
    """Its DQN and its PPO, a plain file of the network's state."""
    torch.manual_seed(2)
    body = convolutions("network.") | linear("network.7", 3136, 512)
    for kind, preset in (("dqn", "dqn-modern"), ("ppo", "ppo")):
        heads = linear("network.9" if kind == "dqn" else "actor", 512, ACTIONS)
        state = body | heads | (linear("critic", 512, 1) if kind == "ppo" else {})
        file = tmp_path / f"{kind}.cleanrl_model"
        file.write_bytes(saved(state))
        found, _ = take(tmp_path, row(layout="cleanrl", file=str(file), preset=preset))
        last = "network.9" if kind == "dqn" else "actor"
        expected = values(state, "network.", "network.7", last, FRAMES)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_agents_of_stable_baselines3(tmp_path):
    """The weights in its archive are read; the pickle beside them is not touched."""
    torch.manual_seed(3)
    extractor = "features_extractor"
    ppo = convolutions(f"{extractor}.cnn.") | linear(f"{extractor}.linear.0", 3136, 512)
    copies = {f"pi_{name}": tensor for name, tensor in ppo.items()}
    ppo |= copies | linear("action_net", 512, ACTIONS) | linear("value_net", 512, 1)
    q = f"q_net.{extractor}"
    dqn = convolutions(f"{q}.cnn.") | linear(f"{q}.linear.0", 3136, 512)
    dqn |= linear("q_net.q_net.0", 512, ACTIONS)
    dqn |= {f"q_net_target{name.removeprefix('q_net')}": one for name, one in dqn.items()}
    for state, preset, last, prefix in (
        (ppo, "ppo", "action_net", extractor),
        (dqn, "dqn-modern", "q_net.q_net.0", q),
    ):
        file = tmp_path / f"{preset}.zip"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("policy.pth", saved(state))
            archive.writestr("data", pickle.dumps(Exploit(tmp_path / "ran")))
        found, _ = take(tmp_path, row(layout="stable-baselines3", file=str(file), preset=preset))
        expected = values(state, f"{prefix}.cnn.", f"{prefix}.linear.0", last, FRAMES)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not (tmp_path / "ran").exists()


class Exploit:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_file_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    hostile = of_atari_agents() | {"more": Exploit(tmp_path / "ran")}
    write(tmp_path / "theirs", "DQN_modern/Pong/0", 250_000, zipped(hostile))
    with pytest.raises(UserError, match=r"model_250000\.gz is refused: it holds more than tensors"):
        take(tmp_path, row(algorithm="DQN_modern", source=str(tmp_path / "theirs")))
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()


def test_steps_are_those_that_the_folder_lists(tmp_path, folder):
    settings = row(algorithm="DQN_modern", step=15_000_000, source=str(folder))
    with pytest.raises(
        UserError, match=r"no weights of step 15000000: near it are 250000, 15250000, 50000000$"
    ):
        take(tmp_path, settings)
    with pytest.raises(UserError, match=r"MDQN_modern/Pong/0 has no .*: there are none at all$"):
        take(tmp_path, row(algorithm="MDQN_modern", source=str(folder)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("_AtariNet__head.0.bias"), "does not fit: heads.hidden.bias is missing"),
        (
            lambda s: s.update(extra=torch.ones(2)),
            r"does not fit: extra is \(2,\) there, and unknown",
        ),
        (
            lambda s: s.update(linear("_AtariNet__head.2", 512, 9)),
            r"heads.weight is \(1, 512, 9\) there, and \(1, 512, 6\) in .* for pong",
        ),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, change, said):
    state = of_atari_agents()
    change(state)
    write(tmp_path / "theirs", "DQN_modern/Pong/0", 250_000, zipped(state))
    with pytest.raises(UserError, match=said):
        take(tmp_path, row(algorithm="DQN_modern", source=str(tmp_path / "theirs")))
    assert not (tmp_path / "out").exists()


# With names: gzip's header has the time, so the two workers of a run would not agree on the bytes.
@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b"no torch"), zipped(of_atari_agents())[:-500_000]],
    ids=["empty", "no gzip", "no torch", "cut off"],
)
def test_damaged_files_are_refused(tmp_path, content):
    write(tmp_path / "theirs", "DQN_modern/Pong/0", 250_000, content)
    with pytest.raises(UserError, match=r"model_250000\.gz is no file of atari-agents .*again$"):
        take(tmp_path, row(algorithm="DQN_modern", source=str(tmp_path / "theirs")))


def test_a_published_agent_is_evaluated_as_ours_are(tmp_path, folder):
    settings = row(algorithm="DQN_modern", source=str(folder), validate_steps=16)
    take(tmp_path, settings)
    evaluate.evaluate(
        game=GAME,
        agent="theirs",
        seed=0,
        row=settings,
        switches=SWITCHES["modern"],
        files={"last": tmp_path / "out" / "last.safetensors"},
        out=tmp_path / "games.csv",
        workers=1,
        device="cpu",
    )
    games = pd.read_csv(tmp_path / "games.csv")
    assert set(games["step"]) == {250_000} and set(games["protocol"]) == {"modern"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "needs algorithm, and no file; set algorithm to one of DQN_modern, MDQN_modern"),
        ({"algorithm": "C51_modern"}, "agents.a.published.algorithm"),
        ({"algorithm": "C51_classic", "step": ...}, "agents.a.published.step is missing"),
        ({"layout": "cleanrl", "file": "x"}, "needs preset: that of the same network"),
        ({"layout": "cleanrl", "preset": "ppo"}, "layout cleanrl needs file, and no algorithm"),
        ({"algorithm": "C51_classic", "seeds": 3}, "agents.a.seeds"),
    ],
)
def test_rows_are_checked_before_anything_is_fetched(change, said):
    content = {"kind": "published", "step": 250_000, **change}
    content = {key: value for key, value in content.items() if value is not ...}
    with pytest.raises(UserError) as error:
        defaults({"agents": {"a": content}})
    assert said in str(error.value) and "\n" not in str(error.value)


# A server like theirs, which can misbehave


class Server(http.server.BaseHTTPRequestHandler):
    """Lists and serves ``files``, {name: content}, as Google's storage does."""

    files: ClassVar[dict] = {}
    faults: ClassVar[list] = []  # bytes after which it breaks off, one for each file asked for
    lies: ClassVar[dict] = {}  # {name: what is listed otherwise}
    asked: ClassVar[list] = []  # where the answers begin
    ranges = True
    stalls = 0.0  # seconds before it breaks off

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path)
        if path.path == "/storage/v1/b/bucket/o":
            prefix = urllib.parse.parse_qs(path.query)["prefix"][0]
            items = [
                {
                    "name": name,
                    "size": str(len(content)),
                    "md5Hash": base64.b64encode(hashlib.md5(content).digest()).decode(),
                }
                | self.lies.get(name, {})
                for name, content in self.files.items()
                if name.startswith(prefix)
            ]
            self._send(json.dumps({"items": items}).encode())
            return
        content = self.files[urllib.parse.unquote(path.path).removeprefix("/bucket/")]
        begin = 0
        if self.ranges and "Range" in self.headers:
            begin = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.asked.append(begin)
        self._send(
            content[begin:], 206 if begin else 200, self.faults.pop(0) if self.faults else None
        )

    def _send(self, content, status=200, breaks_at=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:breaks_at])
        self.wfile.flush()
        if breaks_at is not None:
            threading.Event().wait(self.stalls)
            self.connection.close()


@pytest.fixture
def server(monkeypatch):
    """A server with one file, and its address."""
    torch.manual_seed(4)
    name = "prefix/DQN_modern/Pong/0/model_250000.gz"
    handler = type("Handler", (Server,), {"files": {name: zipped(of_atari_agents())}})
    handler.faults, handler.lies, handler.asked = [], {}, []
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, daemon=True).start()
    monkeypatch.setattr(remote, "TIMEOUT", 0.5)
    handler.source = f"http://127.0.0.1:{made.server_port}/bucket/prefix"
    handler.name = name
    yield handler
    made.shutdown()
    made.server_close()


def remotely(server, **change):
    return row(algorithm="DQN_modern", source=server.source, **change)


def test_one_file_is_fetched_and_checked(tmp_path, server):
    server.files["prefix/DQN_modern/Pong/0/model_500000.gz"] = b"another"
    _, header = take(tmp_path, remotely(server))
    assert server.asked == [0] and header["source"].endswith("/DQN_modern/Pong/0/model_250000.gz")
    assert header["sha256"] == hashlib.sha256(server.files[server.name]).hexdigest()
    assert not (tmp_path / "working").exists()


@pytest.mark.parametrize("ranges", [True, False])
def test_what_is_cut_off_goes_on(tmp_path, server, ranges):
    server.ranges, server.faults = ranges, [25 * 4096, 50 * 4096]
    take(tmp_path, remotely(server))
    assert server.asked == ([0, 25 * 4096, 75 * 4096] if ranges else [0, 0, 0])


def test_what_stalls_is_tried_again(tmp_path, server):
    server.faults, server.stalls = [4096], 2
    take(tmp_path, remotely(server))
    assert server.asked == [0, 4096]


def test_a_server_that_gives_up_leaves_a_part_to_go_on_from(tmp_path, server):
    server.faults = [4096] * remote.TRIES
    with pytest.raises(
        UserError, match=r"was cut off at 16,384 of [\d,]+ bytes .* try again, it goes"
    ):
        take(tmp_path, remotely(server))
    assert not (tmp_path / "out").exists()
    take(tmp_path, remotely(server))
    assert server.asked[-1] == 16_384


def test_a_server_that_lies_about_sizes_or_sums_is_found_out(tmp_path, server):
    size = len(server.files[server.name])
    for lie, said in (
        ({"size": str(size - 7)}, "MD5 sum is not the one that the server lists"),
        ({"size": str(size + 7)}, r"was cut off at [\d,]+ of [\d,]+ bytes"),
        ({"size": str(1 << 40)}, r"has 1,099,511,627,776 bytes: it is no agent"),
        ({"md5Hash": base64.b64encode(bytes(16)).decode()}, "MD5 sum is not the one"),
        ({"md5Hash": "../../x"}, "cannot be listed"),
    ):
        server.lies = {server.name: lie}
        with pytest.raises(UserError, match=said):
            take(tmp_path, remotely(server))
        assert not (tmp_path / "out").exists()
        remote.forget(tmp_path / "working")


def test_without_a_network_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "TIMEOUT", 0.5)
    settings = row(algorithm="DQN_modern", source="http://127.0.0.1:9/bucket/prefix")
    with pytest.raises(UserError) as error:
        take(tmp_path, settings)
    assert "cannot be listed (ConnectionError" in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
