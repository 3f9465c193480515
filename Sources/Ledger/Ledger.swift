// The surface of Ledger.
