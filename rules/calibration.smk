# Where position bytes put things on the screen: `snakemake calibration`, a target of its own. What it measured of 24
# games is in workflow_src/ari/calibration.csv, the label set `calibrated`.
rule calibrated:
    output:
        multiext("results/calibration/{game}", ".csv", ".png"),
    log:
        "logs/calibration/{game}.log",
    params:
        code=lambda w: code("calibrated", "report.audit.calibration"),
        settings=lambda w: leaves(config, "episodes.frame_skip", "episodes.noop_max"),
        seed=CONFIG.seeds[0],
        out="results/calibration/{game}",
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src calibrate --game {wildcards.game} --seed {params.seed} --out {params.out} > {log} 2>&1"


rule calibration:
    input:
        expand("results/calibration/{game}.csv", game=CONFIG.games),
    output:
        "results/calibration.csv",
    log:
        "logs/calibration.log",
    params:
        code=code("calibration", "report.audit.calibration"),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src calibration {input} --out {output} > {log} 2>&1"
