# Learning: the GPU's work. A checkpoint outside of results lets a killed training go on.
def frames_to_learn_from(wildcards):
    """Frames and their split, for the methods that learn."""
    if not CONFIG.methods[wildcards.method].learns:
        return {}
    return {"frames": EPISODE.replace("{purpose}", "pretrain"), "split": SPLIT.replace("{purpose}", "pretrain")}


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
        lambda w: leaves(config, f"methods.{w.method}", f"protocols.{w.protocol}.methods", "training", "device"),
        files=lambda w, input: f"--frames {input.frames} --split {input.split}" if "frames" in input.keys() else "",
        checkpoint="checkpoints/{policy}/{protocol}/{method}/{game}-s{seed}.pt",
    threads: CONFIG.training.threads
    resources:
        gpu=lambda w: int(ON_CUDA and CONFIG.methods[w.method].learns),
    shell:
        "{PYTHON} encoders --game {wildcards.game} --policy {wildcards.policy} --protocol {wildcards.protocol}"
        " --method {wildcards.method} --seed {wildcards.seed} {params.files} --out {output.weights}"
        " --history {output.history} --checkpoint {params.checkpoint} > {log} 2>&1"
