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
from workflow_src.config.run import defaults
from workflow_src.config.section import Purpose
from workflow_src.encoders import custom
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

    def keys(self) -> tuple[str, ...]:
        """The variables' names, for those who read labels as a dictionary of arrays."""
        return self.names

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
    game = game_of(env_name)
    one_of("protocol", protocol, ("paper", "corrected"))
    one_of("train_mode", train_mode, ("probe", "train_encoder", "dry_run"))
    steps, seed, frame_stack = map(
        _whole, ("steps", "seed", "frame_stack"), (steps, seed, frame_stack)
    )
    if not 1 <= frame_stack <= 16:
        raise UserError(f"frame_stack is {frame_stack}: stack 1 to 16 frames")
    workers = None if workers is None else _whole("workers", workers)
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

    ``encoder``: any torch module that maps float frames in [0, 1], (N, 1, 210, 160), to (N,
    ``representation_len``). None: the episodes are features already, arrays (T,
    ``representation_len``) of numbers. ``device``: auto, cpu, cuda, or one GPU, such as cuda:1.
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
        self.representation_len = _whole("representation_len", representation_len)
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

        Episodes may also be arrays or lists of frames, labels a list of a dictionary a frame, as in
        the 2019 code. Labels are whole numbers from 0 to 255 with any names. `UserError` for what
        does not fit, before anything is fitted.
        """
        if not len(tr_labels) or not len(tr_labels[0]):
            raise UserError("there are no training episodes: collect more frames")
        self.names = list(tr_labels[0][0])
        rng = seeds.generator(self.seed, "ProbeTrainer")
        with self._acquired() as device:
            train = self._features(tr_episodes, tr_labels, device)
            val = self._features(val_episodes, val_labels, device)
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
            raise UserError("ProbeTrainer.test was called before train: train the probes first")
        with self._acquired() as device:
            data = self._features(test_episodes, test_labels, device)
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
        self, episodes: Sequence, labels: Sequence, device: torch.device
    ) -> linear.Features:
        """Features (n, d) and labels of episodes, in order."""
        if not len(episodes) or len(episodes) != len(labels):
            raise UserError(
                f"{len(episodes)} episodes and {len(labels)} lists of labels: give one list for "
                "each, at least one"
            )
        lengths = np.array([len(episode) for episode in episodes])
        if not np.array_equal(lengths, [len(rows) for rows in labels]):
            raise UserError(
                "an episode has another number of frames than of labels: give one label for each "
                "frame"
            )
        if not lengths.all():
            raise UserError("an episode has no frames: leave it out")
        values = np.concatenate([self._values(rows) for rows in labels])
        self._check_values(values)
        if self.encoder is None:
            vectors = np.concatenate([self._vectors(episode) for episode in episodes])
            return linear.Features(vectors, values, lengths)
        frames = [_stack(episode) for episode in episodes]
        with _borrowed(self.encoder):
            self._check_encoder(self.encoder, frames[0].shape[1])
            features = np.concatenate(
                [encoders.encode(self.encoder, one, device) for one in frames]
            )
        return linear.Features(features, values, lengths)

    def _vectors(self, episode: Any) -> np.ndarray:
        """An episode of features as float32 (T, representation_len); `UserError` for others."""
        found = np.asarray(
            [x.cpu().numpy() for x in episode]
            if isinstance(next(iter(episode)), torch.Tensor)
            else episode
        )
        if found.ndim != 2 or found.shape[1] != self.representation_len or found.dtype.kind in "OU":
            raise UserError(
                f"without an encoder, an episode is features (T, {self.representation_len}), not "
                f"{found.shape}: set representation_len, or give an encoder"
            )
        if not np.isfinite(found).all():
            raise UserError("a feature is infinite or no number: mend the features")
        return found.astype(np.float32)

    def _check_encoder(self, encoder: nn.Module, channels: int) -> None:
        """`UserError` for an encoder without features, as the workflow's kind custom; or width."""
        width = custom.feature_size(encoder.cpu(), channels, "the encoder")
        if width != self.representation_len:
            raise UserError(
                f"the encoder gives {width} features, not {self.representation_len}: set "
                "representation_len"
            )

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
            if any(set(row) != set(self.names) for row in labels):
                raise KeyError
            return np.array(
                [[_whole(f"a label of {n}", row[n]) for n in self.names] for row in labels]
            )
        except KeyError:
            raise UserError(
                "the labels name other variables than those of training: use one split for all "
                "parts"
            ) from None


def _stack(episode: torch.Tensor | np.ndarray | Sequence) -> torch.Tensor:
    """An episode as one uint8 tensor (T, C, 210, 160); a list of frames is stacked.

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
            f"an episode has the shape {tuple(frames.shape)}: give frames as (T, 210, 160) or (T, "
            "1, 210, 160)"
        )
    return frames if frames.ndim == 4 else frames.unsqueeze(1)


def _whole(name: str, value: Any) -> int:
    """A whole number, however it is written: of Python, numpy or torch, or 3000.0."""
    try:
        found = int(value)
        if found == value:
            return found
    except (TypeError, ValueError, OverflowError):
        pass
    raise UserError(f"{name} is {value!r}: give a whole number")


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
