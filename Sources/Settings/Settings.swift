// The surface of Settings.
