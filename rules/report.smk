# Tables and figures: every metric in one tidy file, then what the catalogue has.
REFERENCE = ROOT / "reference"
SHAPE = ["games", "seeds", "label_set"]
COLUMNS = [*SHAPE, "policies", "protocols", "methods", "probe.kinds"]
# What captions also tell.
CAPTIONS = ["episodes.frames", "training.epochs", "training.precision", "probe.epochs"]

TABLES = [one for one in catalogue.select("table", "scores", by_game=False) if one.when(CONFIG)]
FIGURES = [one for one in catalogue.select("figure", "scores", by_game=False) if one.when(CONFIG)]


rule scores:
    input:
        probes=layout.PROBES.files(CONFIG),
    output:
        scores=layout.SCORES.path,
        metrics=layout.METRICS.path,
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
        scores=layout.SCORES.path,
        # Not paper_tables35to56: those are of every variable, for the rule below.
        reference=of_checkout(*sorted(REFERENCE.glob("paper_table[!s]*.csv")), REFERENCE / "reproduction_report_pong.csv"),
        labels=of_checkout(PACKAGE / "ari/annotations.csv"),
    output:
        shown(*TABLES),
    log:
        "logs/tables.log",
    params:
        code=code("tables", "report.tables.write", *(one.module for one in TABLES)),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS),
        reference=lambda w, input: os.path.dirname(input.reference[0]),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src tables --scores {input.scores} --reference {params.reference:q} --out results/tables > {log} 2>&1"


# Every variable of a game: `snakemake results/tables/table4_f1_by_variable/boxing.tex`.
rule variables:
    input:
        scores=layout.SCORES.path,
        reference=of_checkout(*sorted(REFERENCE.glob("paper_tables*_f1_by_variable_*.csv"))),
    output:
        shown(*catalogue.select("table", "scores", by_game=True)),
    log:
        "logs/variables/{game}.log",
    params:
        code=lambda w: code("variables", "report.tables.write", "report.tables.by_variable") | labels(w.game),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS, "splits.min_entropy"),
        reference=lambda w, input: os.path.dirname(input.reference[0]),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src variables --game {wildcards.game} --scores {input.scores} --reference {params.reference:q}"
        " --out results/tables/table4_f1_by_variable/{wildcards.game} > {log} 2>&1"


# Every value beside the published one.
rule agreement:
    input:
        scores=layout.SCORES.path,
        reference=of_checkout(*sorted(REFERENCE.glob("paper_table*.csv"))),
    output:
        shown(*(one for one in catalogue.select(source="agreement") if one.when(CONFIG))),
    log:
        "logs/agreement.log",
    params:
        code=code("agreement", "report.agreement.write", *(one.module for one in catalogue.select(source="agreement"))),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS),
        reference=lambda w, input: os.path.dirname(input.reference[0]),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src agreement --scores {input.scores} --reference {params.reference:q}"
        " --tables results/tables --figures results/figures 2>&1 | tee {log} >&2"


rule figures:
    input:
        scores=layout.SCORES.path,
    output:
        shown(*FIGURES),
    log:
        "logs/figures.log",
    params:
        code=code("figures", "report.figures.write", *(one.module for one in FIGURES)),
        settings=lambda w: leaves(config, *COLUMNS),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src figures --scores {input.scores} --out results/figures > {log} 2>&1"


rule curves:
    input:
        histories=layout.HISTORIES.files(CONFIG),
    output:
        shown(*catalogue.select("figure", "histories", by_game=False)),
    log:
        "logs/curves.log",
    params:
        code=code("curves", "report.figures.learning_curves", "layout"),
        settings=lambda w: leaves(config, "games", "seeds", "policies", "protocols", "methods"),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src curves --out results/figures > {log} 2>&1"


rule curves_of_game:
    input:
        histories=lambda w: layout.HISTORIES.files(CONFIG.for_game(w.game)),
    output:
        shown(*catalogue.select("figure", "histories", by_game=True)),
    log:
        "logs/curves/{game}.log",
    params:
        code=code("curves", "report.figures.learning_curves", "layout"),
        settings=lambda w: leaves(config, "seeds", "policies", "protocols", "methods"),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src curves --game {wildcards.game} --out results/figures/learning_curves > {log} 2>&1"


# What probes read beside the truth, as an animation.
rule readings:
    input:
        frames=lambda w: layout.readings(CONFIG, w.game)["frames"],
        predictions=lambda w: layout.readings(CONFIG, w.game)["predictions"],
    output:
        shown(*catalogue.select("figure", "readings")),
    log:
        "logs/readings/{game}.log",
    params:
        code=code("readings", "report.figures.readings"),
        out=catalogue.select("figure", "readings")[0].path,
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src readings {input.predictions} --frames {input.frames} --out {params.out} > {log} 2>&1"


rule reconstructions:
    input:
        examples=lambda w: layout.EXAMPLES.files(CONFIG.for_game(w.game)),
    output:
        shown(*catalogue.select("figure", "examples")),
    log:
        "logs/reconstructions/{game}.log",
    params:
        code=code("reconstructions", "report.figures.reconstructions"),
        out=catalogue.select("figure", "examples")[0].path,
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
            probes=layout.PROBES.files(CONFIG, study),
        output:
            layout.STUDY_SCORES.path.format(study=study),
        log:
            f"logs/{study}_scores.log",
        params:
            code=code("scores", "report.scores", "layout"),
            study=study,
        conda:
            ENVIRONMENT
        shell:
            "python -m workflow_src scores --study {params.study} --out {output} > {log} 2>&1"


# Targets of their own, such as `snakemake ledger`, unless `studies` names them: ledger and scaling train again.
rule ledger:
    input:
        scores=layout.STUDY_SCORES.path.format(study="ledger"),
    output:
        shown(*catalogue.select(source="ledger")),
    log:
        "logs/ledger.log",
    params:
        code=code("ledger", "report.studies.write", "report.studies.ledger"),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS, *(["ledger"] if CONFIG.ledger else [])),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src ledger --scores {input.scores} --tables results/tables --figures results/figures > {log} 2>&1"


rule scaling:
    input:
        scores=layout.STUDY_SCORES.path.format(study="scaling"),
    output:
        shown(*catalogue.select(source="scaling")),
    log:
        "logs/scaling.log",
    params:
        code=code("scaling", "report.studies.write", "report.studies.scaling"),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS, *(["scaling"] if CONFIG.scaling else [])),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src scaling --scores {input.scores} --tables results/tables --figures results/figures > {log} 2>&1"


rule convergence:
    input:
        scores=layout.STUDY_SCORES.path.format(study="convergence"),
    output:
        shown(*catalogue.select(source="convergence")),
    log:
        "logs/convergence.log",
    params:
        code=code("convergence", "report.studies.write", "report.studies.convergence"),
        settings=lambda w: leaves(
            config, *COLUMNS, *CAPTIONS, "probe.epochs", *(["convergence"] if CONFIG.convergence else [])
        ),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src convergence --scores {input.scores} --tables results/tables --figures results/figures > {log} 2>&1"


rule transfer:
    input:
        scores=layout.STUDY_SCORES.path.format(study="transfer"),
    output:
        shown(*catalogue.select(source="transfer")),
    log:
        "logs/transfer.log",
    params:
        code=code("transfer", "report.studies.write", "report.studies.transfer"),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS, *(["transfer"] if CONFIG.transfer else [])),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src transfer --scores {input.scores} --tables results/tables --figures results/figures > {log} 2>&1"


# Agents on the frozen encoders of methods, and whether F1 tells which of them play well.
rule control:
    input:
        scores=layout.STUDY_SCORES.path.format(study="control"),
        evaluations=layout.EVALUATIONS.files(CONFIG, "control"),
        reference=of_checkout(REFERENCE / "agent_scores.csv"),
    output:
        shown(*catalogue.select(source="control")),
    log:
        "logs/control.log",
    params:
        code=code("control", "report.studies.write_control", "report.studies.control", "report.studies.control_correlation"),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS, *(["control"] if CONFIG.control else [])),
        reference=lambda w, input: os.path.dirname(input.reference[0]),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src control --scores {input.scores} --reference {params.reference:q}"
        " --tables results/tables --figures results/figures > {log} 2>&1"


# The probe's frames of each policy, in the first protocol.
FIRST = next(iter(CONFIG.protocols))
DESCRIBED = [dict(policy=p, game=game, seed=seed) for p in CONFIG.policies for game in CONFIG.games for seed in CONFIG.seeds]


rule frames_by_policy:
    input:
        splits=[layout.SPLITS.path.format(protocol=FIRST, purpose="probe", **names) for names in DESCRIBED],
        frames=[
            layout.EPISODES.path.format(purpose="probe", **names | {"policy": CONFIG.playing_policy(names["policy"], FIRST)})
            for names in DESCRIBED
        ],
    output:
        shown(*catalogue.select(source="frames")),
    log:
        "logs/frames_by_policy.log",
    params:
        code=code("frames_by_policy", "report.tables.frames_by_policy", "splits.describe"),
        settings=lambda w: leaves(config, *SHAPE, "policies", "protocols", "splits.min_entropy"),
        frames=lambda w, input: [f"--frames {file}" for file in input.frames],
        out=lambda w, output: os.path.splitext(output[0])[0],
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src frames-by-policy {input.splits} {params.frames} --out {params.out} > {log} 2>&1"
