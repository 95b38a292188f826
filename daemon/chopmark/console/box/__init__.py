"""What the machine itself tells, with the daemon or without: units, journal, network, sensors."""
