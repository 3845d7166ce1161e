"""Values of the model, all of them."""

from __future__ import annotations

from hypothesis import strategies as st

from relup.diagnostics import Diagnostic, Location
from relup.model import instructions as i
from relup.model.appup import Appup, Entry, VersionPattern
from relup.model.release import Application, Release
from relup.model.relup import Relup
from relup.model.route import Route

names = st.one_of(st.sampled_from(["anemone", "a.b", "1.10", "on", "010", "null", "~", "5", "at"]), st.text(min_size=1))
numbers = st.one_of(st.integers(-(10**40), 10**40), st.floats(allow_nan=False, allow_infinity=False))
data = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(), names),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
positive = st.integers(1, 10**6)
files = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1)
locations = st.none() | st.builds(Location, files, positive, positive)
purges = st.sampled_from(["soft_purge", "brutal_purge"])
timeouts = st.one_of(st.integers(0, 10**9), st.sampled_from(["default", "infinity"]))
some_names = st.lists(names, max_size=3).map(tuple)
changes = st.one_of(st.just(i.Soft()), st.builds(i.Advanced, data), st.just(i.SupervisorChange()))
calls = st.builds(i.Call, names, names, st.lists(data, max_size=2).map(tuple))
types = st.sampled_from(["permanent", "transient", "temporary", "load", "none"])

_module = {"module": names, "depends": some_names, "location": locations}
_purge = {"pre_purge": purges, "post_purge": purges}
_state = {
    "keep": some_names,
    "instances": st.dictionaries(names, names, max_size=3).map(
        lambda found: tuple(i.Migration(cls, function) for cls, function in found.items())
    ),
}
_suspension = st.builds(i.Suspension, names, timeouts, location=locations)
functions = st.sampled_from([None, i.StateFunction("a.b", "on")])
_change = st.builds(i.ModuleChange, names, data, functions, location=locations)

high_level = st.one_of(
    st.builds(
        i.Update,
        change=changes,
        mod_type=st.sampled_from(["static", "dynamic"]),
        timeout=timeouts,
        migrate=functions,
        **_module,
        **_purge,
        **_state,
    ),
    st.builds(i.LoadModule, **_module, **_purge, **_state),
    st.builds(i.AddModule, **_module),
    st.builds(i.DeleteModule, **_module),
    st.builds(i.AddApplication, names, types, location=locations),
    st.builds(i.RemoveApplication, names, location=locations),
    st.builds(i.RestartApplication, names, location=locations),
)
low_level = st.one_of(
    st.builds(i.LoadObjectCode, names, names, some_names, location=locations),
    st.builds(i.PointOfNoReturn, location=locations),
    st.builds(i.Load, names, location=locations, **_purge, **_state),
    st.builds(i.Remove, names, location=locations, **_purge),
    st.builds(i.PurgeModules, some_names, location=locations),
    st.builds(i.Suspend, st.lists(_suspension, max_size=3).map(tuple), location=locations),
    st.builds(i.Resume, some_names, location=locations),
    st.builds(
        i.CodeChange,
        st.sampled_from(["up", "down"]),
        st.lists(_change, max_size=3).map(tuple),
        location=locations,
    ),
    st.builds(i.Stop, some_names, location=locations),
    st.builds(i.Start, some_names, location=locations),
    st.builds(i.SyncNodes, data, some_names | calls, location=locations),
    st.builds(i.Apply, calls, st.none() | calls, st.sampled_from(["cuts", "inside"]), location=locations),
    st.builds(i.Verify, calls, st.just("default") | st.integers(1, 9_999), location=locations),
    st.builds(i.RestartNewEmulator, location=locations),
    st.builds(i.RestartEmulator, location=locations),
)
_instructions = st.lists(high_level | low_level, max_size=3).map(tuple)


@st.composite
def _named(draw: st.DrawFn) -> tuple[i.Instruction, ...]:
    """Draw instructions under a short name: what hypothesis would write out of a whole appup is too much for it."""
    return draw(_instructions)


instructions = _named()
scripts = st.lists(low_level, max_size=4).map(tuple)

patterns = st.builds(VersionPattern, names) | st.builds(
    VersionPattern, st.sampled_from([r"1\.[0-9]+", ".*"]), st.just(True)
)
entries = st.lists(st.builds(Entry, patterns, st.just("inverse") | instructions, locations), max_size=2).map(tuple)
appups = st.builds(Appup, names, names, entries, entries, locations)

applications = st.builds(
    Application,
    name=names,
    vsn=names,
    modules=some_names,
    start=st.none() | names,
    args=data,
    type=types,
    applications=some_names,
    fingerprints=st.dictionaries(names, names, max_size=3),
    appup=st.none() | appups,
    location=locations,
)
releases = st.builds(
    Release,
    names,
    names,
    st.lists(applications, max_size=2).map(tuple),
    st.text(),
    st.sampled_from(["python", "beam"]),
    st.none() | st.text(),
    locations,
)
warnings = st.builds(
    Diagnostic,
    names,
    st.text(),
    locations,
    st.sampled_from(["error", "warning", "note"]),
    st.none() | st.text(),
)
relups = st.builds(
    Relup,
    st.sampled_from(["up", "down"]),
    releases,
    releases,
    scripts,
    st.none() | scripts,
    st.lists(warnings, max_size=2).map(tuple),
)
routes = st.builds(
    Route,
    st.lists(relups, min_size=1, max_size=2).map(tuple),
    st.lists(warnings, max_size=2).map(tuple),
).filter(lambda r: len(r.hops) > 1 or not r.warnings)
