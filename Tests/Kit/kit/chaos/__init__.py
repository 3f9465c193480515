"""A deck of accidents, played on a service under lasting load in a lab machine with a real systemd."""
