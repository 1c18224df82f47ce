"""The Python interface: `get_episodes` and `ProbeTrainer`, with the names of the 2019 code.

An example::

    from workflow_src.benchmark import ProbeTrainer, get_episodes

    tr_episodes, val_episodes, tr_labels, val_labels, test_episodes, test_labels = get_episodes(
        env_name="PongNoFrameskip-v4", steps=50000, collect_mode="random_agent")
    trainer = ProbeTrainer(my_encoder, representation_len=256)
    trainer.train(tr_episodes, val_episodes, tr_labels, val_labels)
    accuracies, f1_scores = trainer.test(test_episodes, test_labels)

It is the workflow's own code: same frames, same splits, same probes. It differs from the 2019 code:
frames of an episode are one tensor, labels of an episode are arrays that can also be read frame by
frame, and everything is seeded.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from workflow_src import devices, encoders, seeds
from workflow_src.ari import labels as ari_labels
from workflow_src.ari.games import game_of
from workflow_src.ari.wrapper import text
from workflow_src.config.run import defaults
from workflow_src.config.section import Purpose
from workflow_src.encoders.base import Encoder
from workflow_src.encoders.conditioning import Conditioned
from workflow_src.episodes.collect import collect
from workflow_src.episodes.color import Frames, as_seen
from workflow_src.episodes.dataset import Part, load_frames, load_stacks, read_split
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError, one_of
from workflow_src.means import summarise
from workflow_src.probes import metrics
from workflow_src.probes.kinds import linear
from workflow_src.splits.split import split

Labels = Sequence[Mapping[str, int]]


class EpisodeLabels(Sequence):
    """The labels of one episode.

    ``labels[t]["player_x"]`` is a number, ``labels["player_x"]`` an array over time. Both are
    signed, so that differences are differences.
    """

    def __init__(self, names: Sequence[str], values: np.ndarray):
        self.names = tuple(names)
        self.values = np.asarray(values).astype(np.int64)  # (T, V)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key):
        if isinstance(key, str):
            if key not in self.names:
                raise KeyError(f"no variable {key!r}; there are {', '.join(self.names)}")
            return self.values[:, self.names.index(key)]
        if isinstance(key, slice):
            return EpisodeLabels(self.names, self.values[key])
        return dict(zip(self.names, self.values[key].tolist(), strict=True))

    def __contains__(self, value: object) -> bool:
        """Whether there is a variable of that name, or a frame with exactly these labels."""
        return value in self.names if isinstance(value, str) else super().__contains__(value)

    def keys(self) -> tuple[str, ...]:
        """The variables' names, for those who read labels as a dictionary of arrays."""
        return self.names

    def items(self) -> list[tuple[str, np.ndarray]]:
        """Each variable's name and its values over time, int64 (T,)."""
        return [(name, self[name]) for name in self.names]

    def __iter__(self) -> Iterator[dict[str, int]]:
        return (self[t] for t in range(len(self)))


def get_episodes(
    env_name: str,
    steps: int = 50000,
    collect_mode: str = "random_agent",
    *,
    train_mode: Literal["probe", "train_encoder", "dry_run"] = "probe",
    seed: int = 0,
    protocol: Literal["paper", "corrected"] = "paper",
    label_set: str = "paper-2019",
    min_entropy: float = 0.6,
    min_episode_frames: int | None = None,
    num_envs: int | None = None,
    frame_stack: int = 1,
    color: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[list, ...]:
    """Play ``steps`` frames of a game and split them as the benchmark does.

    ``env_name``: any of the game's gymnasium ids. Returns, in this order, train episodes,
    validation episodes, train labels, validation labels, test episodes, test labels. An episode is
    a uint8 tensor (T, ``frame_stack``, 210, 160), with ``color`` of red, green and blue for each
    frame (T, 3 ``frame_stack``, 210, 160); its labels are `EpisodeLabels` of the variables
    with at least ``min_entropy`` nats. With ``train_mode`` train_encoder: (train episodes,
    validation episodes) for an encoder; with dry_run: (episodes, labels), before any split. With
    the workflow's seed, steps and settings these are the workflow's own frames. `UserError` for an
    unknown game, and for too few steps, naming how many would do.
    """
    for what, name in (
        ("env_name", env_name),
        ("collect_mode", collect_mode),
        ("train_mode", train_mode),
        ("protocol", protocol),
        ("label_set", label_set),
    ):
        text(what, name)
    game = game_of(env_name)
    one_of("protocol", protocol, ("paper", "corrected"))
    one_of("train_mode", train_mode, ("probe", "train_encoder", "dry_run"))
    steps, seed, frame_stack = map(
        _whole, ("steps", "seed", "frame_stack"), (steps, seed, frame_stack)
    )
    if not 1 <= frame_stack <= 16:
        raise UserError(f"frame_stack is {frame_stack}: stack 1 to 16 frames")
    workers = None if workers is None else _positive("workers", workers)
    purpose: Purpose = "pretrain" if train_mode == "train_encoder" else "probe"
    # A single collection: there are no encoder's frames to keep out of test (Q11).
    switches: dict[str, Any] = {"remove_pretrain_duplicates": False}
    if min_episode_frames is not None:
        switches["min_episode_frames"] = _whole("min_episode_frames", min_episode_frames)
    episodes: dict[str, Any] = {"frames": {purpose: steps}}
    if num_envs is not None:
        episodes["num_envs"] = _whole("num_envs", num_envs)
    config = defaults(
        {
            "label_set": label_set,
            "games": [game],
            "seeds": [seed],
            "splits": {"min_entropy": min_entropy},
            "episodes": episodes,
            "protocols": {protocol: {"splits": switches}},
        }
    )
    config.validate_names(game=game, policy=collect_mode, protocol=protocol)
    policy = config.playing_policy(collect_mode, protocol)
    with tempfile.TemporaryDirectory(prefix="atari-ari-") as directory:
        frames, shares = Path(directory) / "frames.b2nd", Path(directory) / "split.safetensors"
        collect(
            game=game,
            policy=policy,
            policy_settings=config.policy(policy),
            settings=config.episodes,
            purpose=purpose,
            seed=seed,
            out=frames,
            workers=workers,
            progress=progress,
        )
        store = FrameStore.open(frames)
        seen = as_seen(store, color)
        if train_mode == "dry_run":
            names = list(ari_labels.variables(label_set, game))
            rows = np.arange(len(store.episode))
            lengths = np.unique(store.episode, return_counts=True)[1]
            everything = Part(rows, rows, lengths)
            return _episodes(seen, everything, frame_stack), _labels(
                store, everything, label_set, game, names
            )
        split(
            game=game,
            policy=collect_mode,
            protocol=protocol,
            purpose=purpose,
            seed=seed,
            settings=config.splits,
            switches=config.protocol(protocol).splits,
            label_set=label_set,
            frames=frames,
            out=shares,
        )
        shared = read_split(shares)
        parts = list(shared.parts.values())
        played = [_episodes(seen, part, frame_stack) for part in parts]
        if train_mode == "train_encoder":
            return played[0], played[1]
        kept = [name for name, row in shared.variables.items() if row["kept"]]
        labelled = [_labels(store, part, label_set, game, kept) for part in parts]
    return played[0], played[1], labelled[0], labelled[1], played[2], labelled[2]


def _episodes(store: Frames, part: Part, stack: int) -> list[torch.Tensor]:
    """The frames of a part, a uint8 tensor (T, channels, 210, 160) for each episode."""
    frames = load_frames(store, part.rows) if stack == 1 else load_stacks(store, part.rows, stack)
    frames = frames.reshape(len(frames), -1, *frames.shape[-2:])
    return list(torch.from_numpy(frames).split(part.lengths.tolist()))


def _labels(
    store: FrameStore, part: Part, label_set: str, game: str, names: Sequence[str]
) -> list[EpisodeLabels]:
    """The labels of a part for each episode."""
    columns = [list(ari_labels.variables(label_set, game)).index(name) for name in names]
    values = ari_labels.labels(store.ram[part.label_rows], label_set, game)[:, columns]
    borders = np.cumsum(part.lengths)[:-1]
    return [EpisodeLabels(names, rows) for rows in np.split(values, borders)]


class ProbeTrainer:
    """Fits a linear probe for each state variable on a frozen encoder.

    ``encoder``: any torch module that maps float frames in [0, 1], (N, C, height, width) as those
    of the episodes, to (N, ``representation_len``). None: the episodes are features already, arrays
    or tensors (T, ``representation_len``) of numbers. ``device``: auto, cpu, cuda, or one GPU, such
    as cuda:1.
    """

    def __init__(
        self,
        encoder: nn.Module | None,
        representation_len: int = 256,
        *,
        epochs: int = 100,
        patience: int = 15,
        lr: float = 3e-4,
        batch_size: int = 64,
        num_classes: int = 256,
        keep: Literal["last", "best"] = "best",
        sampling: Literal["replacement", "permutation"] = "permutation",
        device: str | torch.device = "auto",
        seed: int = 0,
        progress: bool = True,
    ):
        device = str(device)
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
            raise UserError(f"device: unknown {device!r}; known: auto, cpu, cuda, cuda:0, ...")
        if encoder is not None and not isinstance(encoder, nn.Module):
            raise UserError(
                f"encoder is a {type(encoder).__name__}, not a torch module: wrap it in "
                "torch.nn.Module"
            )
        probe = {
            "epochs": _whole("epochs", epochs),
            "patience": _whole("patience", patience),
            "batch_size": _whole("batch_size", batch_size),
            "classes": _whole("num_classes", num_classes),
        }
        # Text is refused there; a number of numpy is one.
        rate: Any = lr.item() if hasattr(lr, "item") else lr
        switches = {"keep": keep, "sampling": sampling, "lr": rate}
        config = defaults({"probe": probe, "protocols": {"corrected": {"probes": switches}}})
        self.settings, self.switches = config.probe, config.protocols["corrected"].probes
        self.encoder = encoder
        self.representation_len = _positive("representation_len", representation_len)
        self.device, self.seed, self.progress = device, _whole("seed", seed), progress
        self.names: list[str] = []
        self.probes: linear.LinearProbes | None = None

    def train(
        self,
        tr_episodes: Sequence,
        val_episodes: Sequence,
        tr_labels: Sequence,
        val_labels: Sequence,
    ) -> None:
        """Encode the frames once and fit all probes; arguments as from `get_episodes`.

        Episodes may also be arrays or lists of frames. Labels of an episode may also be a list of a
        dictionary a frame, or a dictionary of an array (T,) a variable, as in the 2019 code: whole
        numbers from 0 to 255 with any names. `UserError` for what does not fit, before anything is
        fitted; there are no probes then, also where an earlier call had fitted some.
        """
        self.probes = None
        tr_rows = _by_frame("training", tr_episodes, tr_labels)
        val_rows = _by_frame("validation", val_episodes, val_labels)
        self.names = _names(tr_rows[0][0])
        rng = seeds.generator(self.seed, "ProbeTrainer")
        with self._acquired() as device:
            train = self._features("training", tr_episodes, tr_rows, device)
            val = self._features("validation", val_episodes, val_rows, device)
            self.probes = linear.fit(
                train,
                val,
                self.settings,
                self.switches,
                rng,
                device,
                names=self.names,
                progress=self.progress,
            )

    def test(
        self, test_episodes: Sequence, test_labels: Sequence
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Score every test frame once; returns (accuracies, f1_scores).

        Keys: ``<variable>_acc``, ``<category>_avg_acc``, ``overall_avg_acc`` (mean over variables)
        and ``across_categories_avg_acc`` (the benchmark's headline); the same with ``_f1``. Without
        a variable that belongs to a category there are no keys of categories.
        """
        if self.probes is None:
            raise UserError(
                "ProbeTrainer.test was called before train had fitted probes: train them first"
            )
        rows = _by_frame("test", test_episodes, test_labels)
        with self._acquired() as device:
            data = self._features("test", test_episodes, rows, device)
        measured = metrics.scores(
            data.labels, self.probes.predict(data.values), self.settings.classes
        )
        variables = {
            n: {m: float(values[i]) for m, values in measured.items()}
            for i, n in enumerate(self.names)
        }
        known = any(map(ari_labels.categories, variables))
        summary = summarise(variables) if known else {}

        def flat(metric: str, suffix: str) -> dict[str, float]:
            rows = {name: row[metric] for name, row in variables.items()}
            if summary:
                categories = summary["categories"].items()
                rows |= {f"{category}_avg": row[metric] for category, row in categories}
                rows["across_categories_avg"] = summary["mean_over_categories"][metric]
            rows["overall_avg"] = float(measured[metric].mean())
            return {f"{name}_{suffix}": value for name, value in rows.items()}

        return flat("accuracy", "acc"), flat("f1", "f1")

    @contextlib.contextmanager
    def _acquired(self) -> Iterator[torch.device]:
        name, _, index = self.device.partition(":")
        with devices.acquire(name, self.settings.threads) as device:
            if index and int(index) >= torch.cuda.device_count():
                raise UserError(
                    f"device: {self.device}, but there are {torch.cuda.device_count()} GPUs, "
                    "counted from 0"
                )
            if index:
                device = torch.device(self.device)
                torch.cuda.set_device(device)
            yield device

    def _features(
        self, part: str, episodes: Sequence, rows: Sequence[Labels], device: torch.device
    ) -> linear.Features:
        """Features (n, d), all finite, and labels of a part's episodes, in order."""
        labels = np.concatenate([self._values(one) for one in rows])
        self._check_values(labels)
        if self.encoder is None:
            values = np.concatenate([self._vectors(episode) for episode in episodes])
        else:
            frames = [_stack(episode) for episode in episodes]
            with _borrowed(self.encoder):
                values = np.concatenate([self._encoded(self.encoder, f, device) for f in frames])
        if wrong := np.count_nonzero(~np.isfinite(values).all(axis=1)):
            raise UserError(
                f"{wrong} of {len(values)} {part} frames have features that are infinite or no "
                f"numbers in float32: mend the {'features' if self.encoder is None else 'encoder'}"
            )
        return linear.Features(values, labels, np.array([len(one) for one in rows]))

    def _encoded(
        self, encoder: nn.Module, frames: torch.Tensor, device: torch.device
    ) -> np.ndarray:
        """Features (T, representation_len) of an episode's frames; the one place that encodes."""
        # Those of the package are called as the workflow calls them, so that features are the same.
        own = isinstance(encoder, Encoder | Conditioned)
        called = encoder if own else _Checked(encoder, self.representation_len)
        try:
            found = encoders.encode(called, frames, device)
        except UserError:
            raise
        except Exception as error:  # somebody else's code
            shape = ", ".join(map(str, frames.shape[1:]))
            raise UserError(
                f"the encoder fails on frames (N, {shape}): {_said(error)}; mend it, or give "
                "frames of the shape that it is made for"
            ) from error
        _check_output(torch.from_numpy(found), len(frames), self.representation_len)
        return found

    def _vectors(self, episode: Any) -> np.ndarray:
        """An episode of features as float32 (T, representation_len); `UserError` for others."""
        whole = isinstance(episode, torch.Tensor | np.ndarray)
        try:
            found = np.asarray(_plain(episode) if whole else [_plain(one) for one in episode])
        except (TypeError, ValueError, RuntimeError) as error:
            raise UserError(
                f"without an encoder, an episode is features (T, {self.representation_len}), and "
                f"this is none: {_said(error)}; give an array of numbers, or rows of equal length"
            ) from error
        fits = found.ndim == 2 and found.shape[1] == self.representation_len
        if not fits or found.dtype.kind not in "fiub":
            raise UserError(
                f"without an encoder, an episode is features (T, {self.representation_len}), not "
                f"{found.shape} of {found.dtype}: give real numbers and set representation_len, or "
                "give an encoder"
            )
        with np.errstate(over="ignore"):  # refused with those that were infinite before
            return found.astype(np.float32)

    def _check_values(self, values: np.ndarray) -> None:
        """`UserError` naming a variable with a value that is no class."""
        lowest, highest = values.min(axis=0), values.max(axis=0)
        classes = self.settings.classes
        for name, low, high in zip(self.names, lowest, highest, strict=True):
            if low < 0 or high > 255:
                raise UserError(
                    f"a label of {name} is {low if low < 0 else high}: labels are whole numbers "
                    "from 0 to 255; number the values that occur, as numpy.unique with "
                    "return_inverse does"
                )
            if high >= classes:
                raise UserError(
                    f"a label of {name} is {high}, but the probes have {classes} classes: set "
                    f"num_classes to {high + 1} or more"
                )

    def _values(self, labels: Labels) -> np.ndarray:
        """Labels of an episode as (T, V), in the order of ``names``."""
        if isinstance(labels, EpisodeLabels) and list(labels.names) == self.names:
            return labels.values
        try:
            if any(not isinstance(r, Mapping) or set(r) != set(self.names) for r in labels):
                raise KeyError
            return np.array(
                [[_whole(f"a label of {n}", row[n]) for n in self.names] for row in labels]
            )
        except KeyError:
            raise UserError(
                "the labels name other variables than those of training: use one split for all "
                "parts"
            ) from None


class _Checked(nn.Module):
    """An encoder whose output is checked for each batch, so that errors tell what it gave."""

    def __init__(self, encoder: nn.Module, width: int):
        super().__init__()
        self.encoder, self.width = encoder, width

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames (N, C, height, width) -> features (N, width); `UserError` for others."""
        found = self.encoder(frames)
        _check_output(found, len(frames), self.width)
        return found


def _check_output(found: Any, count: int, width: int) -> None:
    """`UserError` unless an encoder's output of ``count`` frames is features (count, width)."""
    tensor = isinstance(found, torch.Tensor)
    given = tuple(found.shape) if tensor else type(found).__name__
    if not tensor or found.ndim != 2 or len(found) != count:
        raise UserError(
            f"the encoder gives {given} for frames ({count}, ...), not ({count}, {width}): return "
            "a row of features for each frame, also for one; flatten, but do not squeeze"
        )
    if found.shape[1] != width:
        raise UserError(
            f"the encoder gives {found.shape[1]} features, not {width}: set representation_len"
        )
    if found.layout != torch.strided or found.is_meta or found.is_complex():
        raise UserError(
            f"the encoder gives features in {found.layout} of {found.dtype} on {found.device}: "
            "return a dense tensor of real numbers"
        )


def _by_frame(part: str, episodes: Sequence, labels: Sequence) -> list[Labels]:
    """The labels of each episode, frame by frame; `UserError` unless there is one a frame."""
    if not len(episodes):
        raise UserError(f"there are no {part} episodes: collect more frames")
    if isinstance(labels, Mapping) or len(episodes) != len(labels):
        given = "a dictionary" if isinstance(labels, Mapping) else f"{len(labels)} lists"
        raise UserError(
            f"{len(episodes)} {part} episodes and {given} of labels: give a list with the labels "
            "of each episode"
        )
    found = []
    for i, (episode, one) in enumerate(zip(episodes, labels, strict=True)):
        if isinstance(one, Mapping):  # of an array a variable
            try:
                one = [dict(zip(one, row, strict=True)) for row in zip(*one.values(), strict=True)]
            except (TypeError, ValueError):
                raise UserError(
                    f"the labels of {part} episode {i} are a dictionary, but not of arrays of "
                    "equal length: give an array (T,) for each variable"
                ) from None
        if len(episode) != len(one):
            raise UserError(
                f"{part} episode {i} has {len(episode)} frames, but {len(one)} labels: give one "
                "label for each frame"
            )
        if not len(episode):
            raise UserError(f"{part} episode {i} has no frames: leave the episode out")
        found.append(one)
    return found


def _names(row: Any) -> list[str]:
    """The variables that the labels of a frame name."""
    if not isinstance(row, Mapping):
        raise UserError(
            f"the labels of a frame are of the type {type(row).__name__}: give a dictionary of "
            "name and number"
        )
    if not row:
        raise UserError("the labels name no variable: give at least one")
    for name in row:
        text("the name of a label", name)
    return list(row)


def _plain(features: Any) -> Any:
    """A tensor as an array, also one of a type that NumPy does not know; others as they are."""
    if not isinstance(features, torch.Tensor):
        return features
    found = features.detach().cpu()
    return (found.float() if found.is_floating_point() else found).numpy()


def _said(error: Exception) -> str:
    """An error of somebody else's code in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def _stack(episode: torch.Tensor | np.ndarray | Sequence) -> torch.Tensor:
    """An episode as one uint8 tensor (T, C, height, width); a list of frames is stacked.

    Tensors or arrays, with or without the axis of channels.
    """
    if not isinstance(episode, torch.Tensor | np.ndarray):
        episode = torch.stack([torch.as_tensor(frame) for frame in episode])
    frames = torch.as_tensor(episode)
    if frames.dtype != torch.uint8:
        raise UserError(
            f"frames are {frames.dtype}, not uint8: give them as collected, they are scaled to [0, "
            "1] here"
        )
    if frames.ndim not in (3, 4):
        raise UserError(
            f"an episode has the shape {tuple(frames.shape)}: give frames as (T, height, width) or "
            "(T, C, height, width)"
        )
    return frames if frames.ndim == 4 else frames.unsqueeze(1)


def _whole(name: str, value: Any) -> int:
    """A whole number, however it is written: of Python, numpy or torch, or 3000.0."""
    try:
        found = int(value)
        if found == value:
            return found
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last one is of torch
        pass
    said = " ".join(repr(value).split())[:80]  # of arrays, many lines
    raise UserError(f"{name} is {said}: give a whole number")


def _positive(name: str, value: Any) -> int:
    """A whole number from 1 on."""
    found = _whole(name, value)
    if found < 1:
        raise UserError(f"{name} is {found}: give 1 or more")
    return found


@contextlib.contextmanager
def _borrowed(module: nn.Module) -> Iterator[None]:
    """Afterwards, ``module`` is on the device and in the mode where it was.

    Not a copy: modules with tensors that are not their own cannot be copied.
    """
    training = {part: part.training for part in module.modules()}
    places = {tensor.device for tensor in module.state_dict().values()}
    try:
        yield
    finally:
        for part, mode in training.items():
            part.training = mode
        if len(places) == 1:
            module.to(places.pop())
