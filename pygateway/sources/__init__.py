"""Where objects come from: each source is an asynchronous iterator of `World`."""
