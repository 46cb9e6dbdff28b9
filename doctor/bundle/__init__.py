"""The support bundle: logs, configuration, probe and diagnosis of a machine in one file that can be given to others."""
