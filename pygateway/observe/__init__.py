"""What the rest of the program says about itself: counters, logs."""
