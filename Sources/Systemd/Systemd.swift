// The surface of Systemd.
