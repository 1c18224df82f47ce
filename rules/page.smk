# Exploring: the whole run as one page.
# In the order of the page, which shows tables and pictures and leaves other endings out.
SHOWN = [*layout.tables(CONFIG), *layout.figures(CONFIG), *layout.curves(CONFIG)]
# The page has every variable of every game anyway; of Boxing the published values, too.
SHOWN += [file for file in layout.variables(CONFIG) if Path(file).stem == "boxing"]
SHOWN += [*layout.AUDITS, *layout.frames(CONFIG), *layout.audits(CONFIG), *layout.reconstructions(CONFIG)]
SHOWN = [file for file in SHOWN if file.endswith((".csv", ".png", ".gif"))]


rule report:
    input:
        shown=SHOWN,
        scores=layout.SCORES,
        splits=layout.splits(CONFIG),
        histories=layout.encoders(CONFIG, layout.HISTORY),
        templates=[os.path.relpath(f) for f in sorted((ROOT / "workflow_src/report/templates").glob("report.*"))],
    output:
        layout.REPORT,
    log:
        "logs/report.log",
    params:
        code=code("report", "report.page", "layout"),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src report {input.shown} --out {output} > {log} 2>&1"
