"""The field technician's console on a serial port; `desk` has what its commands are given."""
