// The surface of ControlServer.
