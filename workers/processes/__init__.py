"""The main function of each long-running process."""
