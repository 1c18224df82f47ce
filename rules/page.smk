# Exploring: the whole run as one page.
# Here the label audit's files are filled in: layout.audits(CONFIG), layout.frames(CONFIG) and its tables. None are made yet.
LABELS_AUDITED = []
# In the order of the page, which shows tables and pictures and leaves other endings out.
SHOWN = [*TABLES, *FIGURES, *CURVES, *LABELS_AUDITED, *layout.reconstructions(CONFIG)]
SHOWN = [file for file in SHOWN if file.endswith((".csv", ".png", ".gif"))]


rule report:
    input:
        shown=SHOWN,
        scores=layout.SCORES,
        splits=layout.splits(CONFIG),
        histories=layout.encoders(CONFIG, layout.HISTORY),
        templates=[os.path.relpath(f) for f in sorted((ROOT / "workflow_src/report/templates").glob("report.*"))],
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
