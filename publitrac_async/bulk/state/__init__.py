"""State stores: outcomes of leads from run to run."""
