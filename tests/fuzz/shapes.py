"""Inputs that are built rather than changed: what hypothesis draws for each kind of reader.

Words in any order reach the parsers; data whose keys are those of the schemas reaches what lies behind them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import LONGEST
from tests.fuzz.trial import Reader

_YAML = frozenset({"appup", "draft", "appup-to-erlang", "release", "plan", "route", "document", "plan-on-wire"})
_KEYS = (
    *(
        "application",
        "vsn",
        "up",
        "down",
        "from",
        "to",
        "regex",
        "instructions",
        "name",
        "applications",
        "start",
        "args",
    ),
    *("modules", "type", "direction", "base", "goal", "script", "way_back", "warnings", "hops", "root", "kind", "at"),
    *("fingerprints", "extensions", "appup", "update", "load_module", "add_module", "delete_module", "apply", "module"),
    *("function", "undo", "window", "change", "advanced", "depends", "timeout", "pre_purge", "post_purge", "mod_type"),
    *("keep", "instances", "migrate", "suspend", "resume", "code_change", "mode", "extra", "load", "remove", "purge"),
    *("load_object_code", "point_of_no_return", "stop", "add_application", "string", "binary", "tuple", "map", "list"),
    *("tail", "fun", "code", "message", "severity", "hint", "erts", "sync_nodes", "id", "nodes"),
)
_values = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.integers(-(10**30), 10**30), st.floats(), st.text(max_size=8)),
    st.sampled_from(
        ["1", "2", "1.10", "shop", "shop.app", "up", "down", "inverse", "infinity", "soft", "permanent", "m"]
    ),
    st.sampled_from(
        ["supervisor", "soft_purge", "brutal_purge", "x.yaml:1:1", "python", "beam", "error", "\ud800", ""]
    ),
)
_keys = st.sampled_from(_KEYS) | st.text(max_size=4)
data = st.recursive(
    _values,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=5),
    max_leaves=25,
)


def inputs(reader: Reader) -> st.SearchStrategy[bytes]:
    """Return what to give to a reader."""
    words = st.sampled_from([*reader.words, *reader.seeds])
    built = st.lists(words | st.binary(max_size=6), max_size=12).map(b"".join)
    if reader.name in _YAML:
        built = st.one_of(data.map(_json), data.map(_json), built)
    return built.map(lambda found: found[:LONGEST])


def _json(found: object) -> bytes:
    """Return data as JSON, which is YAML; what is no JSON (infinite numbers, surrogates) is left in it."""
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "surrogatepass")


def drawn(reader: Reader, count: int, chance: int, give: Callable[[bytes], None]) -> None:
    """Give *count* inputs that hypothesis draws."""

    @seed(chance)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(reader))
    def run(found: bytes) -> None:
        give(found)

    run()


def batches(total: int, size: int) -> Iterator[int]:
    """Yield sizes that add up to *total*: hypothesis keeps what it has drawn, so it begins anew now and then."""
    while total > 0:
        yield min(total, size)
        total -= size
