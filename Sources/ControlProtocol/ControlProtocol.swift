// The surface of ControlProtocol.
