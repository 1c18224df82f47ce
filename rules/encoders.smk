# Learning: the GPU's work. A checkpoint outside of results lets a killed training go on.
rule encoders:
    input:
        unpack(frames_to_learn_from),
        unpack(files_of_its_own),
        unpack(weights_of_its_agent),
        unpack(weights_of_its_base),
    output:
        weights=layout.ENCODERS.path,
        history=layout.HISTORIES.path,
    log:
        "logs/encoders/{policy}/{protocol}/{method}/{game}-s{seed}.log",
    benchmark:
        "logs/encoders/{policy}/{protocol}/{method}/{game}-s{seed}.tsv"
    params:
        code=lambda w: method_code("encoders", w),
        settings=lambda w: leaves(config, *rows_of(w.method)) | learning(w),
        files=lambda w, input: options(input, frames="frames", split="split", **{"agent-weights": "agent", "base-weights": "base"}),
        checkpoint="checkpoints/{policy}/{protocol}/{method}/{game}-s{seed}.pt",
    # The longest jobs first.
    priority: 2
    threads: CONFIG.training.threads
    resources:
        gpu=lambda w: int(ON_CUDA and CONFIG.methods[w.method].reads is not None),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src encoders --game {wildcards.game} --policy {wildcards.policy} --protocol {wildcards.protocol}"
        " --method {wildcards.method} --seed {wildcards.seed} {params.files} --out {output.weights}"
        " --history {output.history} --checkpoint {params.checkpoint} --log {log} > {log} 2>&1"


# What decoders make of frames, for the figure of reconstructions.
rule examples:
    input:
        frames=lambda w: frames(w, "pretrain"),
        split=layout.SPLITS.path.replace("{purpose}", "pretrain"),
        weights=layout.ENCODERS.path,
    output:
        layout.EXAMPLES.path,
    log:
        "logs/examples/{policy}/{protocol}/{method}/{game}-s{seed}.log",
    params:
        code=lambda w: method_code("examples", w),
        settings=lambda w: leaves(config, f"methods.{w.method}"),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src examples --game {wildcards.game} --policy {wildcards.policy} --protocol {wildcards.protocol}"
        " --method {wildcards.method} --seed {wildcards.seed} --frames {input.frames} --split {input.split}"
        " --weights {input.weights} --out {output} > {log} 2>&1"
