# Exploring: the whole run as one page.
# What the label audit has made, CSV, PNG and GIF of each game: none yet. A rule of the audit fills it here.
AUDITS = []
# In the order of the page.
SHOWN = [f for f in [*TABLES, *FIGURES, *CURVES, *AUDITS, *layout.reconstructions(CONFIG)] if f.endswith((".csv", ".png", ".gif"))]


rule report:
    input:
        shown=SHOWN,
        scores=layout.SCORES,
        splits=layout.splits(CONFIG),
        histories=layout.encoders(CONFIG, layout.HISTORY),
        templates=[os.path.relpath(f) for f in sorted((ROOT / "workflow_src/report/templates").iterdir())],
        code=code("report.page", "layout"),
    output:
        layout.REPORT,
    log:
        "logs/report.log",
    params:
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src report {input.shown} --out {output} > {log} 2>&1"
