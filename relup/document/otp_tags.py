"""What OTP calls a field of an instruction that holds something wrong (`systools_rc`).

A schema says what is wrong with a value; people who know OTP look for its tag. The tag depends on where the value
stands alone, so it is found from the path: the field, or the instruction itself where it has the short form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

BAD_INSTRUCTION = "bad_instruction"
_INSTRUCTIONS_OF = frozenset({"instructions", "script", "way_back"})

_FIELDS: Mapping[str, str] = {
    "application": "bad_application",
    "args": "bad_args_list",
    "change": "bad_change",
    "changes": "bad_code_change",
    "depends": "bad_list",
    "function": "bad_func",
    "mod_type": "bad_mod_type",
    "mode": "bad_mode",
    "module": "bad_module",
    "modules": "bad_list",
    "nodes": "bad_node",
    "post_purge": "bad_purge_method",
    "pre_purge": "bad_purge_method",
    "timeout": "bad_timeout",
    "type": "bad_start_type",
}
_LIB: Mapping[str, str] = {"application": "bad_lib", "vsn": "bad_lib_vsn"}
"""The fields of `load_object_code` that OTP calls otherwise."""
_SHORT: Mapping[str, str] = {
    **dict.fromkeys(("update", "load_module", "add_module", "delete_module", "load", "remove"), "module"),
    **dict.fromkeys(("add_application", "remove_application", "restart_application"), "application"),
    **dict.fromkeys(("purge", "suspend", "resume", "stop", "start"), "modules"),
    "code_change": "changes",
}
"""The field that an instruction's short form gives."""
_CALL = ("module", "function", "args")


def otp_tag(path: Sequence[str | int]) -> str | None:
    """Return OTP's tag for a wrong value at *path*, or None when it stands in no instruction or OTP has none."""
    start = next((n + 2 for n, step in enumerate(path) if step in _INSTRUCTIONS_OF), len(path) + 1)
    match path[start:]:
        case ("apply", 0 | 1 | 2 as place):
            return _FIELDS[_CALL[place]]
        case (str(name), *inside):
            field = next((s for s in reversed(inside) if isinstance(s, str)), _SHORT.get(name))
            if field is None:
                return BAD_INSTRUCTION
            tag = _LIB.get(field) if name == "load_object_code" else None
            tag = tag or _FIELDS.get(field)
            return "bad_module" if tag == "bad_list" and isinstance(path[-1], int) else tag
        case _:
            return BAD_INSTRUCTION if start == len(path) else None
