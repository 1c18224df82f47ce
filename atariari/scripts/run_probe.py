"""``python -m atariari.scripts.run_probe --method infonce-stdim --env-name PongNoFrameskip-v4``.

The options of 2019 in terms of ``atariari probe``, which does the work.
"""

import argparse
import sys

# Names of 2019 -> ours.
METHODS = {
    "infonce-stdim": "st-dim",
    "cpc": "cpc",
    "jsd-stdim": "jsd-st-dim",
    "vae": "vae",
    "naff": "pixel-pred",
    "global-infonce-stdim": "global-t-dim",
    "global-local-infonce-stdim": "global-local-t-dim",
    "dim": "dim",
    "supervised": "supervised",
    "random-cnn": "random-cnn",
    "majority": "maj-clf",
}
REFUSED = {
    "pretrained-rl-agent": "train an agent with `atariari init my-run --preset ppo`",
    "pretrained_ppo": "train an agent with `atariari init my-run --preset ppo`",
}
# Options of 2019 that are settings of a run, and what they are called there.
SETTINGS = {
    "--pretraining-steps": "episodes.frames.pretrain",
    "--probe-steps": "episodes.frames.probe",
    "--num-processes": "episodes.num_envs",
    "--num-frame-stack": "methods.NAME.frame_stack",
    "--lr": "training.lr",
    "--batch-size": "training.batch_size",
    "--epochs": "training.epochs",
    "--patience": "training.patience",
    "--encoder-type": "methods.NAME.encoder",
    "--feature-size": "methods.NAME.feature_size",
    "--entropy-threshold": "splits.min_entropy",
    "--probe-lr": "protocols.NAME.probes.lr",
    "--beta": "methods.vae.options.beta",
}


def command(arguments: list[str] | None = None) -> list[str]:
    """The arguments of ``atariari`` that these of 2019 stand for; exits with 2 if there are none.

    An option that is a setting today is refused with its name: a run's settings are in its file.
    """
    parser = argparse.ArgumentParser(
        prog="python -m atariari.scripts.run_probe",
        description="Probe a method of the benchmark. `atariari probe` has more options.",
        allow_abbrev=False,
    )
    parser.add_argument("--method", choices=[*METHODS, *REFUSED], default="infonce-stdim")
    parser.add_argument("--env-name", default="MontezumaRevengeNoFrameskip-v4")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--weights-path", help="a file of weights; use `atariari probe --encoder`")
    for name in ("--collect-mode", "--probe-collect-mode"):
        parser.add_argument(name, choices=["random_agent", "pretrained_ppo"])
    parser.add_argument("--scale", choices=["quick", "paper"], default="paper")
    options, further = parser.parse_known_args(arguments)
    for name in (options.method, options.collect_mode, options.probe_collect_mode):
        if name in REFUSED:
            parser.error(f"{name} of 2019 is no longer to be had: {REFUSED[name]}")
    if options.weights_path not in (None, "None"):
        parser.error("--weights-path: name class and weights, `atariari probe --encoder --weights`")
    for name in further:
        option = name.partition("=")[0]
        if option in SETTINGS:
            parser.error(f"{option} is {SETTINGS[option]} in config.yaml: see `atariari init`")
        parser.error(f"{name} is not known; `atariari probe --help` lists today's options")
    which = ["--method", METHODS[options.method], "--game", options.env_name]
    return ["probe", *which, "--seed", str(options.seed), "--scale", options.scale]


def main() -> None:
    """Run it."""
    from atariari.__main__ import main as run

    sys.argv[1:] = command()
    run()


if __name__ == "__main__":
    main()
