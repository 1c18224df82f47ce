# Showing: every metric in one tidy file, the paper's tables, figures.
REFERENCE = ROOT / "reference"
SHAPE = ["games", "seeds", "label_set"]
COLUMNS = [*SHAPE, "policies", "protocols", "methods"]
# What captions say beside.
CAPTIONS = ["episodes.frames", "training.epochs", "probe.epochs"]


rule scores:
    input:
        probes=PROBES,
        code=code("report.scores"),
    output:
        SCORES,
    log:
        "logs/scores.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src scores --out {output} {input.probes} > {log} 2>&1"


rule tables:
    input:
        scores=SCORES,
        reference=[os.path.relpath(f) for f in sorted(REFERENCE.glob("paper_table*.csv"))],
        code=code("report.tables"),
    output:
        report(TABLES, category="Tables"),
    log:
        "logs/tables.log",
    params:
        lambda w: leaves(config, *COLUMNS, *CAPTIONS),
        reference=lambda w, input: os.path.dirname(input.reference[0]),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src tables --scores {input.scores} --reference {params.reference} --out results/tables > {log} 2>&1"


rule figures:
    input:
        scores=SCORES,
        code=code("report.figures"),
    output:
        report(FIGURES, category="Figures"),
    log:
        "logs/figures.log",
    params:
        lambda w: leaves(config, *COLUMNS),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src figures --scores {input.scores} --out results/figures > {log} 2>&1"
