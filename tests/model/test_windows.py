"""Where windows open and close, what stands in which step of them, and how one is undone alone."""

from __future__ import annotations

import time

import pytest

from relup.model.instructions import (
    Apply,
    Call,
    CodeChange,
    Direction,
    Load,
    LoadObjectCode,
    LowLevel,
    ModuleChange,
    PointOfNoReturn,
    PurgeModules,
    Remove,
    RestartEmulator,
    RestartNewEmulator,
    Resume,
    Start,
    StateFunction,
    Stop,
    Suspend,
    Suspension,
    SyncNodes,
)
from relup.model.windows import Segment, Window, inverse, segments, split

POINT = PointOfNoReturn()
CALL = Apply(Call("shop.ops", "warm"))
INSIDE = Apply(Call("shop.ops", "note"), window="inside")


CONVERTED = CodeChange("down", (ModuleChange("m", migrate=StateFunction("converter", "down")),))


def suspend(*modules: str) -> Suspend:
    return Suspend(tuple(Suspension(m) for m in modules))


def held(*modules: str) -> tuple[Suspension, ...]:
    return tuple(Suspension(m) for m in modules)


def change(mode: Direction, *modules: str) -> CodeChange:
    return CodeChange(mode, tuple(ModuleChange(m) for m in modules))


def component(module: str) -> list[LowLevel]:
    return [suspend(module), Load(module), change("up", module), Resume((module,))]


def whole(*modules: str) -> Window:
    return Window(
        held(*modules),
        code=tuple(map(Load, modules)),
        after=tuple(change("up", m) for m in modules),
    )


CASES: dict[str, tuple[list[LowLevel], tuple[Segment, ...]]] = {
    "nothing to do is no window": ([POINT], ()),
    "a resume alone is no window": ([POINT, Resume(("a",))], ()),
    "what comes before the point of no return is in no window": (
        [LoadObjectCode("shop", "2", ("a",)), CALL, POINT, *component("a")],
        (CALL, whole("a")),
    ),
    "neighbours are fused": ([POINT, *component("a"), *component("b")], (whole("a", "b"),)),
    "a call needs running processes": (
        [POINT, *component("a"), CALL, *component("b")],
        (whole("a"), CALL, whole("b")),
    ),
    "a call that says it needs none stays inside": (
        [POINT, *component("a"), INSIDE, *component("b")],
        (Window(held("a", "b"), (), (Load("a"), Load("b")), (change("up", "a"), change("up", "b")), (INSIDE,)),),
    ),
    "a call that the script makes while processes are suspended stays inside": (
        [POINT, suspend("a"), Load("a"), CALL, Resume(("a",))],
        (Window(held("a"), code=(Load("a"),), calls=(CALL,)),),
    ),
    "stop, start, sync and restarts cut": (
        [POINT, Stop(("a",)), Load("a"), Start(("a",)), SyncNodes("x", ("n",)), *component("b"), RestartEmulator()],
        (
            Stop(("a",)),
            Window(code=(Load("a"),)),
            Start(("a",)),
            SyncNodes("x", ("n",)),
            whole("b"),
            RestartEmulator(),
        ),
    ),
    "modules are removed and purged in the window": (
        [POINT, Remove("old"), PurgeModules(("old",)), *component("a")],
        (Window(held("a"), code=(Remove("old"), Load("a")), after=(change("up", "a"),), purges=("old",)),),
    ),
    "a function changes states before code of its own module goes": (
        [POINT, suspend("m"), CONVERTED, Load("converter"), Load("m"), Resume(("m",))],
        (Window(held("m"), (CONVERTED,), (Load("converter"), Load("m"))),),
    ),
    "and where it is loaded first, after that": (
        [POINT, Load("converter"), suspend("m"), CONVERTED, Resume(("m",))],
        (Window(held("m"), code=(Load("converter"),), after=(CONVERTED,)),),
    ),
    "down, a dynamic module changes before its load and a static one after it": (
        [
            POINT,
            suspend("dynamic", "static"),
            change("down", "dynamic"),
            Load("dynamic"),
            Load("static"),
            change("down", "static"),
            Resume(("static", "dynamic")),
        ],
        (
            Window(
                held("dynamic", "static"),
                before=(change("down", "dynamic"),),
                code=(Load("dynamic"), Load("static")),
                after=(change("down", "static"),),
            ),
        ),
    ),
    "fused, a load of one component does not move the change of another": (
        [
            POINT,
            *(suspend("a"), change("down", "a"), Load("a"), Resume(("a",))),
            *(suspend("b"), change("down", "b"), Load("b"), Resume(("b",))),
        ],
        (Window(held("a", "b"), (change("down", "a"), change("down", "b")), (Load("a"), Load("b"))),),
    ),
    "one code_change is divided where only some of its modules were loaded": (
        [POINT, suspend("a", "b"), Load("a"), change("down", "a", "b"), Load("b"), Resume(("a", "b"))],
        (Window(held("a", "b"), (change("down", "b"),), (Load("a"), Load("b")), (change("down", "a"),)),),
    ),
    "without a point of no return everything comes after it": (component("a"), (whole("a"),)),
}


@pytest.mark.parametrize(("script", "expected"), CASES.values(), ids=CASES.keys())
def test_segments(script: list[LowLevel], expected: tuple[Segment, ...]) -> None:
    assert segments(script) == expected


def test_what_stands_before_the_point_of_no_return_is_done_first() -> None:
    fetch = LoadObjectCode("shop", "2", ("a",))
    assert split([fetch, CALL, POINT, Load("a")]) == ((fetch, CALL), (Load("a"),))
    assert segments([RestartNewEmulator(), fetch, CALL, POINT, INSIDE]) == (
        RestartNewEmulator(),
        CALL,
        Window(calls=(INSIDE,)),
    )


def test_a_window_names_its_modules_and_changes_in_the_order_of_the_script() -> None:
    window = Window(held("a"), (change("down", "b"),), (Load("a"), Remove("b")), (change("down", "a"),))
    assert window.modules() == ("a", "b")
    assert window.changes() == (ModuleChange("b"), ModuleChange("a"))


DOWN: list[LowLevel] = [
    POINT,
    *(suspend("a", "b"), change("down", "a"), Load("a"), Load("b"), change("down", "b"), Resume(("b", "a"))),
]


def test_the_inverse_of_a_window_changes_back_in_opposite_order() -> None:
    window = Window(held("a", "b"), code=(Load("b"), Load("a")), after=(change("up", "a", "b"),))
    back, lost = inverse(window, DOWN)
    assert back == Window(
        held("a", "b"),
        before=(change("down", "a"),),
        code=(Load("a"), Load("b")),
        after=(change("down", "b"),),
    )
    assert lost == ()


def test_the_inverse_names_states_that_the_way_back_does_not_change() -> None:
    window = Window(held("a", "c"), code=(Load("a"), Load("c")), after=(change("up", "a", "c"),))
    assert inverse(window, DOWN)[1] == ("c",)
    assert inverse(window, [])[1] == ("c", "a")


def test_the_inverse_changes_a_state_back_that_the_way_up_left_as_it_was() -> None:
    window = Window(held("a"), code=(Load("a"),))
    assert inverse(window, DOWN)[0].before == (change("down", "a"),)


def test_the_inverse_leaves_other_windows_alone() -> None:
    window = Window(held("b"), code=(Load("b"),), after=(change("up", "b"),))
    back, _ = inverse(window, DOWN)
    assert (back.before, back.code, back.after) == ((), (Load("b"),), (change("down", "b"),))


def test_large_scripts_take_linear_time() -> None:
    def seconds(count: int) -> float:
        script = [step for n in range(count) for step in component(f"m{n}")]

        def once() -> float:
            start = time.process_time()
            segments([POINT, *script])
            return time.process_time() - start

        return min(once() for _ in range(3))

    assert seconds(30_000) < 40 * seconds(3_000)
