# Auditing labels: what the annotated RAM bytes are, table and pictures of each game, frames with their labels.
# Both are made for each game; the first for each label set, too.
AUDIT_FRAMES, AUDIT = sorted(catalogue.select("audit"), key=lambda one: "{label_set}" in one.key)


rule audit_measured:
    input:
        frames=lambda w: layout.audited(CONFIG, w.game),
    output:
        layout.MEASURED.path,
    log:
        "logs/audit/measured/{game}.log",
    params:
        code=lambda w: code("audit_measured", "audit.measure")
        | labels(w.game, *(name for name in LABEL_SETS if w.game in GAMES[name])),
        settings=lambda w: leaves(config, "episodes.frame_skip", "episodes.noop_max"),
        seed=CONFIG.seeds[0],
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src audit-measure --game {wildcards.game} --frames {input.frames} --seed {params.seed}"
        " --out {output} > {log} 2>&1"


rule audit:
    input:
        measured=layout.MEASURED.path,
    output:
        shown(AUDIT),
    log:
        "logs/audit/{label_set}/{game}.log",
    params:
        code=lambda w: code("audit", "report.audit.variables") | labels(w.game, w.label_set),
        out=AUDIT.path,
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src audit --measured {input.measured} --label-set {wildcards.label_set} --out {params.out}"
        " > {log} 2>&1"


rule audit_frames:
    input:
        measured=layout.MEASURED.path,
    output:
        shown(AUDIT_FRAMES),
    log:
        "logs/audit/frames/{game}.log",
    params:
        code=lambda w: code("audit_frames", "report.audit.frame_sheets") | labels(w.game),
        settings=lambda w: leaves(config, "label_set"),
        out=AUDIT_FRAMES.path,
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src audit-frames --measured {input.measured} --out {params.out} > {log} 2>&1"


rule audit_summary:
    input:
        audits=AUDIT.files(CONFIG, [".csv"]),
    output:
        shown(*catalogue.select("table", "audit")),
    log:
        "logs/audit/summary.log",
    params:
        code=code("audit_summary", "report.audit.summary"),
        settings=lambda w: leaves(config, "games"),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src audit-summary {input.audits} --out results/tables > {log} 2>&1"
