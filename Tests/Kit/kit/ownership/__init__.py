"""Work under one lease on several hosts, the sink it writes to, accidents, and the checker that replays the sink's log."""
