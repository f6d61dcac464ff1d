"""Pictures that go with alerts, kept on disk under the hash of their content."""
