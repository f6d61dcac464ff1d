"""The commands of `patrol`, one file each."""
