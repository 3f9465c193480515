// The surface of Supervision.
