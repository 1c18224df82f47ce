# Reading out: a probe for each state variable on the frozen encoder.
rule probes:
    input:
        unpack(weights_to_probe),
        unpack(files_of_its_own),
        frames=lambda w: frames(w, "probe"),
        split=split_to_probe,
    output:
        scores=layout.PROBES.path,
        predictions=layout.PREDICTIONS.path,
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
    priority: 1
    threads: CONFIG.probe.threads
    resources:
        gpu=lambda w: int(ON_CUDA and w.probe != "majority" and by_gradient_descent(w.probe)),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src probes --game {wildcards.game} --policy {wildcards.policy} --protocol {wildcards.protocol}"
        " --method {wildcards.method} --seed {wildcards.seed} --probe {wildcards.probe} --frames {input.frames}"
        " --split {input.split} {params.weights} --out {output.scores} --predictions {output.predictions} --log {log} > {log} 2>&1"


# Where encoders read each variable: `snakemake saliency`, a target of its own, since it fits probes again.
SALIENCY = layout.ATTRIBUTIONS.path.removesuffix(".safetensors")


rule attributions:
    input:
        unpack(weights_to_probe),
        unpack(files_of_its_own),
        frames=lambda w: frames(w, "probe"),
        split=layout.SPLITS.path.replace("{purpose}", "probe"),
    output:
        layout.ATTRIBUTIONS.path,
    log:
        "logs/saliency/{policy}/{protocol}/{method}/{game}-s{seed}.log",
    params:
        code=lambda w: code(f"attributions.{w.method}", "probes.attribution", *provenance.of_architecture(CONFIG.methods[w.method]))
        | labels(w.game),
        settings=lambda w: leaves(
            config,
            "probe.classes",
            "probe.batch_size",
            *probe_settings("linear"),
            f"methods.{w.method}.kind",
            "label_set",
            *(["recordings"] if "recordings" in config else []),
        )
        | switches(w, "probes"),
    threads: CONFIG.probe.threads
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src attributions --game {wildcards.game} --policy {wildcards.policy} --protocol {wildcards.protocol}"
        " --method {wildcards.method} --seed {wildcards.seed} --frames {input.frames} --split {input.split}"
        " --weights {input.encoder} --out {output} > {log} 2>&1"


rule saliency_sheets:
    input:
        layout.ATTRIBUTIONS.path,
    output:
        multiext(SALIENCY, ".pdf", ".png"),
    log:
        "logs/saliency/sheets/{policy}/{protocol}/{method}/{game}-s{seed}.log",
    params:
        code=code("saliency_sheets", "report.figures.attributions"),
        out=lambda w, output: os.path.splitext(output[0])[0],
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src saliency {input} --out {params.out} > {log} 2>&1"


rule saliency:
    input:
        [f"{file.removesuffix('.safetensors')}.png" for file in layout.ATTRIBUTIONS.files(CONFIG)],
