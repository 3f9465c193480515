"""Each measure is a function of a Bench and returns a report.Measure."""
