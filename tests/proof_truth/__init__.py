"""The truth about proofs, by brute force: what is proven is computed by partitions, and compared with the whole."""
