# Playing: one job a file of frames and RAM.
rule episodes:
    input:
        unpack(weights_that_play),
    output:
        layout.EPISODES.path,
    log:
        "logs/episodes/{policy}/{purpose}/{game}-s{seed}.log",
    params:
        code=policy_code,
        settings=lambda w: leaves(
            config,
            f"episodes.frames.{w.purpose}",
            "episodes.num_envs",
            "episodes.frame_skip",
            "episodes.noop_max",
            f"policies.{POLICIES[w.policy]}",
            *player_settings(w.policy),
        ),
        weights=lambda w, input: " ".join(f"--weights {file}" for file in input.get("weights", [])),
    # One, so that it starts beside a training, and before everything that can wait: trainings wait for it.
    threads: 1
    priority: 3
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src episodes --game {wildcards.game} --policy {wildcards.policy} --purpose {wildcards.purpose}"
        " --seed {wildcards.seed} --out {output} --workers {threads} {params.weights} > {log} 2>&1"
