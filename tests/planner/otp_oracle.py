"""A real `systools_rc`, asked over the pipe of one Erlang that lives as long as the tests need it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relup.model.instructions import Direction, Instruction
from relup.model.release import Application
from tests.planner.otp_terms import erl

_SERVER = r"""
Fields = fun() ->
    {ok, {_, [{abstract_code, {_, Forms}}]}} = beam_lib:chunks(code:which(systools_rc), [abstract_code]),
    [Declared] = [Fs || {attribute, _, record, {application, Fs}} <- Forms],
    Name = fun N({typed_record_field, F, _}) -> N(F); N(F) -> element(3, element(3, F)) end,
    [Name(F) || F <- Declared] end(),
Application = fun({Name, Vsn, Type, Modules}) ->
    Known = #{name => Name, vsn => Vsn, type => Type, modules => Modules},
    list_to_tuple([application | [maps:get(F, Known, []) || F <- Fields]]) end,
Json = fun
    J(T) when is_tuple(T) -> ["{\"t\":", J(tuple_to_list(T)), "}"];
    J([]) -> "[]";
    J(L) when is_list(L) ->
        case io_lib:printable_list(L) of
            true -> ["{\"s\":\"", L, "\"}"];
            false -> ["[", lists:join(",", [J(X) || X <- L]), "]"]
        end;
    J(A) when is_atom(A) -> ["\"", atom_to_list(A), "\""];
    J(I) when is_integer(I) -> integer_to_list(I) end,
Tag = fun(T) when is_tuple(T) -> element(1, T); (T) -> T end,
Thrown = fun
    F({call, _, {atom, _, throw}, [{tuple, _, [{atom, _, error}, {tuple, _, [{atom, _, T} | _]}]}]}) -> [T];
    F({call, _, {atom, _, throw}, [{tuple, _, [{atom, _, error}, {atom, _, T}]}]}) -> [T];
    F(T) when is_tuple(T) -> F(tuple_to_list(T));
    F([H | R]) -> F(H) ++ F(R);
    F(_) -> [] end,
Answer = fun
    ({translate_scripts, Mode, Scripts, Apps, PreApps}) ->
        systools_rc:translate_scripts(Mode, Scripts, lists:map(Application, Apps), lists:map(Application, PreApps));
    ({make_relup, Top, Base, Paths}) ->
        case systools:make_relup(Top, [Base], [Base], [noexec, silent, {path, Paths}]) of
            {ok, Relup, _, Warnings} -> {ok, Relup, lists:map(Tag, Warnings)};
            {error, _, Reason} -> {error, Tag(Reason)}
        end;
    (error_classes) ->
        {ok, {_, [{abstract_code, {_, Forms}}]}} = beam_lib:chunks(code:which(systools_rc), [abstract_code]),
        lists:usort(Thrown(Forms))
    end,
Serve = fun S() ->
    case io:get_line("") of
        eof -> ok;
        Line ->
            {ok, Tokens, _} = erl_scan:string(Line),
            {ok, Question} = erl_parse:parse_term(Tokens),
            io:put_chars([Json(Answer(Question)), "\n"]),
            S()
    end end,
Serve(),
halt().
"""


class Oracle:
    """One Erlang node that answers for `systools_rc` and `systools`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def translate_scripts(
        self,
        direction: Direction,
        scripts: Sequence[Sequence[Instruction]],
        applications: Sequence[Application],
        pre_applications: Sequence[Application],
    ) -> Any:
        """Return OTP's answer as a JSON term."""
        return self.translate_terms(erl(scripts), applications, pre_applications, direction)

    def translate_terms(
        self,
        scripts: str,
        applications: Sequence[Application],
        pre_applications: Sequence[Application],
        direction: Direction = "up",
    ) -> Any:
        """Return OTP's answer to scripts that are written as an Erlang term."""
        mode = "up" if direction == "up" else "dn"
        question = ",".join([mode, scripts, _applications(applications), _applications(pre_applications)])
        return self._ask(f"{{translate_scripts,{question}}}")

    def error_classes(self) -> list[str]:
        """Return the tags of all errors that `systools_rc` has."""
        return list(self._ask("error_classes"))

    def make_relup(self, top: Path, base: Path, library: Path) -> Any:
        """Return `{ok, Relup, Tags of warnings}` or `{error, Tag}` as a JSON term, for two .rel files."""
        paths = ",".join(f'"{ebin}"' for ebin in sorted(library.glob("*/ebin")))
        return self._ask(f'{{make_relup,"{top.with_suffix("")}","{base.with_suffix("")}",[{paths}]}}')

    def _ask(self, question: str) -> Any:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{question}.\n")
        stdin.flush()
        answer = stdout.readline()
        assert answer, "Erlang ended; its last words are on stderr (sasl must be installed, with debug information)"
        return json.loads(answer)


def _applications(applications: Sequence[Application]) -> str:
    terms = (f'{{{erl(a.name)},"{a.vsn}",{erl(a.type)},{erl(a.modules)}}}' for a in applications)
    return "[" + ",".join(terms) + "]"


@contextmanager
def oracle() -> Iterator[Oracle]:
    """Start an Erlang, and end it with its input."""
    command = ["erl", "-noshell", "-eval", _SERVER]
    environment = {**os.environ, "ERL_CRASH_DUMP_SECONDS": "0"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Oracle(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=30)
