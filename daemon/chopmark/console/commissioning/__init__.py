"""From a bare box to a working gateway: the steps, and how the box shows which are done."""
