# Tidying: where each frame goes, and which variables stay.
def frames_to_exclude(wildcards):
    """The encoder's frames, where the protocol keeps them out of the probe's test part (Q11)."""
    protocol = CONFIG.protocols[wildcards.protocol].splits
    if wildcards.purpose == "probe" and protocol.remove_pretrain_duplicates:
        return {"exclude": EPISODE.replace("{purpose}", "pretrain")}
    return {}


rule splits:
    input:
        unpack(frames_to_exclude),
        frames=EPISODE,
        code=code("splits.split"),
        labels=os.path.relpath(ROOT / "workflow_src/ari/annotations.csv"),
    output:
        SPLIT,
    log:
        "logs/splits/{policy}/{protocol}/{purpose}/{game}-s{seed}.log",
    params:
        lambda w: leaves(
            config,
            f"splits.{w.purpose}",
            f"protocols.{w.protocol}.splits",
            *(["splits.min_entropy", "label_set"] if w.purpose == "probe" else []),
        ),
        exclude=lambda w, input: f"--exclude {input.exclude}" if "exclude" in input.keys() else "",
    shell:
        "{PYTHON} splits --game {wildcards.game} --policy {wildcards.policy} --protocol {wildcards.protocol}"
        " --purpose {wildcards.purpose} --seed {wildcards.seed} --frames {input.frames} {params.exclude} --out {output}"
        " > {log} 2>&1"
