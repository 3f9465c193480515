// The surface of SupervisorRuntime.
