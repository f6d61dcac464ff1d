"""The station: takes alerts in, keeps them, shows them to operators and officers, takes their answers."""
