# What all rules share: the checked configuration, the names of all files, and what a job is made of.
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import workflow_src
from workflow_src import artifacts, catalogue, checkout, kinds, layout, live, provenance
from workflow_src.ari.annotations import GAMES, LABEL_SETS
from workflow_src.config.agents import Agent
from workflow_src.config.configure import present
from workflow_src.config.methods import Training
from workflow_src.config.probes import KINDS as PROBE_KINDS
from workflow_src.config.reading import leaves, read_yaml
from workflow_src.config.run import Config
from workflow_src.config.section import PURPOSES
from workflow_src.config.studies import STUDIES
from workflow_src.errors import UserError

from workflow_src.report.paper import method_pages, typeset


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


# The studies' runs have names of their own; they are made when asked for.
PROTOCOLS = list(dict.fromkeys([*CONFIG.protocols, *(name for study in STUDIES for name in CONFIG.derived.methods(study))]))
# Policies as protocols have them play, and their rows.
POLICIES = {CONFIG.playing_policy(policy, protocol): policy for policy in CONFIG.policies for protocol in PROTOCOLS}


wildcard_constraints:
    game="|".join(dict.fromkeys([*CONFIG.games, *(game for row in CONFIG.every_agent.values() for game in row.games(CONFIG.games))])),
    label_set="|".join(LABEL_SETS),
    seed=r"\d+",
    policy="|".join(POLICIES),
    protocol="|".join(PROTOCOLS),
    purpose="|".join(PURPOSES),
    method="|".join(CONFIG.methods),
    probe="|".join(sorted({probe for row in CONFIG.methods.values() for probe in row.probe_names(CONFIG.probe.kinds)})),


PACKAGE = Path(workflow_src.__file__).parent
ROOT = checkout.folder()

# Jobs run on the Python that runs Snakemake, unless --software-deployment-method conda puts its own before it, and on the
# sources beside the Snakefile.
for variable, first in {"PATH": Path(sys.executable).parent, "PYTHONPATH": PACKAGE.parent}.items():
    os.environ[variable] = os.pathsep.join(filter(None, [str(first), os.environ.get(variable)]))
# A job ends with the Snakemake that started it, however that ended: the next one would start it again beside it.
os.environ.update(WORKFLOW_SRC_STARTED_BY=f"{platform.node()}:{os.getpid()}")
# A cluster's job takes the GPU that it was given (`devices.GIVEN`; to import it takes a second).
if workflow.remote_exec:
    os.environ.update(WORKFLOW_SRC_GPU_GIVEN="1")
# Snakemake takes braces in paths for wildcards.
ENVIRONMENT = str(ROOT / "environment.yml").replace("{", "{{").replace("}", "}}")


def of_checkout(*files):
    """Files beside the Snakefile as a rule's input."""
    paths = [os.path.relpath(file) for file in files]
    if any(brace in path for path in paths for brace in "{}"):
        refuse(UserError(f"{ROOT}: Snakemake takes braces in paths for wildcards: rename the folder, or make runs inside of it"))
    return paths


def code(name, *modules):
    """{name in code.yaml: digest of the named modules and of their imports}.

    Snakemake reruns a job when its digest changes, as DVC does. The command line is not part of it: it
    parses and calls, and imports all steps.
    """
    return {name: provenance.digest(*modules)}


def policy_code(wildcards):
    """The code of collecting and of the policy's kind."""
    policy = POLICIES[wildcards.policy]
    row = CONFIG.policies[policy]
    agent = provenance.of_agent(CONFIG.agents[row.agent]) if row.agent else []
    kind = provenance.of_kind("episodes/policies", row.kind)
    preset = presets(CONFIG.agents[row.agent]) if row.agent else {}
    return code(f"episodes.{policy}", "episodes.collect", kind, *agent) | preset


def weights_that_play(wildcards):
    """The weights of a policy's agent."""
    agent = CONFIG.policy(wildcards.policy).agent
    which = {"agent": agent, "game": wildcards.game, "seed": wildcards.seed}
    names = CONFIG.weights_that_play(wildcards.policy)
    files = [layout.AGENTS.path.format(weights=name, **which) for name in names]
    return {"weights": files} if files else {}


def player_settings(policy):
    """The settings of a policy's agent that decide how it plays."""
    agent = CONFIG.policy(policy).agent
    return [f"agents.{agent}", f"agent_protocols.{CONFIG.agents[agent].protocol}"] if agent else []


def method_code(step, wildcards):
    """The code of a step that depends on a method's kind and on its architecture."""
    main = {"encoders": "training.job", "examples": "training.reconstruct"}[step]
    row = CONFIG.methods[wildcards.method]
    supervised = labels(wildcards.game) if row.learns_from == "probe" else {}
    return code(f"{step}.{wildcards.method}", main, *provenance.of_method(row)) | supervised


def agent_code(step, agent, main):
    """The code of a step of an agent: of its learner, variants, environment and body, and its preset."""
    row = CONFIG.every_agent[agent]
    # The encoder that it sees through is found by its name, too.
    seen = provenance.of_architecture(CONFIG.methods[row.encoder.method]) if row.encoder else []
    return code(f"{step}.{agent}", main, *provenance.of_agent(row), *seen) | presets(row)


def agent_settings(agent):
    """The configuration's keys that say what an agent is; those of the study that derives it."""
    row = CONFIG.every_agent[agent]
    own = [f"agents.{agent}"] if agent in CONFIG.agents else ["control.agent", "control.base"]
    # How frames become features.
    seen = [] if row.encoder is None else [f"methods.{row.encoder.method}"]
    return [*own, *seen, f"agent_protocols.{row.protocol}"]


def partly(path, names):
    """A path with some of its wildcards replaced."""
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def encoder_to_see_through(agent):
    """The encoder of an agent that has one, and the Python file of one that is not ours, as inputs."""
    row = CONFIG.every_agent[agent]
    if row.encoder is None:
        return {}
    own = {"own": str(file) for name, file in CONFIG.methods[row.encoder.method].files.items() if name == "module"}
    return {"encoder": partly(layout.ENCODERS.path, CONFIG.encoder_of(row)), **own}


def presets(row):
    """{name in code.yaml: digest of the preset that an agent starts from}."""
    return {f"presets.{row.preset}": provenance.of_preset(row.preset)} if row.preset else {}


# The settings that gradient descent needs.
OPTIMIZER = ["epochs", "patience", "batch_size", "eps", "plateau_patience", "plateau_factor", "min_lr"]


def by_gradient_descent(probe):
    """Whether a kind of probe depends on the optimizer's settings and may run on the GPU."""
    return kinds.declared(PROBE_KINDS, probe).get("GRADIENT_DESCENT", True)


def probe_settings(probe):
    """The settings of ``probe`` that a kind of probe depends on; a method's own has none."""
    if probe not in CONFIG.probe.kinds:
        return []
    optimizer = OPTIMIZER if by_gradient_descent(probe) else []
    options = [f"options.{probe}"] if probe in CONFIG.probe.options else []
    return [f"probe.{name}" for name in ("threads", *optimizer, *options)]


def probe_code(wildcards):
    """The code of probing, of the kind of probe and of the encoder's architecture."""
    probe, method = wildcards.probe, wildcards.method
    kind = [provenance.of_kind(PROBE_KINDS, probe)] if probe in CONFIG.probe.kinds else []
    architecture = provenance.of_architecture(CONFIG.methods[method])
    return code(f"probes.{method}.{probe}", "probes.probe", *kind, *architecture) | labels(wildcards.game)


# Whether jobs will run on CUDA. Looked up without torch, which takes seconds to load.
ON_CUDA = CONFIG.device == "cuda" or (CONFIG.device == "auto" and shutil.which("nvidia-smi") is not None)


def switches(wildcards, section):
    """The protocol's switches of a section, under the names that the configuration has for them."""
    rows = CONFIG.derived.parents(wildcards.protocol)
    return {f"protocols.{row}.{section}": getattr(CONFIG.protocols[row], section).model_dump() for row in rows}


def frames(wildcards, purpose):
    """The file of frames that a protocol is made of."""
    policy = CONFIG.playing_policy(wildcards.policy, wildcards.protocol)
    return layout.EPISODES.path.format(policy=policy, purpose=purpose, game=wildcards.game, seed=wildcards.seed)


def frames_to_exclude(wildcards):
    """The encoder's frames, where the protocol keeps them out of the probe's test part (Q11)."""
    excludes = wildcards.purpose == "probe" and CONFIG.protocol(wildcards.protocol).splits.remove_pretrain_duplicates
    return {"exclude": frames(wildcards, "pretrain")} if excludes else {}


def frames_to_learn_from(wildcards):
    """Frames and their split, for the methods that learn from them or measure on them."""
    purpose = CONFIG.methods[wildcards.method].reads
    if purpose is None:
        return {}
    return {
        "frames": frames(wildcards, purpose),
        "split": layout.SPLITS.path.replace("{purpose}", purpose),
    }


def labels(game, *label_sets):
    """{name in code.yaml: digest of what a game's RAM means}, by default in the run's label set.

    Another game's annotations do not matter, nor do those of other label sets.
    """
    return {f"labels.{name}.{game}": provenance.of_labels(game, name) for name in label_sets or [CONFIG.label_set]}


# What else than the training's own settings decides what is learned from each purpose's frames.
LEARNING = {"pretrain": ["device"], "probe": ["device", "label_set", "probe.classes"]}


def learning(wildcards):
    """What a method's training depends on; nothing that its own row says otherwise."""
    row = CONFIG.methods[wildcards.method]
    if row.learns_from is None:
        return {}
    training = [f"training.{name}" for name in Training.model_fields if getattr(row, name, None) is None]
    return leaves(config, *LEARNING[row.learns_from], *training) | switches(wildcards, "methods")


def files_of_its_own(wildcards):
    """The Python file and the weights of an encoder that is not ours."""
    return {name: str(file) for name, file in CONFIG.methods[wildcards.method].files.items()}


def weights_of_its_agent(wildcards):
    """The weights of an agent that serves as an encoder."""
    row = CONFIG.methods[wildcards.method]
    if row.agent is None:
        return {}
    which = {"agent": row.agent, "weights": Agent.weights_name(row.checkpoint)}
    return {"agent": layout.AGENTS.path.format(game=wildcards.game, seed=wildcards.seed, **which)}


def weights_of_its_base(wildcards):
    """The encoder of the method whose features another standardises or whitens."""
    base = CONFIG.methods[wildcards.method].of
    if base is None:
        return {}
    protocol = CONFIG.derived.encoder_protocol(wildcards.protocol, CONFIG.methods[base])
    return {"base": layout.ENCODERS.path.format(**dict(wildcards.items()) | {"method": base, "protocol": protocol})}


def rows_of(method):
    """The configuration's keys that say what a method's encoder is."""
    base = CONFIG.methods[method].of
    return [f"methods.{name}" for name in (method, base) if name is not None]


def split_to_probe(wildcards):
    """The split of the probe's frames; runs of the transfer and convergence studies have their base's."""
    names = dict(wildcards.items()) | {"protocol": CONFIG.derived.split_protocol(wildcards.protocol)}
    return layout.SPLITS.path.format(**names | {"purpose": "probe"})


def weights_to_probe(wildcards):
    """The encoder, for the methods that have one; a quirk that no training sees is probed on its base's."""
    if not CONFIG.methods[wildcards.method].has_encoder:
        return {}
    names = dict(wildcards.items()) | {
        "policy": CONFIG.derived.encoder_policy(wildcards.policy, wildcards.protocol),
        "protocol": CONFIG.derived.encoder_protocol(wildcards.protocol, CONFIG.methods[wildcards.method]),
    }
    return {"encoder": layout.ENCODERS.path.format(**names)}


def latex(wildcards):
    """No file: where LaTeX is missing, end before any job of a run that is to have a paper, not after hours of them."""
    try:
        typeset.program()
    except UserError as error:
        refuse(error)
    return []


def shown(*exhibits):
    """The files of exhibits as outputs, with caption and category for Snakemake's own report.

    Snakemake wants captions as files: they are written into the run's .snakemake/ from the catalogue.
    """
    found = []
    for one in exhibits:
        captions = Path(".snakemake/captions", catalogue.FOLDERS[one.kind], f"{one.key}.rst").resolve()
        text = one.caption
        for wildcard in ("game", "label_set"):
            text = text.replace(f"{{{wildcard}}}", f"{{{{ snakemake.wildcards.{wildcard} }}}}")
        try:
            if present(captions) != text.encode():
                artifacts.write_text(captions, text)
        except UserError as error:
            refuse(error)
        words = [part if "{" in part else part.replace("_", " ") for part in one.key.split("/")]
        for ending in one.endings:
            labels = {"name": ", ".join(words), "format": ending[1:]}
            group = {"subcategory": one.subcategory} if one.subcategory else {}
            found.append(report(one.path + ending, caption=str(captions), category=one.category, labels=labels, **group))
    return found


def options(input, **names):
    """``--option file`` for each input that the job has: ``options(input, exclude="exclude")``."""
    return " ".join(f"--{option} {input[name]}" for option, name in names.items() if name in input.keys())


def record_in_dvc():
    """Record in DVC what was made, if the run has a DVC repository; within `dvc repro` DVC does so itself."""
    if "DVC_STAGE" not in os.environ and Path(".dvc").is_dir() and importlib.util.find_spec("dvc"):
        subprocess.run([sys.executable, "-m", "workflow_src", "record"])
