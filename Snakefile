"""From nothing but the ROMs in the ale-py wheel to the paper's tables: `snakemake --cores 8 --resources gpu=1`.

A run is a directory with one effective config.yaml: this repository's root is the paper's run, others are made by
`python -m workflow_src configure` and run with `snakemake --directory runs/mine`.
"""

from snakemake.utils import min_version

min_version("9.20")


include: "rules/common.smk"
include: "rules/episodes.smk"
include: "rules/splits.smk"
include: "rules/encoders.smk"
include: "rules/probes.smk"
include: "rules/agents.smk"
include: "rules/report.smk"
include: "rules/audit.smk"
include: "rules/calibration.smk"
include: "rules/paper.smk"
include: "rules/page.smk"


# Every artifact is named: Snakemake does not remake a lost file if what was made from it is present.
rule all:
    default_target: True
    input:
        layout.everything(CONFIG),


# A folder is a target, too: `snakemake results/splits/random_agent/paper/probe`. DVC's stages use them.
for folder, files in layout.folders(CONFIG).items():

    rule:
        name:
            folder
        input:
            files,


# A person sees where it stands; with `--quiet progress` that alone.
onstart:
    if workflow.non_local_exec and CONFIG.device == "auto":
        refuse(UserError("device: auto depends on the machine, and jobs go to others: set device: cuda, or device: cpu, in config.yaml"))
    quiet = {"progress", "all"} & set(map(str, workflow.output_settings.quiet or []))
    if quiet:
        logger.addFilter(lambda record: not str(record.msg).startswith(("Select jobs to execute", "Execute ")))
    # Snakemake's limit of 100 new jobs a second looks at all jobs again a second after each time that it did, for every
    # job that ended: with the first hundred ended, a quarter of a core. Here nothing is flooded.
    if not workflow.non_local_exec:
        workflow.scheduler.job_rate_limiter = None
    live.follow(Path("logs"), lambda: (workflow.scheduler.finished_jobs, len(workflow.dag)), alone=bool(quiet))


onsuccess:
    record_in_dvc()


onerror:
    record_in_dvc()
