# Reading out: a probe for each state variable on the frozen encoder.
# The settings that gradient descent needs.
OPTIMIZER = ["epochs", "patience", "batch_size", "eps", "plateau_patience", "plateau_factor", "min_lr"]


def by_gradient_descent(probe):
    """Whether a kind of probe depends on the optimizer's settings and may run on the GPU."""
    return kinds.declared(PROBE_KINDS, probe).get("GRADIENT_DESCENT", True)


def probe_settings(probe):
    """The settings of ``probe`` that a kind of probe depends on; a method's own has none."""
    if probe not in CONFIG.probe.kinds:
        return []
    optimizer = OPTIMIZER if by_gradient_descent(probe) else []
    options = [f"options.{probe}"] if probe in CONFIG.probe.options else []
    return [f"probe.{name}" for name in ("threads", *optimizer, *options)]


def probe_code(wildcards):
    """The code of probing, of the kind of probe and of the encoder's architecture."""
    probe, method = wildcards.probe, wildcards.method
    kind = [provenance.of_kind(PROBE_KINDS, probe)] if probe in CONFIG.probe.kinds else []
    architecture = provenance.of_architecture(CONFIG.methods[method])
    return code(f"probes.{method}.{probe}", "probes.probe", *kind, *architecture) | labels(wildcards.game)


rule probes:
    input:
        unpack(weights_to_probe),
        unpack(files_of_its_own),
        frames=lambda w: frames(w, "probe"),
        split=layout.SPLITS.path.replace("{purpose}", "probe"),
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
