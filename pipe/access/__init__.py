"""Access to each service: the variables that say how, and the signed-in client."""
