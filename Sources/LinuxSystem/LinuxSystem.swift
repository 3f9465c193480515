// The surface of LinuxSystem.
