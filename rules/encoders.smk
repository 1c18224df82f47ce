# Learning: the GPU's work. A checkpoint outside of results lets a killed training go on.
rule encoders:
    input:
        unpack(frames_to_learn_from),
        code=lambda w: code("methods.train", f"methods.{CONFIG.methods[w.method].kind.replace('-', '_')}"),
    output:
        weights=ENCODER,
        history=HISTORY,
    log:
        "logs/encoders/{policy}/{protocol}/{method}/{game}-s{seed}.log",
    params:
        lambda w: leaves(
            config,
            f"methods.{w.method}",
            *([f"protocols.{w.protocol}.methods", "training", "device"] if CONFIG.methods[w.method].learns else []),
        ),
        files=lambda w, input: options(input, frames="frames", split="split"),
        checkpoint="checkpoints/{policy}/{protocol}/{method}/{game}-s{seed}.pt",
    threads: CONFIG.training.threads
    resources:
        gpu=lambda w: int(ON_CUDA and CONFIG.methods[w.method].learns),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src encoders --game {wildcards.game} --policy {wildcards.policy} --protocol {wildcards.protocol}"
        " --method {wildcards.method} --seed {wildcards.seed} {params.files} --out {output.weights}"
        " --history {output.history} --checkpoint {params.checkpoint} > {log} 2>&1"
