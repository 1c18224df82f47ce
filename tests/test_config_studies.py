"""The studies: the protocols that the ledger and scaling derive from the run's."""

import pytest
from configs import DIFFER, PAPER, put, refusal

from workflow_src.config.episodes import Policy
from workflow_src.config.methods import Method
from workflow_src.config.protocols import QUIRKS
from workflow_src.config.run import Config, defaults


def switches(protocol):
    """A protocol as {(section, switch): value}."""
    return {
        (section, name): value
        for section, row in protocol.model_dump().items()
        for name, value in row.items()
    }


def test_every_switch_is_of_one_quirk():
    named = [switch for quirk in QUIRKS.values() for switch in quirk]
    assert len(set(named)) == len(named)
    assert set(named) == set(switches(defaults({}).protocols["paper"]))
    assert set(QUIRKS) == {"Q9", *DIFFER}
    assert QUIRKS["Q6"] == [("methods", "keep"), ("probes", "keep")]


def test_each_variant_is_the_base_with_one_quirk_of_the_target():
    loaded = defaults({})
    base, target = (switches(loaded.protocols[name]) for name in ("paper", "corrected"))
    assert [variant.quirk for variant in loaded.derived.ledger.variants] == DIFFER
    for variant in loaded.derived.ledger.variants:
        found = switches(variant.row)
        differing = {switch for switch in base if found[switch] != base[switch]}
        assert differing == variant.changed == set(QUIRKS[variant.quirk])
        assert all(found[switch] == target[switch] for switch in differing)
        assert variant.protocol == f"paper-{variant.quirk.lower()}"
        assert loaded.protocol(variant.protocol) is variant.row
    # Together they are the target.
    together = base | {
        switch: switches(v.row)[switch]
        for v in loaded.derived.ledger.variants
        for switch in v.changed
    }
    assert together == target


def test_a_variant_changes_only_the_switches_that_differ():
    loaded = defaults(
        {
            "protocols": {
                "corrected": {
                    "methods": {"keep": "last"},
                    "probes": {"lr": 5e-4},
                    "splits": {"split_by": "life"},
                }
            }
        }
    )
    changed = {variant.quirk: variant.changed for variant in loaded.derived.ledger.variants}
    assert changed["Q6"] == {("probes", "keep")}
    assert changed["Q9"] == {("probes", "lr")}
    assert changed["Q12"] == {("splits", "keep_unfinished")}
    assert loaded.protocol("paper-q9").probes.lr == 5e-4


def test_the_ledger_goes_the_other_way_too():
    loaded = defaults({"ledger": {"base": "corrected", "target": "paper"}})
    assert loaded.protocol("corrected-q1").splits.shuffle_episodes is False
    assert loaded.protocol("corrected-q12").splits.model_dump() == loaded.protocols[
        "corrected"
    ].splits.model_dump() | {
        "split_by": "life",
        "keep_unfinished": True,
    }


def test_a_run_without_a_ledger_has_no_variants():
    loaded = defaults({"ledger": None})
    assert loaded.ledger is None and "ledger" not in loaded.derived.found
    assert "has no section ledger: copy that section" in refusal(loaded.derived.require, "ledger")
    assert (
        loaded.derived.seed_protocol("paper")
        == loaded.derived.encoder_protocol("paper", loaded.methods["st-dim"])
        == "paper"
    )
    assert loaded.playing_policy("random_agent", "paper") == "random_agent"
    assert "unknown protocol 'paper-q5'" in refusal(loaded.protocol, "paper-q5")


def test_protocols_that_do_not_differ_have_no_variants():
    assert defaults({"ledger": {"target": "paper"}}).derived.ledger.variants == ()


def test_the_names_of_variants_are_the_ledger_s():
    protocol = PAPER["protocols"]["paper"]
    # Q9 has no variant, and nothing else has a name like it.
    for name in ("paper-q9", "corrected-q5", "paper-q3"):
        assert name in Config.check(put(f"protocols.{name}", protocol), "x").protocols
    content = put("protocols.paper-q5", protocol)
    content["ledger"] = None
    assert (
        Config.check(content, "x").protocol("paper-q5")
        == Config.check(PAPER, "x").protocols["paper"]
    )


def test_seeds_are_those_of_the_base():
    loaded = defaults({})
    assert {
        loaded.derived.seed_protocol(variant.protocol) for variant in loaded.derived.ledger.variants
    } == {"paper"}
    assert (loaded.derived.seed_protocol("paper"), loaded.derived.seed_protocol("corrected")) == (
        "paper",
        "corrected",
    )


@pytest.mark.parametrize(
    ("method", "as_the_base"),
    [("st-dim", {"Q9", "Q11", "Q15"}), ("supervised", {"Q9"}), ("supervised-shared", {"Q9"})],
)
def test_an_encoder_is_the_base_s_where_a_quirk_does_not_touch_it(method, as_the_base):
    loaded = defaults({"protocols": {"corrected": {"probes": {"lr": 5e-4}}}})
    assert [variant.quirk for variant in loaded.derived.ledger.variants] == [
        *DIFFER[:7],
        "Q9",
        *DIFFER[7:],
    ]
    found = {
        variant.quirk: loaded.derived.encoder_protocol(variant.protocol, loaded.methods[method])
        for variant in loaded.derived.ledger.variants
    }
    assert found == {
        v.quirk: "paper" if v.quirk in as_the_base else v.protocol
        for v in loaded.derived.ledger.variants
    }
    assert [
        loaded.derived.encoder_protocol(name, loaded.methods[method]) for name in loaded.protocols
    ] == ["paper", "corrected"]


def test_an_entropy_filter_alone_touches_supervised_methods_only():
    loaded = defaults({"protocols": {"corrected": {"splits": {"min_episode_frames": 65}}}})
    assert next(v for v in loaded.derived.ledger.variants if v.quirk == "Q8").changed == {
        ("splits", "entropy_of")
    }
    assert loaded.derived.encoder_protocol("paper-q8", loaded.methods["st-dim"]) == "paper"
    assert loaded.derived.encoder_protocol("paper-q8", loaded.methods["supervised"]) == "paper-q8"


def test_a_quirk_of_both_trains_again():
    loaded = defaults({"protocols": {"corrected": {"methods": {"keep": "last"}}}})
    assert (
        loaded.derived.encoder_protocol("paper-q6", loaded.methods["st-dim"]) == "paper"
    )  # the probes' alone
    assert defaults({}).derived.encoder_protocol("paper-q6", Method(kind="st-dim")) == "paper-q6"


def test_protocols_without_q2_play_with_no_ops():
    loaded = defaults({"policies": {"other": {"kind": "random", "noop": True}}})
    for protocol in [
        *loaded.protocols,
        *(variant.protocol for variant in loaded.derived.ledger.variants),
    ]:
        asked = protocol in ("corrected", "paper-q2")
        assert loaded.playing_policy("random_agent", protocol) == "random_agent" + "-noop" * asked
        assert loaded.playing_policy("other", protocol) == "other"
    assert loaded.policy("random_agent") == Policy(kind="random", noop=False)
    assert loaded.policy("random_agent-noop") == Policy(kind="random", noop=True)
    assert loaded.policy("other") == Policy(kind="random", noop=True)
    assert "unknown policy 'other-noop' (did you mean " in refusal(loaded.policy, "other-noop")


@pytest.mark.parametrize("noop", [False, True])
def test_the_name_of_a_policy_with_no_ops_is_taken(noop):
    said = refusal(defaults, {"policies": {"random_agent-noop": {"kind": "random", "noop": noop}}})
    assert said == (
        "settings: policies: random_agent-noop is reserved for random_agent with no-ops; rename it"
    )


def test_a_method_stands_once_in_the_ledger():
    said = refusal(defaults, {"ledger": {"methods": ["st-dim", "random-cnn", "st-dim"]}})
    assert said == "settings: ledger.methods: duplicate entry 'st-dim'; list each once"
