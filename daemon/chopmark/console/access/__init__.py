"""Who signs in at the console: enrolment, PINs and one-time codes, and waits after wrong ones."""
