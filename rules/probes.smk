# Reading out: a probe for each state variable on the frozen encoder.
# What each kind of probe is made of; a supervised method brings its own, and the majority learns nothing.
LEARNED = ["epochs", "patience", "batch_size", "eps", "plateau_patience", "plateau_factor", "min_lr", "threads"]
OF_PROBE = {"linear": LEARNED, "observed": LEARNED, "mlp": [*LEARNED, "hidden"], "logistic": ["logistic", "threads"]}


rule probes:
    input:
        unpack(weights_to_probe),
        unpack(files_of_its_own),
        frames=lambda w: frames(w, "probe"),
        split=layout.SPLIT.replace("{purpose}", "probe"),
        labels=ANNOTATIONS,
    output:
        layout.PROBE,
    log:
        "logs/probes/{policy}/{protocol}/{method}/{probe}/{game}-s{seed}.log",
    params:
        code=lambda w: code(f"probes.{w.probe}", "probes.probe"),
        settings=lambda w: leaves(
            config,
            "probe.classes",
            "probe.batch_size",
            *(f"probe.{name}" for name in OF_PROBE.get(w.probe, [])),
            f"methods.{w.method}.kind",
            "label_set",
            "device",
        )
        | switches(w, "probes"),
        weights=lambda w, input: options(input, weights="encoder"),
    threads: CONFIG.probe.threads
    resources:
        gpu=lambda w: int(ON_CUDA and w.probe not in ("majority", "logistic")),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src probes --game {wildcards.game} --policy {wildcards.policy} --protocol {wildcards.protocol}"
        " --method {wildcards.method} --seed {wildcards.seed} --probe {wildcards.probe} --frames {input.frames}"
        " --split {input.split} {params.weights} --out {output} > {log} 2>&1"
