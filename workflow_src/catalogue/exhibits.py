"""The tables and figures of a run, in the order of the page and the paper.

To add one, write a file in ``report/tables/`` or ``report/figures/``, named after its key, and add
an entry here.
"""

from typing import TYPE_CHECKING

from workflow_src.catalogue.exhibit import Exhibit

if TYPE_CHECKING:
    from workflow_src.config.run import Config


def ablated(config: "Config") -> list[str]:
    """List the run's ablations of ST-DIM and ST-DIM itself, from the one that has least of it.

    Nothing where the run has only one of the two.
    """
    kinds = ("dim", "global-t-dim", "global-local-t-dim", "jsd-st-dim", "st-dim")
    rows = config.methods.items()
    found = [method for kind in kinds for method, row in rows if row.kind == kind]
    present = {config.methods[method].kind for method in found}
    return found if "st-dim" in present and len(present) > 1 else []


def _decodes(config: "Config") -> bool:
    return any(row.decodes is not None for row in config.methods.values())


def _plays_games(config: "Config") -> bool:
    return any(row.environment.kind == "atari" for row in config.agents.values())


def _has_conditioned(config: "Config") -> bool:
    """Whether an encoder is probed as it is and on another scale."""
    return any(row.of is not None for row in config.methods.values()) and _is_comparable(config)


def _has_later(config: "Config") -> bool:
    """Whether a method came after the paper, or is an encoder of one's own."""
    earlier = {"majority", "random-cnn", "vae", "pixel-pred", "cpc", "st-dim", "supervised"}
    earlier |= {"dim", "global-t-dim", "global-local-t-dim", "jsd-st-dim", "supervised-shared"}
    return any(
        row.kind not in earlier | {"conditioned", "agent"} for row in config.methods.values()
    )


def _is_comparable(config: "Config") -> bool:
    """Whether a random agent or PPO played, for whom there are published values of these labels."""
    rows = config.policies.values()
    players = [config.agents[row.agent].kind if row.agent else row.kind for row in rows]
    return config.label_set == "paper-2019" and bool({"random", "ppo"} & set(players))


EXHIBITS = (
    Exhibit(
        "table1_variables_by_category",
        "table",
        "Variables by category",
        "Annotated state variables of each game by category, with the published total. "
        "A variable can be in several categories, or in none.",
        section="benchmark",
        sentence="counts the state variables of each game by category",
        file="tables/variables_by_category",
    ),
    Exhibit(
        "table2_f1_by_game",
        "table",
        "F1 by game",
        "Probe F1 by game and method, mean over categories and seeds, with the published values. "
        "The rows named mean are over the games of the run.",
        section="results",
        sentence="gives F1 by game and method, with the published values",
        file="tables/by_game",
        options={"metric": "f1"},
    ),
    Exhibit(
        "f1_by_game",
        "figure",
        "F1 by game",
        "Probe F1 by game and method, mean over categories and seeds. "
        "A dash on grey: there is no score.",
        section="results",
        main=True,
        sentence="shows the same as colours",
    ),
    Exhibit(
        "table2_accuracy_by_game",
        "table",
        "Accuracy by game",
        "Probe accuracy by game and method, mean over categories and seeds, with the values of the "
        "authors' notebook.",
        section="appendix",
        sentence="gives accuracy by game and method",
        file="tables/by_game",
        options={"metric": "accuracy"},
    ),
    Exhibit(
        "table3_f1_by_category",
        "table",
        "F1 by category",
        "Probe F1 by category of variables and method, mean over the games that have the category, "
        "with the published values.",
        section="results",
        main=True,
        sentence="gives F1 by category of variables",
        file="tables/by_category",
        options={"metric": "f1"},
    ),
    Exhibit(
        "f1_by_category",
        "figure",
        "F1 by category",
        "Probe F1 by category of variables and method, mean over games and seeds. "
        "A dash on grey: there is no score.",
        section="results",
        main=True,
        sentence="shows F1 by category",
    ),
    Exhibit(
        "table3_accuracy_by_category",
        "table",
        "Accuracy by category",
        "Probe accuracy by category of variables and method, mean over the games that have the "
        "category, with the values of the authors' notebook.",
        section="appendix",
        sentence="gives accuracy by category",
        file="tables/by_category",
        options={"metric": "accuracy"},
    ),
    Exhibit(
        "table4_f1_by_variable/{game}",
        "table",
        "All variables of {game}",
        "Probe F1 of every annotated state variable of one game, by method. "
        "Empty where the entropy filter dropped the variable.",
        section="appendix",
        sentence="gives F1 of every variable of one game",
        file="tables/by_variable",
        published_game="boxing",
    ),
    Exhibit(
        "agreement",
        "table",
        "Agreement with the published numbers",
        "F1 of every variable against the published value, by method: the share that is near, the "
        "mean difference with its bootstrap interval over games, and what is known to explain it.",
        section="published",
        main=True,
        sentence="counts how many values agree with the published ones, by method",
        when=_is_comparable,
        source="agreement",
        file="agreement/table",
        heading="Agreement",
    ),
    Exhibit(
        "agreement_variables",
        "table",
        "Every variable beside its published value",
        "F1 of each variable, ours and the published one, the largest differences first.",
        section="published",
        sentence="has the variables that differ most",
        when=_is_comparable,
        source="agreement",
        file="agreement/variables",
        heading="Agreement",
    ),
    Exhibit(
        "agreement",
        "figure",
        "Agreement with the published numbers",
        "F1 of each variable, ours against the published one: a dot a variable, a panel a method, "
        "with the share within the band.",
        section="published",
        main=True,
        sentence="plots each variable against its published value",
        when=_is_comparable,
        source="agreement",
        file="agreement/figure",
        heading="Agreement",
    ),
    Exhibit(
        "iqm",
        "table",
        "Interquartile means",
        "Interquartile mean of F1 (mean over categories) over all games and seeds, by method. "
        "With several seeds, a bootstrap interval that resamples seeds within each game.",
        section="results",
        sentence="gives interquartile means, which a single easy or hard game does not move",
    ),
    Exhibit(
        "iqm",
        "figure",
        "Interquartile means",
        "Interquartile mean of the probe F1 over games and seeds, by method. "
        "Lines are bootstrap intervals, where there are several seeds.",
        section="results",
        main=True,
        sentence="plots them",
    ),
    Exhibit(
        "conditioning",
        "table",
        "Conditioning of features",
        "How features vary over the probe's train frames: the root mean squares of their means and "
        "of their standard deviations, and the effective rank of their covariance; with F1. A "
        "probe that has not converged reads small and correlated features slowly.",
        section="conditioning",
        sentence="says how well the features of each encoder are conditioned",
    ),
    Exhibit(
        "conditioning",
        "figure",
        "What a probe reads of the same features on another scale",
        "F1 (mean over categories) of an encoder, and of the same features standardised or "
        "whitened without labels. Published ST-DIM beside it, where the same game was published.",
        section="conditioning",
        main=True,
        sentence="shows what scale and whitening are worth",
        when=_has_conditioned,
        source="agreement",
        file="figures/conditioning",
    ),
    Exhibit(
        "f1_by_probe",
        "table",
        "F1 by probe",
        "Probe F1 by kind of probe and by type of mean: over categories (the headline), over "
        "variables, and over categories weighted by their number of variables.",
        section="results",
        sentence="compares kinds of probes and types of means",
    ),
    Exhibit(
        "regression",
        "table",
        "Values as numbers",
        "How far off the values are that a linear regression reads from the features, by category: "
        "R2, the mean absolute error (for positions in pixels) and the share of frames within 2.",
        section="results",
        sentence="says how far off values are that are read as numbers",
        when=lambda config: "regression" in config.probe.kinds,
    ),
    Exhibit(
        "ablations",
        "figure",
        "Ablations",
        "Probe F1 by category of ST-DIM and its ablations. "
        "Error bars are one standard deviation over seeds.",
        section="results",
        main=True,
        sentence="compares the ablations",
        when=lambda config: bool(ablated(config)),
    ),
    Exhibit(
        "later_results",
        "table",
        "Beside later results",
        "Mean F1 by number of features: the paper's, what was published later, and this run's. "
        "Label sets, games and encoders differ; one column is over the same games.",
        section="published",
        sentence="sets this run beside what was published later",
        when=_has_later,
    ),
    Exhibit(
        "later_results",
        "figure",
        "F1 by number of features",
        "Mean F1 against the number of features: the paper's, what was published later, and this "
        "run's. Each marker is a source, with its label set and its number of games.",
        section="published",
        main=True,
        sentence="plots F1 against the number of features",
        when=lambda config: _has_later(config) and _is_comparable(config),
        source="agreement",
        file="figures/later_results",
    ),
    Exhibit(
        "reproduction_pong",
        "table",
        "Pong, reproduced",
        "F1 and accuracy in Pong by category, compared with an independent reproduction "
        "(NeurIPS 2019 Reproducibility Challenge).",
        section="published",
        sentence="compares our results with an earlier reproduction",
        when=lambda config: "pong" in config.games,
    ),
    Exhibit(
        "learning_curves",
        "figure",
        "Learning curves",
        "Training and validation loss by epoch: a panel for each method that learns, a line for "
        "each game and seed. Epoch zero is the untrained model.",
        section="appendix",
        sentence="shows the training and validation losses",
        source="histories",
    ),
    Exhibit(
        "learning_curves/{game}",
        "figure",
        "Learning curves of {game}",
        "Training and validation loss by epoch: a panel for each method that learns, a line for "
        "each seed. Epoch zero is the untrained model.",
        source="histories",
        game_part="learning",
    ),
    Exhibit(
        "ledger",
        "table",
        "Ledger of quirks",
        "What each quirk of the published code is worth: F1 with one quirk changed, minus F1 of "
        "the unchanged protocol.",
        section="ledger",
        sentence="lists the differences",
        when=lambda config: "ledger" in config.studies,
        source="ledger",
        file="studies/ledger",
        heading="Ledger",
    ),
    Exhibit(
        "ledger",
        "figure",
        "Ledger of quirks",
        "What each quirk of the published code is worth: F1 with one quirk changed, minus F1 of "
        "the unchanged protocol, by method.",
        section="ledger",
        main=True,
        sentence="plots them",
        when=lambda config: "ledger" in config.studies,
        source="ledger",
        file="studies/ledger",
        heading="Ledger",
    ),
    Exhibit(
        "scaling",
        "table",
        "F1 by number of frames",
        "Probe F1 (mean over categories) by number of frames collected for the encoder.",
        section="results",
        sentence="gives F1 by number of frames collected for the encoder",
        when=lambda config: "scaling" in config.studies,
        source="scaling",
        file="studies/scaling",
        heading="Scaling",
    ),
    Exhibit(
        "scaling",
        "figure",
        "F1 by number of frames",
        "Probe F1 (mean over categories) by number of frames collected for the encoder.",
        section="results",
        main=True,
        sentence="plots it",
        when=lambda config: "scaling" in config.studies,
        source="scaling",
        file="studies/scaling",
        heading="Scaling",
    ),
    Exhibit(
        "convergence",
        "table",
        "F1 by epochs of the probe",
        "Probe F1 (mean over categories) by the number of epochs for which probes are fitted.",
        section="conditioning",
        sentence="gives F1 by the epochs for which probes are fitted",
        when=lambda config: "convergence" in config.studies,
        source="convergence",
        file="studies/convergence",
        heading="Convergence",
    ),
    Exhibit(
        "convergence",
        "figure",
        "F1 by epochs of the probe",
        "Probe F1 (mean over categories) by the number of epochs for which probes are fitted.",
        section="conditioning",
        main=True,
        sentence="plots it",
        when=lambda config: "convergence" in config.studies,
        source="convergence",
        file="studies/convergence",
        heading="Convergence",
    ),
    Exhibit(
        "frames_by_policy",
        "table",
        "Frames by policy",
        "What is in the frames that each policy played: how many are distinct, how many test "
        "frames occur in train or validation, the variables that stay, and the games.",
        section="policies",
        main=True,
        sentence="says what is in the frames of each policy",
        when=lambda config: len(config.policies) > 1,
        source="frames",
        heading="Policies",
    ),
    Exhibit(
        "transfer",
        "table",
        "F1 by policy learned from and probed on",
        "Probe F1 (mean over categories) of encoders that learned from one policy's frames, on "
        "the frames of each policy.",
        section="policies",
        sentence="gives F1 of each encoder on the frames of each policy",
        when=lambda config: "transfer" in config.studies,
        source="transfer",
        file="studies/transfer",
        heading="Policies",
    ),
    Exhibit(
        "transfer",
        "figure",
        "F1 by policy learned from and probed on",
        "Probe F1 (mean over categories) of encoders that learned from one policy's frames, on "
        "the frames of each policy.",
        section="policies",
        main=True,
        sentence="plots it",
        when=lambda config: "transfer" in config.studies,
        source="transfer",
        file="studies/transfer",
        heading="Policies",
    ),
    Exhibit(
        "control",
        "table",
        "Agents on frozen encoders",
        "F1 of each encoder, and the score of an agent that sees the game through it: the layers "
        "after the features are learned, with the same budget for all.",
        section="control",
        sentence="gives F1 of each encoder and the score of the agent that sees through it",
        when=lambda config: "control" in config.studies,
        source="control",
        file="studies/control",
        heading="Control",
    ),
    Exhibit(
        "control_correlation",
        "table",
        "Whether F1 predicts control",
        "Rank correlation, over encoders within a game, of an agent's score with F1 of the encoder "
        "that it sees through: of each category, and of their mean.",
        section="control",
        main=True,
        sentence="gives the rank correlation of both, by category of variables",
        when=lambda config: "control" in config.studies,
        source="control",
        file="studies/control_correlation",
        heading="Control",
    ),
    Exhibit(
        "control",
        "figure",
        "Whether F1 predicts control",
        "Score of an agent against F1 of the frozen encoder that it sees through: a panel for each "
        "game, a point for each encoder. The dashed line is random play.",
        section="control",
        main=True,
        sentence="plots them",
        when=lambda config: "control" in config.studies,
        source="control",
        file="studies/control",
        heading="Control",
    ),
    Exhibit(
        "agent_scores",
        "table",
        "Scores of agents",
        "Raw scores of agents in evaluation games, by game, with those of random play, of a human "
        "tester and of published agents; normalised, random play is 0 and the human tester 1.",
        section="agents",
        main=True,
        sentence="gives their scores beside published ones",
        when=lambda config: bool(config.agents),
        source="agents",
        file="agents/agent_scores",
        heading="Agents",
    ),
    Exhibit(
        "agent_curves",
        "figure",
        "Learning curves of agents",
        "Score of an evaluation by emulator frames learned from: a panel for each game, a line for "
        "each agent. Shaded: the range over seeds.",
        section="agents",
        sentence="shows how they learned",
        when=lambda config: bool(config.agents),
        source="agents",
        file="agents/agent_curves",
        heading="Agents",
    ),
    Exhibit(
        "agent_comparison",
        "table",
        "Agents over games",
        "Human-normalised scores over all games: interquartile mean, median, mean and optimality "
        "gap of this run's agents and of published ones, with intervals over seeds.",
        section="agents",
        sentence="compares them over games",
        when=_plays_games,
        source="agents",
        file="agents/agent_comparison",
        heading="Agents",
    ),
    Exhibit(
        "agent_improvement",
        "table",
        "Probability of improvement",
        "The chance that a run of an agent scores more than one of another, the mean over games.",
        section="appendix",
        sentence="gives the chance that an agent scores more than another",
        when=_plays_games,
        source="agents",
        file="agents/agent_improvement",
        heading="Agents",
    ),
    Exhibit(
        "performance_profiles",
        "figure",
        "Performance profiles of agents",
        "The share of runs, over games and seeds, that score more than a human-normalised score. "
        "Dashed: a published DQN after several numbers of frames.",
        section="agents",
        main=True,
        sentence="shows how many runs score more than any score",
        when=_plays_games,
        source="agents",
        file="agents/performance_profiles",
        heading="Agents",
    ),
    Exhibit(
        "audit",
        "table",
        "Label audit",
        "How many annotated variables of each game and label set are alive, suspicious or "
        "constant.",
        section="audit",
        sentence="counts variables by verdict, in each game and label set",
        source="audit",
        heading="Label audit",
    ),
    Exhibit(
        "audit_variables",
        "table",
        "Label audit: variables",
        "The annotated variables that are constant or suspicious, and why.",
        source="audit",
        extensions=(".csv",),
        heading="Label audit",
    ),
    Exhibit(
        "frames/{game}",
        "audit",
        "Frames of {game}",
        "Frames with their labels: a sheet of distant frames, and an animation of consecutive "
        "ones.",
        source="audit",
        extensions=(".gif", ".png"),
        game_part="frames",
    ),
    Exhibit(
        "{label_set}/{game}",
        "audit",
        "Labels of {game}, {label_set}",
        "What each annotated RAM byte holds while the game is played, what changes when it is "
        "written, and the verdict: alive, constant or suspicious.",
        source="audit",
        game_part="labels",
    ),
    Exhibit(
        "readings/{game}",
        "figure",
        "What probes read in {game}",
        "Frames of a test episode; for each variable its value in the RAM, and what the linear "
        "probes of two methods read: the best, and the untrained encoder or the worst.",
        source="readings",
        extensions=(".gif",),
        game_part="probes",
    ),
    Exhibit(
        "reconstructions/{game}",
        "figure",
        "Reconstructions of {game}",
        "Validation frames and, below them, the output of each method's decoder.",
        section="appendix",
        sentence="shows the output of the decoders",
        when=_decodes,
        source="examples",
        game_part="reconstructions",
    ),
)


# Made when asked for, by `snakemake paper`: not part of a run.
PAPER = Exhibit(
    "paper",
    "document",
    "Paper",
    "The paper of this run. All its numbers, tables and figures come from files of the run.",
)
