// The surface of ControlClient.
