"""The steps by which the record's tables came to their present form."""
