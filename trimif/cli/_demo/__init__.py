"""``trimif demo``: the draft's figure 2 on a real kernel, with networks of its own."""
