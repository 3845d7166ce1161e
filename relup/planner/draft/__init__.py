"""Drafts: appups to begin with, between two releases."""

from relup.planner.draft.drafting import draft

__all__ = ["draft"]
