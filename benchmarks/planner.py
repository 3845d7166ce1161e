"""How long planning takes, beside OTP's `systools_rc:translate_scripts/4` on the same machine, in the same run.

    python benchmarks/planner.py            300 updates in one chain of dependencies (OTP: about a second)
    python benchmarks/planner.py --full     1,000 in one chain, 10,000 and 100,000 in blocks of ten (OTP: a minute)

relup's figure is the best of three runs and covers the checks; OTP's is one run inside `timer:tc`, so that
neither the start of the emulator nor the reading of the terms counts against it. relup is timed as
`timeit` does it, with the garbage collector paused: what that adds depends on how much else the program holds.
How relup's own time grows is measured in processor time, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Iterator

from relup.model.instructions import Advanced, Update
from relup.model.release import Application
from relup.planner import translate

_OTP = r"""
{ok, {_, [{abstract_code, {_, Forms}}]}} = beam_lib:chunks(code:which(systools_rc), [abstract_code]),
[Declared] = [Fs || {attribute, _, record, {application, Fs}} <- Forms],
Name = fun N({typed_record_field, F, _}) -> N(F); N(F) -> element(3, element(3, F)) end,
M = fun(I) -> list_to_atom("m" ++ integer_to_list(I)) end,
Known = #{name => a, vsn => "2", modules => [M(I) || I <- lists:seq(0, COUNT - 1)]},
App = list_to_tuple([application | [maps:get(Name(F), Known, []) || F <- Declared]]),
Deps = fun(I) when I rem BLOCK == 0 -> []; (I) -> [M(I - 1)] end,
Script = [{update, M(I), dynamic, default, {advanced, []}, brutal_purge, brutal_purge, Deps(I)}
          || I <- lists:seq(0, COUNT - 1)],
{Micros, {ok, _}} = timer:tc(fun() -> systools_rc:translate_scripts(up, [Script], [App], [App]) end),
io:format("~p", [Micros]),
halt().
"""


def otp_seconds(count: int, block: int) -> float:
    """Time one translation of *count* updates, each depending on the one before it in blocks of *block*."""
    source = _OTP.replace("COUNT", str(count)).replace("BLOCK", str(block))
    done = subprocess.run(["erl", "-noshell", "-eval", source], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1e6


def relup_seconds(count: int, block: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Time the same translation by relup, the best of three."""
    names = [f"m{n}" for n in range(count)]
    script = [Update(m, Advanced(), () if n % block == 0 else (names[n - 1],)) for n, m in enumerate(names)]
    applications = [Application("a", "2", tuple(names))]
    timer = timeit.Timer(lambda: translate("up", [script], applications, applications), timer=clock)
    return min(timer.repeat(3, 1))


def against_otp(what: str, count: int, block: int, bound: float) -> bool:
    ours, theirs = relup_seconds(count, block), otp_seconds(count, block)
    print(f"{what:<32} OTP {theirs:8.3f} s   relup {ours:7.4f} s   {theirs / ours:7.0f} × faster (bound {bound:.0f} ×)")
    return theirs / ours >= bound


def growth() -> bool:
    small, large = (relup_seconds(count, 10, time.process_time) for count in (10_000, 100_000))
    times = large / small
    print(f"{'100,000 after 10,000, by ten':<32} {small:7.3f} s → {large:.3f} s   {times:.1f} × the time (bound 12 ×)")
    return times <= 12


def measurements(full: bool) -> Iterator[bool]:
    if full:
        yield against_otp("1,000 updates in one chain", 1_000, 1_000, 300)
        yield against_otp("10,000 in blocks of ten", 10_000, 10, 10)
    else:
        yield against_otp("300 updates in one chain", 300, 300, 30)
    yield growth()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the sizes that OTP needs a minute for")
    options = parser.parse_args()
    if shutil.which("erl") is None:
        sys.exit("no `erl` to compare with: apt install erlang-base erlang-sasl, or brew install erlang")
    sys.exit(0 if all(list(measurements(options.full))) else 1)
