# The paper: a target of its own, `snakemake paper`, since it needs LaTeX, which nothing else does.
METHODS = ROOT / "docs" / "methods"


rule paper:
    input:
        latex=latex,
        scores=layout.SCORES.path,
        reference=of_checkout(*sorted(REFERENCE.glob("paper_*.csv"))),
        methods=of_checkout(*(METHODS / page for page in dict.fromkeys(map(method_pages.page_of, CONFIG.methods.values())))),
        exhibits=catalogue.in_paper(CONFIG),
        template=of_checkout(PACKAGE / "report/paper/templates/paper.tex.jinja"),
    output:
        shown(catalogue.PAPER),
    log:
        "logs/paper.log",
    params:
        code=code("paper", "report.paper.write", "layout"),
        settings=lambda w: leaves(config, *config),
        reference=lambda w, input: os.path.dirname(input.reference[0]),
        methods=lambda w, input: os.path.dirname(input.methods[0]),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src paper --scores {input.scores} --reference {params.reference:q} --methods {params.methods:q} "
        "--out {output} {input.exhibits} > {log} 2>&1"
