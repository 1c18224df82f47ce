# What all rules share: the checked configuration, the names of all files, and what a job is made of.
import os
import shutil
import sys
from pathlib import Path

import grimp

import workflow_src
from workflow_src.config import PURPOSES, Config, leaves, read_yaml
from workflow_src.errors import UserError


def refuse(error):
    """End with one line: Snakemake would wrap an exception in a traceback of its own."""
    print(f"error: {error}", file=sys.stderr, flush=True)
    os._exit(error.exit_code)


# Before Snakemake reads it, whose errors are long.
try:
    CONFIG = Config.load("config.yaml")
except UserError as error:
    refuse(error)


configfile: "config.yaml"


if config != read_yaml("config.yaml"):
    refuse(
        UserError(
            "--config and --configfile change what neither the jobs nor DVC would see: "
            "make another run instead, with `python -m workflow_src configure`"
        )
    )

EPISODE = "results/episodes/{policy}/{purpose}/{game}-s{seed}.b2nd"
SPLIT = "results/splits/{policy}/{protocol}/{purpose}/{game}-s{seed}.safetensors"
ENCODER = "results/encoders/{policy}/{protocol}/{method}/{game}-s{seed}.safetensors"
HISTORY = "results/encoders/{policy}/{protocol}/{method}/{game}-s{seed}.csv"
PROBE = "results/probes/{policy}/{protocol}/{method}/{game}-s{seed}.json"
SCORES = "results/scores.csv"
TABLES = expand(
    "results/tables/{table}.{kind}",
    table=["table1_variables_by_category", "table2_f1_by_game", "table3_f1_by_category"],
    kind=["csv", "tex"],
)
FIGURES = expand("results/figures/{figure}.{kind}", figure=["f1_by_game"], kind=["pdf", "png"])

AXES = {
    "game": CONFIG.games,
    "seed": CONFIG.seeds,
    "policy": list(CONFIG.policies),
    "protocol": list(CONFIG.protocols),
    "purpose": list(PURPOSES),
}
WITH_ENCODER = [name for name, row in CONFIG.methods.items() if row.has_encoder]
EPISODES = expand(EPISODE, **AXES)
SPLITS = expand(SPLIT, **AXES)
ENCODERS = expand([ENCODER, HISTORY], **AXES, method=WITH_ENCODER)
PROBES = expand(PROBE, **AXES, method=list(CONFIG.methods))


wildcard_constraints:
    game="|".join(CONFIG.games),
    seed=r"\d+",
    policy="|".join(CONFIG.policies),
    protocol="|".join(CONFIG.protocols),
    purpose="|".join(PURPOSES),
    method="|".join(CONFIG.methods),


MODULES = grimp.build_graph("workflow_src", cache_dir=None)
ROOT = Path(workflow_src.__file__).parent.parent

# Jobs run on the Python that runs Snakemake, unless --software-deployment-method conda puts its own before it, and on the
# sources beside the Snakefile.
for variable, first in {"PATH": Path(sys.executable).parent, "PYTHONPATH": ROOT}.items():
    os.environ[variable] = os.pathsep.join(filter(None, [str(first), os.environ.get(variable)]))
ENVIRONMENT = str(ROOT / "environment.yml")


def code(*modules):
    """The files that the named modules of the package are made of, their imports' imports included.

    Snakemake reruns a job when one of them changes. The command line is not among them: it parses and calls, and is made
    of all steps.
    """
    names = {f"workflow_src.{module}" for module in modules}
    names |= {upstream for name in names for upstream in MODULES.find_upstream_modules(name)}
    files = (ROOT.joinpath(*name.split(".")) for name in names)
    files = (f / "__init__.py" if f.is_dir() else f.with_suffix(".py") for f in files)
    return sorted(os.path.relpath(f) for f in files if f.stat().st_size)


# Whether jobs will run on CUDA. Looked up without torch, which takes seconds to load.
ON_CUDA = CONFIG.device == "cuda" or (CONFIG.device == "auto" and shutil.which("nvidia-smi") is not None)

def frames_to_exclude(wildcards):
    """The encoder's frames, where the protocol keeps them out of the probe's test part (Q11)."""
    protocol = CONFIG.protocols[wildcards.protocol].splits
    if wildcards.purpose == "probe" and protocol.remove_pretrain_duplicates:
        return {"exclude": EPISODE.replace("{purpose}", "pretrain")}
    return {}


def frames_to_learn_from(wildcards):
    """Frames and their split, for the methods that learn."""
    if not CONFIG.methods[wildcards.method].learns:
        return {}
    return {"frames": EPISODE.replace("{purpose}", "pretrain"), "split": SPLIT.replace("{purpose}", "pretrain")}


def weights_to_probe(wildcards):
    """The encoder, for the methods that have one."""
    return {"weights": ENCODER} if CONFIG.methods[wildcards.method].has_encoder else {}


def options(input, **names):
    """``--option file`` for each input that the job has: ``options(input, exclude="exclude")``."""
    return " ".join(f"--{option} {input[name]}" for option, name in names.items() if name in input.keys())
