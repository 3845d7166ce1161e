"""Random releases, and all of OTP: `systools_make:get_release` and relup read the same, in the same order."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from relup.diagnostics import InvalidInput
from relup.document import read_release
from relup.model.release import Release
from tests.document.erlang.releases import CORE_APPS, CORE_LINES, app, build, erl, rel

_GET_RELEASE = r"""
Fields = fun() ->
    {ok, {_, [{abstract_code, {_, Forms}}]}} = beam_lib:chunks(code:which(systools_make), [abstract_code]),
    [Declared] = [Fs || {attribute, _, record, {application, Fs}} <- Forms],
    Name = fun N({typed_record_field, F, _}) -> N(F); N(F) -> element(3, element(3, F)) end,
    [Name(F) || F <- Declared] end(),
Get = fun(Field, Application) -> proplists:get_value(Field, lists:zip(Fields, tl(tuple_to_list(Application)))) end,
Modules = fun(A) -> lists:join(",", [atom_to_list(M) || M <- Get(modules, A)]) end,
Tag = fun T({apps, Es}) -> T(Es); T(E) when is_tuple(E) -> T(element(1, E)); T([E | _]) -> T(E); T(E) -> E end,
Tell = fun(File) ->
    Stem = filename:rootname(File),
    Path = filelib:wildcard(filename:join([filename:dirname(Stem), "lib", "*", "ebin"])),
    case systools_make:get_release(Stem, Path ++ code:get_path()) of
        {ok, Release, Applications, _} ->
            [_, Name, Vsn, Erts | _] = tuple_to_list(Release),
            io:format("~ts ~ts ~ts", [Name, Vsn, Erts]),
            [io:format(" ~ts ~ts ~w [~ts]", [N, V, Get(type, A), Modules(A)]) || {{N, V}, A} <- Applications],
            io:nl();
        {error, _, {error_reading, _} = E} -> io:format("~w~n", [Tag(element(2, element(2, E)))]);
        {error, _, [{error_reading, {_, E}} | _]} -> io:format("~w~n", [Tag(E)]);
        {error, _, E} -> io:format("~w~n", [Tag(E)])
    end end,
lists:foreach(Tell, lists:sort(filelib:wildcard("*/*.rel"))),
halt().
"""


def told(release: Release) -> str:
    applications = (f" {a.name} {a.vsn} {a.type} [{','.join(a.modules)}]" for a in release.applications)
    return f"{release.name} {release.vsn} {release.erts}{''.join(applications)}"


def scatter(random: Random, folder: Path) -> None:
    """Write a release whose applications need and include each other at random.

    They do not include each other in a circle: OTP never ends then.
    """
    names = random.sample(["ant", "bee", "cow", "dog", "eel", "fox", "gnu", "hen"], random.randint(2, 8))
    anything = random.random() < 0.2
    free = set(random.sample(names, 0 if anything else random.randint(0, len(names) // 2)))
    files: dict[str, str] = {}
    for n, name in enumerate(names):
        includes = [a for a in names[n + 1 :] if a in free and random.random() < 0.6]
        free -= set(includes) if random.random() < 0.95 else set()
        others = names if anything else [a for a in names[n + 1 :] if a not in includes]
        needs = random.sample(others, min(len(others), random.choice([0, 1, 1, 2, 3])))
        needs += ["gone"] if random.random() < 0.05 else []
        optional = [a for a in needs if random.random() < 0.3]
        rest = f", {{optional_applications,[{','.join(optional)}]}}, {{included_applications,[{','.join(includes)}]}}"
        modules = "[" + ",".join(f"{name}_{m}" for m in range(random.randint(0, 3))) + "]"
        files[f"lib/{name}-{n}/ebin/{name}.app"] = app(name, str(n), modules, f"[{','.join(needs)}]", rest)
    types = [random.choice(["permanent", "temporary", "load", "none"]) for _ in names]
    lines = [f'{{{a},"{n}",{types[n]}}}' for n, a in random.sample([*enumerate(names)], len(names))]
    build(folder, files | CORE_APPS | {"r.rel": rel(*random.choice([(*CORE_LINES, *lines), (*lines, *CORE_LINES)]))})


def test_random_releases_are_ordered_and_refused_as_by_otp(tmp_path: Path) -> None:
    random = Random(25)
    folders = [tmp_path / f"{n:03}" for n in range(100)]
    for folder in folders:
        scatter(random, folder)
    answers = erl(_GET_RELEASE, tmp_path)
    assert len(answers) == len(folders)
    accepted = 0
    for folder, answer in zip(folders, answers, strict=True):
        if " " in answer:
            accepted += 1
            assert told(read_release(folder)) == answer, folder
        else:
            with pytest.raises(InvalidInput, match=answer):
                read_release(folder)
    assert accepted > 50


def test_a_release_of_all_of_otp_is_read_as_by_otp(tmp_path: Path) -> None:
    (lib, erts, *lines) = erl(
        'io:format("~ts~n~ts~n", [code:lib_dir(), erlang:system_info(version)]),'
        "[case file:consult(F) of {ok, [{application, N, Ps}]} ->"
        ' io:format("{~w,~p}~n", [N, proplists:get_value(vsn, Ps)]); _ -> ok end'
        ' || F <- filelib:wildcard(filename:join([code:lib_dir(), "*", "ebin", "*.app"]))], halt().',
        tmp_path,
    )
    present = {line[1:].split(",")[0] for line in lines}
    build(tmp_path, {"all/all.rel": rel(*lines, erts=erts)})
    core = [line for line in lines if line.startswith(("{kernel,", "{stdlib,", "{sasl,"))]
    build(tmp_path, {"core/core.rel": rel(*reversed(core), erts=erts)})
    otp = dict(zip(("all", "core"), erl(_GET_RELEASE, tmp_path), strict=True))
    assert {"kernel", "stdlib", "sasl"} <= present
    for name, answer in otp.items():
        if " " in answer:
            found = read_release(tmp_path / name, [lib])
            assert told(found) == answer
            assert all(a.fingerprints for a in found.applications if a.modules)
        else:
            with pytest.raises(InvalidInput, match=answer):
                read_release(tmp_path / name, [lib])
    assert " " in otp["core"]
