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

import copy
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from workflow_src import devices, encoders, seeds
from workflow_src.ari import labels as ari_labels
from workflow_src.ari.games import game_of
from workflow_src.config.run import defaults
from workflow_src.episodes.collect import collect
from workflow_src.episodes.dataset import Part, load_frames, read_split
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError
from workflow_src.probes import metrics
from workflow_src.probes.kinds import linear
from workflow_src.splits.split import split

Labels = Sequence[Mapping[str, int]]


class EpisodeLabels(Sequence):
    """The labels of one episode.

    ``labels[t]["player_x"]`` is a number, ``labels["player_x"]`` an array over time.
    """

    def __init__(self, names: Sequence[str], values: np.ndarray):
        self.names, self.values = tuple(names), values  # values: (T, V) uint8

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key):
        if isinstance(key, str):
            return self.values[:, self.names.index(key)]
        if isinstance(key, slice):
            return EpisodeLabels(self.names, self.values[key])
        return dict(zip(self.names, self.values[key].tolist(), strict=True))

    def __iter__(self) -> Iterator[dict[str, int]]:
        return (self[t] for t in range(len(self)))


def get_episodes(
    env_name: str,
    steps: int = 50000,
    collect_mode: str = "random_agent",
    *,
    seed: int = 0,
    protocol: Literal["paper", "corrected"] = "paper",
    label_set: str = "paper-2019",
    min_entropy: float = 0.6,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[list, list, list, list, list, list]:
    """Play ``steps`` frames of a game and split them as the benchmark does.

    ``env_name``: any of the game's gymnasium ids. Returns, in this order, train episodes,
    validation episodes, train labels, validation labels, test episodes, test labels. An episode is
    a uint8 tensor (T, 1, 210, 160), its labels are `EpisodeLabels` of the variables with at least
    ``min_entropy`` nats. With the workflow's seed, steps and settings these are the workflow's own
    frames. `UserError` for an unknown game, and for too few steps, naming how many would do.
    """
    game = game_of(env_name)
    config = defaults(
        {
            "label_set": label_set,
            "games": [game],
            "seeds": [seed],
            "splits": {"min_entropy": min_entropy},
            "episodes": {"frames": {"probe": steps}},
            # A single collection: there are no encoder's frames to keep out of test (Q11).
            "protocols": {protocol: {"splits": {"remove_pretrain_duplicates": False}}},
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
            purpose="probe",
            seed=seed,
            out=frames,
            workers=workers,
            progress=progress,
        )
        split(
            game=game,
            policy=collect_mode,
            protocol=protocol,
            purpose="probe",
            seed=seed,
            settings=config.splits,
            switches=config.protocol(protocol).splits,
            label_set=label_set,
            frames=frames,
            out=shares,
        )
        store, shared = FrameStore.open(frames), read_split(shares)
        names = [name for name, row in shared.variables.items() if row["kept"]]
        columns = [list(shared.variables).index(name) for name in names]

        def part(which: Part) -> tuple[list[torch.Tensor], list[EpisodeLabels]]:
            values = ari_labels.labels(store.ram[which.label_rows], label_set, game)[:, columns]
            borders = np.cumsum(which.lengths)[:-1]
            episodes = (
                torch.from_numpy(load_frames(store, which.rows))
                .unsqueeze(1)
                .split(which.lengths.tolist())
            )
            return list(episodes), [
                EpisodeLabels(names, rows) for rows in np.split(values, borders)
            ]

        (tr_episodes, tr_labels), (val_episodes, val_labels), (test_episodes, test_labels) = map(
            part, shared.parts.values()
        )
    return tr_episodes, val_episodes, tr_labels, val_labels, test_episodes, test_labels


class ProbeTrainer:
    """Fits a linear probe for each state variable on a frozen encoder.

    ``encoder``: any torch module that maps float frames in [0, 1], (N, 1, 210, 160), to (N,
    ``representation_len``).
    """

    def __init__(
        self,
        encoder: nn.Module,
        representation_len: int = 256,
        *,
        epochs: int = 100,
        patience: int = 15,
        lr: float = 3e-4,
        batch_size: int = 64,
        num_classes: int = 256,
        keep: Literal["last", "best"] = "best",
        sampling: Literal["replacement", "permutation"] = "permutation",
        device: str = "auto",
        seed: int = 0,
        progress: bool = True,
    ):
        if not isinstance(encoder, nn.Module):
            raise UserError(
                f"encoder is a {type(encoder).__name__}, not a torch module: wrap it in "
                "torch.nn.Module"
            )
        probe = {
            "epochs": epochs,
            "patience": patience,
            "batch_size": batch_size,
            "classes": num_classes,
        }
        switches = {"keep": keep, "sampling": sampling, "lr": lr}
        config = defaults({"probe": probe, "protocols": {"corrected": {"probes": switches}}})
        self.settings, self.switches = config.probe, config.protocols["corrected"].probes
        self.encoder, self.representation_len = encoder, representation_len
        self.device, self.seed, self.progress = device, seed, progress
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

        Labels may also be a list of a dictionary a frame, as in the 2019 code.
        """
        if not tr_labels or not len(tr_labels[0]):
            raise UserError("there are no training episodes: collect more frames")
        self.names = list(tr_labels[0][0])
        rng = seeds.generator(self.seed, "ProbeTrainer")
        with devices.acquire(self.device, self.settings.threads) as device:
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
        and ``across_categories_avg_acc`` (the benchmark's headline); the same with ``_f1``.
        """
        if self.probes is None:
            raise UserError("ProbeTrainer.test was called before train: train the probes first")
        with devices.acquire(self.device, self.settings.threads) as device:
            data = self._features(test_episodes, test_labels, device)
        measured = metrics.scores(
            data.labels, self.probes.predict(data.values), self.settings.classes
        )
        variables = {
            n: {m: float(values[i]) for m, values in measured.items()}
            for i, n in enumerate(self.names)
        }
        summary = metrics.summarise(variables)

        def flat(metric: str, suffix: str) -> dict[str, float]:
            rows = {name: row[metric] for name, row in variables.items()}
            rows |= {
                f"{category}_avg": row[metric] for category, row in summary["categories"].items()
            }
            rows["overall_avg"] = summary["mean_over_variables"][metric]
            rows["across_categories_avg"] = summary["mean_over_categories"][metric]
            return {f"{name}_{suffix}": value for name, value in rows.items()}

        return flat("accuracy", "acc"), flat("f1", "f1")

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
        values = np.concatenate([self._values(rows) for rows in labels])
        if values.max(initial=0) >= self.settings.classes:
            raise UserError(
                f"a label is {values.max()}, but the probes have {self.settings.classes} classes: "
                "raise num_classes"
            )
        # A copy: encoding moves the module and ends its training mode.
        encoder = copy.deepcopy(self.encoder)
        features = np.concatenate(
            [encoders.encode(encoder, _stack(episode), device) for episode in episodes]
        )
        if features.shape[1:] != (self.representation_len,):
            raise UserError(
                f"the encoder gives features of shape {features.shape[1:]}, not "
                f"({self.representation_len},): "
                "set representation_len, or flatten the encoder's output"
            )
        return linear.Features(features, values, lengths)

    def _values(self, labels: Labels) -> np.ndarray:
        """Labels of an episode as (T, V), in the order of ``names``."""
        if isinstance(labels, EpisodeLabels) and list(labels.names) == self.names:
            return labels.values
        try:
            if any(set(row) != set(self.names) for row in labels):
                raise KeyError
            return np.array([[row[name] for name in self.names] for row in labels])
        except KeyError:
            raise UserError(
                "the labels name other variables than those of training: use one split for all "
                "parts"
            ) from None


def _stack(episode: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
    """An episode as one uint8 tensor (T, 1, 210, 160); a list of frames is stacked."""
    frames = episode if isinstance(episode, torch.Tensor) else torch.stack(list(episode))
    if frames.dtype != torch.uint8:
        raise UserError(
            f"frames are {frames.dtype}, not uint8: give them as collected, they are scaled to [0, "
            "1] here"
        )
    return frames
