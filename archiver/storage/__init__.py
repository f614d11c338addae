"""Files, digests, manifests, the journal: how bytes get to the disk and how they are read back safely."""
