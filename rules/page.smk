# The page: the whole run in one file to explore.
PAGE = ROOT / "workflow_src/report/page/templates"


rule report:
    input:
        shown=catalogue.on_page(CONFIG) + layout.FILMS.files(CONFIG),
        scores=layout.SCORES.path,
        splits=layout.SPLITS.files(CONFIG),
        histories=layout.HISTORIES.files(CONFIG),
        templates=[os.path.relpath(f) for f in sorted(PAGE.glob("report.*"))],
    output:
        layout.PAGE.path,
    log:
        "logs/report.log",
    params:
        code=code("report", "report.page.write", "layout"),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src report {input.shown} --out {output} > {log} 2>&1"
