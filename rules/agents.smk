# Learning by playing, or taking what others published. A rule for each agent, since agents keep different weights.
EVERY_AGENT = CONFIG.every_agent
AGENT_PATHS = {agent: layout.AGENTS.path.replace("{agent}", agent) for agent in EVERY_AGENT}


for _agent, _row in EVERY_AGENT.items():

    # The state to resume from is kept outside of results, and removed at the end.
    rule:
        name:
            f"agents_{_agent}"
        input:
            list(_row.files.values()),
            **encoder_to_see_through(_agent),
        output:
            weights=[AGENT_PATHS[_agent].replace("{weights}", name) for name in _row.kept],
            history=layout.AGENT_HISTORIES.path.replace("{agent}", _agent),
        wildcard_constraints:
            game="|".join(_row.games(CONFIG.games)),
        log:
            f"logs/agents/{_agent}/{{game}}-s{{seed}}.log",
        benchmark:
            f"logs/agents/{_agent}/{{game}}-s{{seed}}.tsv"
        params:
            agent=_agent,
            code=agent_code("agents", _agent, "agents.published" if _row.published else "agents.train"),
            settings=leaves(config, *agent_settings(_agent), "device"),
            encoder=lambda w, input: options(input, encoder="encoder"),
            out=lambda w, output: os.path.dirname(output.history),
            working=f"checkpoints/agents/{_agent}/{{game}}-s{{seed}}",
        threads: _row.threads
        resources:
            gpu=int(ON_CUDA and _row.published is None),
        conda:
            ENVIRONMENT
        shell:
            "python -m workflow_src published-agents --agent {params.agent} --game {wildcards.game} --seed {wildcards.seed}"
            " --out {params.out} --history {output.history} --working {params.working} > {log} 2>&1"
            if _row.published
            else "python -m workflow_src agents --agent {params.agent} --game {wildcards.game} --seed {wildcards.seed}"
            " --out {params.out} --history {output.history} --working {params.working} {params.encoder} --workers {threads} 2>&1 | tee {log} >&2"

    rule:
        name:
            f"evaluations_{_agent}"
        input:
            list(_row.files.values()),
            **encoder_to_see_through(_agent),
            weights=[AGENT_PATHS[_agent].replace("{weights}", name) for name in _row.kept],
        output:
            layout.EVALUATIONS.path.replace("{agent}", _agent),
        wildcard_constraints:
            game="|".join(_row.games(CONFIG.games)),
        log:
            f"logs/evaluations/{_agent}/{{game}}-s{{seed}}.log",
        params:
            agent=_agent,
            code=agent_code("evaluations", _agent, "agents.evaluate"),
            settings=leaves(config, *agent_settings(_agent), "device"),
            encoder=lambda w, input: options(input, encoder="encoder"),
        threads: _row.threads
        conda:
            ENVIRONMENT
        shell:
            "python -m workflow_src evaluations --agent {params.agent} --game {wildcards.game} --seed {wildcards.seed}"
            " --out {output} --workers {threads} {params.encoder} {input.weights} > {log} 2>&1"


    rule:
        name:
            f"recordings_{_agent}"
        input:
            list(_row.files.values()),
            weights=AGENT_PATHS[_agent],
        output:
            layout.RECORDINGS.path.replace("{agent}", _agent),
        wildcard_constraints:
            game="|".join(_row.games(CONFIG.games)),
            weights="last|best",
        log:
            f"logs/recordings/{_agent}/{{game}}-s{{seed}}/{{weights}}.log",
        params:
            agent=_agent,
            code=agent_code("recordings", _agent, "agents.recording"),
            settings=leaves(
                config, *agent_settings(_agent), *(["recordings"] if "recordings" in config else [])
            ),
        conda:
            ENVIRONMENT
        shell:
            "python -m workflow_src recordings --agent {params.agent} --game {wildcards.game} --seed {wildcards.seed}"
            " --out {output} {input.weights} > {log} 2>&1"


# Films of agents at play, with what their values depend on, and the labels of the game.
rule films:
    input:
        layout.RECORDINGS.path,
    output:
        layout.FILMS.path,
    log:
        "logs/films/{agent}/{game}-s{seed}/{weights}.log",
    params:
        code=lambda w: code("films", "report.agents.film") | (labels(w.game) if w.game in CONFIG.games else {}),
        settings=lambda w: leaves(config, "label_set"),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src films {input} --out {output} > {log} 2>&1"


# The same with sound: `snakemake movies`, a target of its own, since it needs PyAV.
rule movies_of_agents:
    input:
        layout.RECORDINGS.path,
    output:
        layout.FILMS.path.replace(".gif", ".mp4"),
    log:
        "logs/movies/{agent}/{game}-s{seed}/{weights}.log",
    params:
        code=lambda w: code("movies", "report.agents.movie") | (labels(w.game) if w.game in CONFIG.games else {}),
        settings=lambda w: leaves(config, "label_set"),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src movies {input} --out {output} > {log} 2>&1"


rule movies:
    input:
        [
            file.replace(".gif", ".mp4")
            for file in layout.FILMS.files(CONFIG)
            if CONFIG.agents[layout.FILMS.parse(file)["agent"]].environment.kind == "atari"
        ],


# `snakemake agents`: their table and figure, and all that these need.
rule agents:
    input:
        histories=layout.AGENT_HISTORIES.files(CONFIG),
        evaluations=layout.EVALUATIONS.files(CONFIG),
        reference=of_checkout(ROOT / "reference/agent_scores.csv"),
    output:
        shown(*(one for one in catalogue.select(source="agents") if one.when(CONFIG))),
    log:
        "logs/agents.log",
    params:
        code=code("agent_scores", "report.agents.write", "layout", *(one.module for one in catalogue.select(source="agents"))),
        settings=lambda w: leaves(config, "games", "seeds", "agents", "agent_protocols"),
        reference=lambda w, input: os.path.dirname(input.reference[0]),
    conda:
        ENVIRONMENT
    shell:
        "python -m workflow_src agent-scores --reference {params.reference:q} --tables results/tables --figures results/figures > {log} 2>&1"
