"""The life of an object from its event to its record: inbox, ledger, policy, records."""
