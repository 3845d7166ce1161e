"""Regular expressions that name versions, compared with OTP's `re:run`: the same answer, or none."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence

import pytest

from relup.model.appup import VersionPattern
from tests.support import require_erl

_SERVER = r"""
Serve = fun S() ->
    case io:get_line("") of
        eof -> ok;
        Line ->
            {ok, Tokens, _} = erl_scan:string(Line),
            {ok, {Pattern, Vsn}} = erl_parse:parse_term(Tokens),
            Answer = case catch re:run(Vsn, Pattern, [unicode, {capture, first, list}]) of
                {match, [Vsn]} -> "yes";
                {match, _} -> "no";
                nomatch -> "no";
                _ -> "bad_regex"
            end,
            io:put_chars([Answer, "\n"]),
            S()
    end end,
io:put_chars([erlang:system_info(otp_release), "\n"]),
Serve(),
halt().
"""
Ask = Callable[[str, str], str]


@pytest.fixture(scope="module")
def otp() -> Iterator[Ask]:
    """What OTP says of a pattern and a version: yes, no, or that it is no pattern."""
    require_erl()
    command = ["erl", "-noshell", "-eval", _SERVER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def ask(pattern: str, vsn: str) -> str:
            data = ",".join(map(str, pattern.encode()))
            stdin.write(f"{{<<{data}>>,[{','.join(str(ord(c)) for c in vsn)}]}}.\n")
            stdin.flush()
            return stdout.readline().strip()

        try:
            if int(stdout.readline()) > 27:
                pytest.skip("this OTP has PCRE2, which refuses more")
            yield ask
        finally:
            stdin.close()
            process.wait(timeout=30)


ALIKE: dict[str, Sequence[str]] = {
    r"1\.[0-9]+": ["1.5", "1.15", "1.", "1.5 ", "x1.5", "1.5x", "1x5"],
    r"1\.[[:digit:]]+": ["1.5", "1.d"],
    r"\A1\.5\z": ["1.5", "1.5\n"],
    r"^1\.5$": ["1.5", "1.5\n", "x1.5"],
    r"1\.5\Z": ["1.5", "1.5\n"],
    "1$\n": ["1\n"],
    r"(?m)1$\n^2": ["1\n2"],
    "(?m)1\n^": ["1\n"],
    r"\G1": ["1", "11"],
    r"\Q1.5\E": ["1.5", "1x5"],
    r"\Q1+5": ["1+5", "115"],
    r"\Q1a\E*": ["1aa", "1a1a"],
    r"1\Q\E*": ["11"],
    r"\Q\E*": [""],
    r"1\E+": ["11"],
    r"(?<n>1)(?P<m>\.)(?'o'5)": ["1.5"],
    r"1\.\d": ["1.5", "1.\u0665"],
    r"1\.\w+": ["1.a_9", "1.\u0665"],
    r"1\w\W": ["1\xe9\xbf", "1\xd7\xe9"],
    r"1\s2": ["1 2", "1\v2", "1\xa02"],
    r"1\h2": ["1\t2", "1\xa02", "1\n2", "1\u180e2"],
    r"1\v2": ["1\v2", "1\u20282", "1 2"],
    r"1\H\V": ["1ab", "1 b", "1a\n"],
    r"1\R2": ["1\r\n2", "1\n2", "12"],
    r"1\R\n": ["1\r\n"],
    r"1\N2": ["1.2", "1\n2"],
    "1.2": ["1.2", "1\n2", "1\r2", "1\u20282"],
    "(?s)1.2": ["1\n2"],
    r"1\b\.\B\.": ["1..", "1.."],
    r"1\.\x{41}\x42\x4": ["1.AB\x04"],
    r"1\.\o{65}\065": ["1.55"],
    r"\a\e\f\n\r\t": ["\a\x1b\f\n\r\t"],
    r"\.\-\+\_\~": [".-+_~"],
    r"[\w-.]+": ["1.2-a", "1+2"],
    r"[+--]": [",", "-"],
    r"[1-]+": ["1-1"],
    "[]1]+": ["]1"],
    "[^]1]": ["2", "]", "\n"],
    "[.]": [".", "1"],
    "[:.]": [":"],
    r"[\b\n.]": ["\b", "\n"],
    "[[5&&~~||]": ["[", "&"],
    r"[^\D5]": ["4", "5", "a"],
    r"[\W\d]": ["5", ".", "a"],
    "[[:^digit:]]": ["a", "5", "\u0665"],
    "[^[:alnum:]]": [".", "a", "\u0665"],
    "[[:upper:][:punct:]]+": ["A.", "a"],
    "[[:alpha]]": ["a]", ":]"],
    "5{,x}": ["5{,x}"],
    "5{,2}": ["5{,2}", "5", "55"],
    "5{1, 2}": ["5{1, 2}", "5"],
    "5{": ["5{"],
    "5{1": ["5{1"],
    "5{2}": ["5", "55"],
    "5{2,}": ["5", "555"],
    "5{1,2}?5": ["55", "555"],
    "5{0}": ["", "5"],
    "5*?": ["", "5"],
    "5*+5": ["55"],
    "5?+5": ["5", "55"],
    "(5{1,3}+)5": ["555", "5555"],
    "(?>5|55)6": ["56", "556"],
    "(5|55)6": ["556"],
    "1|11": ["1", "11"],
    "11|1": ["1", "11"],
    "(1|11)(1|)": ["11"],
    "(|1)*": ["", "1"],
    "(|1)+": ["", "1"],
    "(|1){2,}": ["1", "11"],
    "(1?){3}": ["11", "1111"],
    "(1*)*": ["11"],
    "(1*?)*?2": ["112"],
    "(?:1|(?=2))*2": ["112"],
    "1(?=2)2": ["12"],
    "1(?!2).": ["12", "13"],
    "(?<=1|ab)2|1": ["1", "2"],
    "1(?<=1|ab)2": ["12"],
    "1(?<!1|ab)2": ["12"],
    r"12(?<=\d{2})3": ["123"],
    "(?i)rc": ["RC", "rc"],
    "rc(?i)": ["RC", "rc"],
    "r(?i)c": ["rC", "Rc"],
    "(r(?i)c|x)y": ["rCy", "Xy", "xY"],
    "(?i:r)c": ["Rc", "RC"],
    "(?i)r(?-i)c": ["Rc", "RC"],
    "(?i)[[:upper:]][^[:lower:]]": ["a1", "1a"],
    "(?i)[k]k[^k]": ["K\u212ax", "kk\u212a"],
    "(?i)[^s]": ["\u017f", "x"],
    "(?)1": ["1"],
    "1(?# two )2": ["12"],
    "1(?#)+": ["11"],
    "é": ["é", "e"],
    r"\é[à-ü]": ["éé"],
    "": ["", "1"],
    "]}": ["]}"],
    "(": ["1"],
    ")": ["1"],
    "[1": ["1"],
    "[]": ["1"],
    "[1-": ["1"],
    "[5-1]": ["1"],
    r"[1-\d]": ["1"],
    "[[:number:]]": ["1"],
    "[:digit:]": ["1"],
    "[[.a.]]": ["a"],
    "\\": ["1"],
    "(?<n>1)(?<n>2)": ["12"],
    "(?<1>1)": ["1"],
    "(?<n1)": ["1"],
    "(?<é>1)": ["1"],
    "(?z)": ["1"],
    "(?": ["1"],
    "(?#": ["1"],
    "*": ["1"],
    "1**": ["1"],
    "1{2}{3}": ["1"],
    "^*": ["1"],
    "1|+": ["1"],
    "1{2,1}": ["1"],
    r"\x{110000}": ["1"],
    r"\x{d800}": ["1"],
    r"\x{}": ["1"],
    r"\o1": ["1"],
}
REFUSED = (
    "(?m)1$\n^2",
    "1(?m:2)",
    r"1\.\p{N}",
    r"1\X",
    r"1\K2",
    r"1\C",
    "(1)(?1)",
    "1(?R)?",
    "(?|1|2)",
    "(?C)1",
    "(*UTF8)1",
    "(?x)1 2",
    "[[:<:]]1",
)


def answer(pattern: str, vsn: str) -> str | None:
    """Return what relup says, None when it says that it cannot."""
    version = VersionPattern(pattern, regex=True)
    return None if version.fault() else "yes" if version.matches(vsn) else "no"


def test_where_both_answer_they_answer_the_same(otp: Ask) -> None:
    pairs = [(pattern, vsn) for pattern, versions in ALIKE.items() for vsn in versions]
    answers = [(p, v, otp(p, v), answer(p, v)) for p, v in pairs]
    assert [a for a in answers if a[3] is not None and a[3] != a[2]] == []
    assert len({p for p, _, said, own in answers if own is None and said != "bad_regex"}) < 10


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_only_pcre_has_is_refused_in_words(pattern: str) -> None:
    assert "relup does not know PCRE's" in (VersionPattern(pattern, regex=True).fault() or "")


def test_every_beginning_of_a_pattern_is_read_to_its_end() -> None:
    for text in (*ALIKE, *REFUSED):
        for end in range(len(text)):
            VersionPattern(text[:end], regex=True).fault()
