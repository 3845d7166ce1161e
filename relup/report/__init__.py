"""Plans, outcomes and nodes for eyes."""
