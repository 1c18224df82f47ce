# Showing: every metric in one tidy file, the paper's tables, figures.
REFERENCE = ROOT / "reference"
SHAPE = ["games", "seeds", "label_set"]
COLUMNS = [*SHAPE, "policies", "protocols", "methods", "probe.kinds"]
# What captions say beside.
CAPTIONS = ["episodes.frames", "training.epochs", "probe.epochs"]


rule scores:
    input:
        probes=layout.probes(CONFIG),
        code=code("report.scores", "layout"),
    output:
        scores=layout.SCORES,
        metrics=layout.METRICS,
    log:
        "logs/scores.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src scores --out {output.scores} --metrics {output.metrics} > {log} 2>&1"


rule tables:
    input:
        scores=layout.SCORES,
        reference=[os.path.relpath(f) for f in sorted(REFERENCE.glob("paper_table*.csv"))],
        code=code("report.tables"),
    output:
        shown(TABLES, "Tables"),
    log:
        "logs/tables.log",
    params:
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS),
        reference=lambda w, input: os.path.dirname(input.reference[0]),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src tables --scores {input.scores} --reference {params.reference} --out results/tables > {log} 2>&1"


rule figures:
    input:
        scores=layout.SCORES,
        code=code("report.figures"),
    output:
        shown(FIGURES, "Figures"),
    log:
        "logs/figures.log",
    params:
        settings=lambda w: leaves(config, *COLUMNS),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src figures --scores {input.scores} --out results/figures > {log} 2>&1"


rule curves:
    input:
        histories=layout.encoders(CONFIG, layout.HISTORY),
        code=code("report.curves", "layout"),
    output:
        shown(CURVES, "Figures"),
    log:
        "logs/curves.log",
    params:
        settings=lambda w: leaves(config, "games", "seeds", "policies", "protocols", "methods"),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src curves --out results/figures > {log} 2>&1"


rule reconstructions:
    input:
        examples=lambda w: layout.examples(CONFIG, w.game),
        code=code("report.reconstructions"),
    output:
        shown(multiext(layout.RECONSTRUCTIONS, ".pdf", ".png"), "Figures"),
    log:
        "logs/reconstructions/{game}.log",
    params:
        out=layout.RECONSTRUCTIONS,
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src reconstructions {input.examples} --out {params.out} > {log} 2>&1"


rule ledger_scores:
    input:
        probes=layout.ledger(CONFIG),
        code=code("report.scores", "layout"),
    output:
        layout.LEDGER,
    log:
        "logs/ledger_scores.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src scores --ledger --out {output} > {log} 2>&1"


# A target of its own, `snakemake ledger`: it trains again for most quirks.
rule ledger:
    input:
        scores=layout.LEDGER,
        code=code("report.ledger"),
    output:
        shown(multiext("results/tables/ledger", ".csv", ".tex") + multiext("results/figures/ledger", ".pdf", ".png"), "Ledger"),
    log:
        "logs/ledger.log",
    params:
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS, *(["ledger"] if CONFIG.ledger else [])),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src ledger --scores {input.scores} --tables results/tables --figures results/figures > {log} 2>&1"
