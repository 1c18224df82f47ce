# The paper: a target of its own, `snakemake paper`, since it needs LaTeX, which nothing else does.
METHODS = ROOT / "docs" / "methods"


rule paper:
    input:
        latex=latex,
        scores=layout.SCORES.path,
        reference=[os.path.relpath(f) for f in sorted(REFERENCE.glob("paper_*.csv"))],
        methods=[os.path.relpath(METHODS / page) for page in dict.fromkeys(map(method_pages.page_of, CONFIG.methods.values()))],
        exhibits=catalogue.in_paper(CONFIG),
        template=os.path.relpath(ROOT / "workflow_src/report/paper/templates/paper.tex.jinja"),
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
        "python -m workflow_src paper --scores {input.scores} --reference {params.reference} --methods {params.methods} "
        "--out {output} {input.exhibits} > {log} 2>&1"
