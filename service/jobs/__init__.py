"""Work that outlives a request: what kinds there are, who carries it out, and who sees to it that somebody does."""
