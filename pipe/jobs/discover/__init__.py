"""The job discover: which access keys are in which places of a workspace, and a fleet file for them."""
