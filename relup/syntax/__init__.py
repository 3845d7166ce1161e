"""What the text of a Python module says, without running it: what it imports, reads early, assigns elsewhere.

The planner asks it of files, before there is a node; a node's code server asks it of what is loaded. Both must come
to the same answer, so the reading stands in one place, needs nothing but the standard library, and is what the
runtime may import beside itself.
"""
