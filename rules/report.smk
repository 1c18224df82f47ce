# Showing: every metric in one tidy file, the paper's tables, figures.
REFERENCE = ROOT / "reference"
SHAPE = ["games", "seeds", "label_set"]
COLUMNS = [*SHAPE, "policies", "protocols", "methods", "probe.kinds"]
# What captions say beside.
CAPTIONS = ["episodes.frames", "training.epochs", "probe.epochs"]


rule scores:
    input:
        probes=layout.probes(CONFIG),
    output:
        scores=layout.SCORES,
        metrics=layout.METRICS,
    log:
        "logs/scores.log",
    params:
        code=code("scores", "report.scores", "layout"),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src scores --out {output.scores} --metrics {output.metrics} > {log} 2>&1"


rule tables:
    input:
        scores=layout.SCORES,
        reference=[os.path.relpath(f) for f in sorted(REFERENCE.glob("paper_table*.csv"))]
        + [os.path.relpath(REFERENCE / "reproduction_report_pong.csv")],
        labels=ANNOTATIONS,
    output:
        shown([f for f in layout.tables(CONFIG) if Path(f).stem not in STUDIES], "Tables"),
    log:
        "logs/tables.log",
    params:
        code=code("tables", "report.tables"),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS),
        reference=lambda w, input: os.path.dirname(input.reference[0]),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src tables --scores {input.scores} --reference {params.reference} --out results/tables > {log} 2>&1"


# Every variable of a game: `snakemake results/tables/table4_f1_by_variable/boxing.tex`.
rule variables:
    input:
        scores=layout.SCORES,
        reference=os.path.relpath(REFERENCE / "paper_table4_boxing_f1_by_variable.csv"),
        labels=ANNOTATIONS,
    output:
        shown(multiext(layout.VARIABLES, ".csv", ".tex"), "Tables"),
    log:
        "logs/variables/{game}.log",
    params:
        code=code("variables", "report.tables"),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS, "splits.min_entropy"),
        reference=lambda w, input: os.path.dirname(input.reference),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src variables --game {wildcards.game} --scores {input.scores} --reference {params.reference}"
        " --out results/tables/table4_f1_by_variable/{wildcards.game} > {log} 2>&1"


rule figures:
    input:
        scores=layout.SCORES,
    output:
        shown([f for f in layout.figures(CONFIG) if Path(f).stem not in ("learning_curves", *STUDIES)], "Figures"),
    log:
        "logs/figures.log",
    params:
        code=code("figures", "report.figures", "layout"),
        settings=lambda w: leaves(config, *COLUMNS),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src figures --scores {input.scores} --out results/figures > {log} 2>&1"


rule curves:
    input:
        histories=layout.encoders(CONFIG, layout.HISTORY),
    output:
        shown(multiext("results/figures/learning_curves", ".pdf", ".png"), "Figures"),
    log:
        "logs/curves.log",
    params:
        code=code("curves", "report.curves", "layout"),
        settings=lambda w: leaves(config, "games", "seeds", "policies", "protocols", "methods"),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src curves --out results/figures > {log} 2>&1"


rule curves_of_game:
    input:
        histories=lambda w: layout.encoders(CONFIG.for_game(w.game), layout.HISTORY),
    output:
        shown(multiext(layout.CURVES, ".pdf", ".png"), "Figures"),
    log:
        "logs/curves/{game}.log",
    params:
        code=code("curves", "report.curves", "layout"),
        settings=lambda w: leaves(config, "seeds", "policies", "protocols", "methods"),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src curves --game {wildcards.game} --out results/figures/learning_curves > {log} 2>&1"


rule reconstructions:
    input:
        examples=lambda w: layout.examples(CONFIG, w.game),
    output:
        shown(multiext(layout.RECONSTRUCTIONS, ".pdf", ".png"), "Figures"),
    log:
        "logs/reconstructions/{game}.log",
    params:
        code=code("reconstructions", "report.reconstructions"),
        out=layout.RECONSTRUCTIONS,
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src reconstructions {input.examples} --out {params.out} > {log} 2>&1"


# A rule each, without a wildcard: DVC calls a stage that owns no folder by its rule.
for study in STUDIES:

    rule:
        name:
            f"{study}_scores"
        input:
            probes=layout.study(CONFIG, study),
        output:
            layout.STUDY.format(study=study),
        log:
            f"logs/{study}_scores.log",
        params:
            code=code("scores", "report.scores", "layout"),
            study=study,
        conda:
            ENVIRONMENT
        shell:
            "python -m workflow_src scores --study {params.study} --out {output} > {log} 2>&1"


# Targets of their own, `snakemake ledger` and `snakemake scaling`, unless `studies` names them: both train again.
rule ledger:
    input:
        scores=layout.STUDY.format(study="ledger"),
    output:
        shown(multiext("results/tables/ledger", ".csv", ".tex") + multiext("results/figures/ledger", ".pdf", ".png"), "Ledger"),
    log:
        "logs/ledger.log",
    params:
        code=code("ledger", "report.ledger"),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS, *(["ledger"] if CONFIG.ledger else [])),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src ledger --scores {input.scores} --tables results/tables --figures results/figures > {log} 2>&1"


rule scaling:
    input:
        scores=layout.STUDY.format(study="scaling"),
    output:
        shown(multiext("results/tables/scaling", ".csv", ".tex") + multiext("results/figures/scaling", ".pdf", ".png"), "Scaling"),
    log:
        "logs/scaling.log",
    params:
        code=code("scaling", "report.scaling"),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS, *(["scaling"] if CONFIG.scaling else [])),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src scaling --scores {input.scores} --tables results/tables --figures results/figures > {log} 2>&1"
