# Tidying: where each frame goes, and which variables stay.
rule splits:
    input:
        unpack(frames_to_exclude),
        frames=lambda w: frames(w, w.purpose),
    output:
        layout.SPLITS.path,
    log:
        "logs/splits/{policy}/{protocol}/{purpose}/{game}-s{seed}.log",
    params:
        code=lambda w: code("splits", "splits.split") | (labels(w.game) if w.purpose == "probe" else {}),
        settings=lambda w: leaves(
            config, f"splits.{w.purpose}", *(["splits.min_entropy", "label_set"] if w.purpose == "probe" else [])
        )
        | switches(w, "splits"),
        exclude=lambda w, input: options(input, exclude="exclude"),
    priority: 3
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src splits --game {wildcards.game} --policy {wildcards.policy} --protocol {wildcards.protocol}"
        " --purpose {wildcards.purpose} --seed {wildcards.seed} --frames {input.frames} {params.exclude} --out {output}"
        " > {log} 2>&1"
