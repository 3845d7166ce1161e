r"""Regular expressions as OTP's `re` has them, which is PCRE in UTF-8, for Python's `re`.

The two look alike and are not: `\d` is ten characters there and hundreds here, `{,2}` is text there and a repetition
here, `\z`, `[[:digit:]]` and `(?<name>…)` are only there. An entry that is taken or passed over for that is another
upgrade than OTP's. So what both can say is translated, and what only PCRE can say is an error: nothing is left to
mean something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_LETTERS = "A-Za-z\xaa\xb5\xba\xc0-\xd6\xd8-\xf6\xf8-\xff"
_HORIZONTAL = "\t \xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000"
_VERTICAL = "\n-\r\x85\u2028\u2029"
_POSIX = {
    "alnum": f"0-9{_LETTERS}",
    "alpha": _LETTERS,
    "ascii": "\0-\xff",
    "blank": "\t ",
    "cntrl": "\0-\x1f\x7f-\x9f",
    "digit": "0-9",
    "graph": "!-~\xa0-\xff",
    "lower": "a-z\xaa\xb5\xba\xdf-\xf6\xf8-\xff",
    "print": " -~\xa0-\xff",
    "punct": "!-/:-@\\[-`{-~\xa0-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\xd7\xf7",
    "space": "\t-\r ",
    "upper": "A-Z\xc0-\xd6\xd8-\xde",
    "word": f"0-9_{_LETTERS}",
    "xdigit": "0-9A-Fa-f",
}
"""As OTP's PCRE has them, whose alphabet is Latin-1."""
_MEMBERS = {
    "d": "0-9",
    "D": "\0-/:-\U0010ffff",
    "s": "\t-\r ",
    "S": "\0-\x08\x0e-\x1f!-\U0010ffff",
    "w": _POSIX["word"],
    "W": "\0-/:-@\\[-\\^`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\xd7\xf7\u0100-\U0010ffff",
    "h": _HORIZONTAL,
    "v": _VERTICAL,
}
"""What a letter after a backslash stands for inside of `[…]`."""
_WORD = f"[{_MEMBERS['w']}]"
_ALONE = {letter: f"[{meant}]" for letter, meant in _MEMBERS.items()} | {
    "H": f"[^{_HORIZONTAL}]",
    "V": f"[^{_VERTICAL}]",
    "N": "[^\n]",
    "R": f"(?>\r\n|[{_VERTICAL}])",
    "A": "\\A",
    "G": "\\A",
    "z": "\\Z",
    "Z": "(?=\n?\\Z)",
    "b": f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))",
    "B": f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))",
}
"""What it stands for elsewhere."""
_CHARACTERS = {"a": "\a", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

_BOTH = r"""
    \\Q(?P<quoted>.*?)(?:\\E|\Z) | (?P<nothing>\\E)
    | (?P<code>\\x\{[0-9A-Fa-f]+\} | \\x(?!\{)[0-9A-Fa-f]{0,2} | \\o\{[0-7]+\} | \\c[\ -~] | \\0[0-7]{0,2})
"""
_OUTSIDE = re.compile(
    rf"""{_BOTH}
    | (?P<again>\\[1-9][0-9]*) | (?:\\k[<'{{]|\\g\{{|\(\?P=)(?P<same>[A-Za-z_]\w*)[>'}})]
    | \(\?(?:P?<|')(?P<name>[A-Za-z_]\w*)[>']
    | (?P<only>\\[CKLPUXcgklopux] | \(\?[|RPC&0-9+]|\(\?[is-]*[0-9mxJUX] | \(\*
      | \[(?=:[^]]*:\]|\.[^]]*\.\]|=[^]]*=\]))
    | \\(?P<escaped>.) | (?P<set>\[\^?) | (?P<bar>\|) | (?P<close>\))
    | (?P<options>\(\?[is]*(?:-[is]+)?)\) | (?P<comment>\(\?\#[^)]*\))
    | (?P<open>\((?!\?)|\(\?(?:[=!>]|<[=!]|[is]*(?:-[is]+)?:))
    | (?P<times>\{{[0-9]+(?:,[0-9]*)?\}}) | (?P<brace>\{{) | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_INSIDE = re.compile(
    rf"""{_BOTH}
    | (?P<octal>\\[1-7][0-7]{{0,2}}) | (?P<only>\\[CHLNPUVcgklopux] | \[[.=] | \[:[\^<>])
    | \\(?P<escaped>.) | \[:(?P<posix>[a-z]+):\] | (?P<end>\]) | (?P<hyphen>-) | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


@lru_cache(maxsize=1024)
def compiled(text: str) -> re.Pattern[str]:
    """Return *text* as Python matches it; raise `re.error` when it is no regular expression or one of PCRE alone."""
    translated = "".join(_translated(text))
    try:
        return re.compile(translated)
    except re.error as error:
        raise error if translated == text else re.error(error.msg) from None
    except (RecursionError, OverflowError) as error:
        raise re.error(str(error)) from None


def _translated(text: str) -> Iterator[str]:
    """Yield the pieces; options that are set inside a group hold to its end, over every `|`."""
    groups: list[list[str]] = [[]]
    place = 0
    while found := _OUTSIDE.match(text, place):
        place = found.end()
        kind, token = found.lastgroup, found[found.lastgroup or 0]
        match kind:
            case "set":
                members, place = _members(text, place)
                yield f"{token}{members}]"
            case "escaped":
                yield _ALONE.get(token) or _literal(token)
            case "options":
                groups[-1].append(f"{token}:")
                yield f"{token}:"
            case "open" | "name":
                groups.append([])
                yield f"(?P<{token}>" if kind == "name" else token
            case "close":
                yield ")" * len(groups.pop() if len(groups) > 1 else groups[-1]) + token
            case "bar":
                yield ")" * len(groups[-1]) + token + "".join(groups[-1])
            case "same":
                yield f"(?P={token})"
            case "comment":
                pass
            case "again" | "times" | "other":
                yield token
            case _:
                yield from _character(kind, token)
    yield ")" * len(groups[0])


def _members(text: str, place: int) -> tuple[str, int]:
    """Return what stands between `[` and `]`, and the place after it; a hyphen is one unless it is between two ends."""
    members: list[tuple[str, str]] = []
    while found := _INSIDE.match(text, place):
        kind, token = found.lastgroup or "", found[found.lastgroup or 0]
        place = found.end()
        if kind == "end" and members:
            return _ranges(members), place
        members += _member(kind, token)
    raise re.error("missing ] after [")


def _member(kind: str, token: str) -> Iterator[tuple[str, str]]:
    match kind:
        case "posix" if token in _POSIX:
            yield "several", _POSIX[token]
        case "posix":
            raise re.error(f"there is no class [:{token}:]")
        case "escaped" if token in _MEMBERS:
            yield "several", _MEMBERS[token]
        case "escaped":
            yield "one", "\\x08" if token == "b" else _literal(token)
        case "hyphen":
            yield "hyphen", "\\-"
        case _:
            yield from (("one", c) for c in _character(kind, token))


def _ranges(members: list[tuple[str, str]]) -> str:
    written, n = "", 0
    while n < len(members):
        match [kind for kind, _ in members[n : n + 3]]:
            case ["one" | "hyphen", "hyphen", "one" | "hyphen"]:
                written += f"{members[n][1]}-{members[n + 2][1]}"
                n += 3
            case ["one" | "hyphen", "hyphen", "several"]:
                raise re.error(f"a range in [] ends with {members[n + 2][1]}")
            case _:
                written += members[n][1]
                n += 1
    return written


def _character(kind: str | None, token: str) -> Iterator[str]:
    match kind:
        case "quoted":
            yield from map(re.escape, token)
        case "code" | "octal":
            yield _numbered(token)
        case "nothing":
            pass
        case "only":
            raise re.error(f"relup does not know PCRE's {token}")
        case _:
            yield re.escape(token)


def _numbered(token: str) -> str:
    match token[1]:
        case "x":
            number = int(token[2:].strip("{}") or "0", 16)
        case "o":
            number = int(token[3:-1], 8)
        case "c":
            number = ord(token[2].upper()) ^ 64
        case _:
            number = int(token[1:], 8)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise re.error(f"there is no character {token}")
    return re.escape(chr(number))


def _literal(letter: str) -> str:
    return re.escape(_CHARACTERS.get(letter, letter))
