# Playing: one job a file of frames and RAM.
rule episodes:
    input:
    output:
        layout.EPISODE,
    log:
        "logs/episodes/{policy}/{purpose}/{game}-s{seed}.log",
    params:
        code=lambda w: code(f"episodes.{POLICIES[w.policy]}", "episodes.collect"),
        settings=lambda w: leaves(
            config,
            f"episodes.frames.{w.purpose}",
            "episodes.streams",
            "episodes.repeat",
            "episodes.noop_max",
            f"policies.{POLICIES[w.policy]}",
        ),
    threads: 2
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src episodes --game {wildcards.game} --policy {wildcards.policy} --purpose {wildcards.purpose}"
        " --seed {wildcards.seed} --out {output} --workers {threads} > {log} 2>&1"
