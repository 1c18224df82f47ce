# Reading out: a linear probe for each state variable on the frozen encoder.
rule probes:
    input:
        unpack(weights_to_probe),
        frames=EPISODE.replace("{purpose}", "probe"),
        split=SPLIT.replace("{purpose}", "probe"),
        code=code("probes.probe"),
        labels=os.path.relpath(ROOT / "workflow_src/ari/annotations.csv"),
    output:
        PROBE,
    log:
        "logs/probes/{policy}/{protocol}/{method}/{game}-s{seed}.log",
    params:
        lambda w: leaves(config, "probe", f"protocols.{w.protocol}.probes", f"methods.{w.method}.kind", "label_set", "device"),
        weights=lambda w, input: options(input, weights="weights"),
    threads: CONFIG.probe.threads
    resources:
        gpu=lambda w: int(ON_CUDA and CONFIG.methods[w.method].has_encoder),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src probes --game {wildcards.game} --policy {wildcards.policy} --protocol {wildcards.protocol}"
        " --method {wildcards.method} --seed {wildcards.seed} --frames {input.frames} --split {input.split}"
        " {params.weights} --out {output} > {log} 2>&1"
