"""What has to exist in AWS and Vault, as texts that make it: for `infra/`, the README and `ACTION: setup`."""
