# Reading out: a probe for each state variable on the frozen encoder.
rule probes:
    input:
        unpack(weights_to_probe),
        unpack(files_of_its_own),
        frames=lambda w: frames(w, "probe"),
        split=split_to_probe,
    output:
        layout.PROBES.path,
    log:
        "logs/probes/{policy}/{protocol}/{method}/{probe}/{game}-s{seed}.log",
    params:
        code=probe_code,
        settings=lambda w: leaves(
            config,
            "probe.classes",
            "probe.batch_size",
            *probe_settings(w.probe),
            f"methods.{w.method}.kind",
            "label_set",
            "device",
        )
        | switches(w, "probes"),
        weights=lambda w, input: options(input, weights="encoder"),
    threads: CONFIG.probe.threads
    resources:
        gpu=lambda w: int(ON_CUDA and w.probe != "majority" and by_gradient_descent(w.probe)),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src probes --game {wildcards.game} --policy {wildcards.policy} --protocol {wildcards.protocol}"
        " --method {wildcards.method} --seed {wildcards.seed} --probe {wildcards.probe} --frames {input.frames}"
        " --split {input.split} {params.weights} --out {output} > {log} 2>&1"
