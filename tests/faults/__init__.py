"""Stories of a whole gateway, with its processes, in which things go wrong."""
