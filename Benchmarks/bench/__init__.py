"""The parts of Benchmarks/run: what is measured, on whom, and how it is told."""
