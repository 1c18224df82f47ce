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
include: "rules/report.smk"
include: "rules/audit.smk"
include: "rules/paper.smk"
include: "rules/page.smk"


# Every artifact is named: Snakemake does not remake a lost file that only other, present files were made of.
rule all:
    default_target: True
    input:
        layout.episodes(CONFIG),
        layout.splits(CONFIG),
        layout.encoders(CONFIG),
        layout.encoders(CONFIG, layout.HISTORY),
        layout.probes(CONFIG),
        layout.of_studies(CONFIG),
        expand(layout.STUDY, study=CONFIG.studies),
        layout.SCORES,
        layout.METRICS,
        layout.tables(CONFIG),
        layout.variables(CONFIG),
        layout.figures(CONFIG),
        layout.curves(CONFIG),
        layout.reconstructions(CONFIG),
        layout.measured(CONFIG),
        layout.audits(CONFIG),
        layout.frames(CONFIG),
        layout.AUDITS,
        layout.REPORT,


# A folder's path is a target too: `snakemake results/splits/random_agent/paper/probe`. DVC makes its stages by these.
for folder, files in layout.folders(CONFIG).items():

    rule:
        name:
            folder
        input:
            files,


onsuccess:
    remember()


onerror:
    remember()
