"""Keeps what Vault has in AWS Secrets Manager, too."""
