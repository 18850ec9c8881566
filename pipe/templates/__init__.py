"""What has to exist in AWS and Vault, as texts that make it: one source for `infra/`, the README and `ACTION: setup`."""
