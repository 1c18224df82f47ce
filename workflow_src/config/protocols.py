"""Protocols: every known quirk of the 2019 code as a named switch."""

from workflow_src.config.episodes import EpisodeProtocol
from workflow_src.config.methods import MethodProtocol
from workflow_src.config.probes import ProbeProtocol
from workflow_src.config.section import Section
from workflow_src.config.splits import SplitProtocol


class Protocol(Section):
    """Every known quirk of the 2019 code as a named switch, by step."""

    episodes: EpisodeProtocol
    splits: SplitProtocol
    methods: MethodProtocol
    probes: ProbeProtocol


# Quirk -> its switches as (section, name), by the mark that begins a switch's description.
QUIRKS: dict[str, list[tuple[str, str]]] = {}
for _section, _field in Protocol.model_fields.items():
    for _name, _switch in _field.annotation.model_fields.items():
        QUIRKS.setdefault(_switch.description.partition(":")[0], []).append((_section, _name))
QUIRKS = dict(sorted(QUIRKS.items(), key=lambda row: int(row[0][1:])))
