"""The test kit: what process tests, system tests and the demo share. Python 3.11, standard library only."""
