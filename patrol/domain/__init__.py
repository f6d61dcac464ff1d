"""The words every room shares: pure data with units in the names. Imports nothing of ours."""
