# The page: the whole run in one file to explore.
PAGE = PACKAGE / "report/page/templates"


rule report:
    input:
        shown=catalogue.on_page(CONFIG) + layout.FILMS.files(CONFIG),
        scores=layout.SCORES.path,
        splits=layout.SPLITS.files(CONFIG),
        histories=layout.HISTORIES.files(CONFIG),
        agents=[*layout.AGENTS.files(CONFIG), *layout.AGENT_HISTORIES.files(CONFIG), *layout.EVALUATIONS.files(CONFIG)],
        reference=of_checkout(REFERENCE / "agent_scores.csv"),
        templates=of_checkout(*sorted(PAGE.glob("report.*"))),
    output:
        layout.PAGE.path,
    log:
        "logs/report.log",
    params:
        code=code("report", "report.page.write", "layout"),
        settings=lambda w: leaves(config, *COLUMNS, *CAPTIONS, *(["agents"] if CONFIG.agents else [])),
        reference=lambda w, input: os.path.dirname(input.reference[0]),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src report --reference {params.reference:q} {input.shown} --out {output} > {log} 2>&1"
