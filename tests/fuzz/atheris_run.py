"""One reader under atheris, in a process of its own: libFuzzer ends it, and what was imported is instrumented.

`python -m tests.fuzz.atheris_run READER COUNT SEED FOLDER` works in FOLDER, which is the caller's to remove, leaves
what it finds in the file `faults` there, one JSON document a line, and prints how many inputs there were.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["relup", "yaml", "lark"], enable_loader_override=False):
    from tests.fuzz.readers import readers

from tests.fuzz.trial import MEMORY, Tally, bounded, tried


def main(name: str, count: int, chance: int, folder: Path) -> None:
    """Run *count* inputs; never returns, because libFuzzer ends the process."""
    work, corpus, words = (folder / part for part in ("work", "corpus", "words"))
    work.mkdir()
    corpus.mkdir()
    reader = readers(work)[name]
    for n, good in enumerate(reader.seeds):
        (corpus / str(n)).write_bytes(good)
    words.write_text("".join(f'"{_escaped(w)}"\n' for w in reader.words if w and len(w) <= 64), encoding="ascii")
    tally, kinds = Tally(name, "atheris"), set[str]()

    def one(data: bytes) -> None:
        started = time.process_time()
        fault = tried(reader, data)
        took = time.process_time() - started
        tally.count += 1
        tally.seconds += took
        tally.slowest = max(tally.slowest, took)
        if fault and (kind := fault.what[-200:]) not in kinds:
            kinds.add(kind)
            with (folder / "faults").open("a", encoding="ascii") as file:
                file.write(json.dumps({"reader": name, "data": data.hex(), "what": fault.what}) + "\n")
        if tally.count in (count, 1) or tally.count % 5000 == 0:
            print(json.dumps({"count": tally.count, "seconds": tally.seconds, "slowest": tally.slowest}), flush=True)

    options = [
        f"-runs={count}",
        f"-seed={chance}",
        "-max_len=8192",
        f"-dict={words}",
        "-verbosity=0",
        "-rss_limit_mb=0",
    ]
    atheris.Setup([sys.argv[0], *options, "-rss_limit_mb=0", str(corpus)], one)
    with bounded(2 * MEMORY), contextlib.suppress(SystemExit):
        atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in word)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
