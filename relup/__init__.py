"""Upgrade a running, stateful program without stopping it, and put it back as it was when that fails."""
