"""From the World to a snapshot of the IR, statuses and problems: pure and total."""
