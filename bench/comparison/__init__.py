"""What bench/compare is made of: running both sides, the rows, the check of the peers, the written results."""
