"""A pretend AWS account: IAM, STS, SNS and Secrets Manager on this machine alone."""

from sandbox.aws.seed import KeyView, Pair, SecretView, VersionView
from sandbox.aws.simulator import Aws

__all__ = ["Aws", "KeyView", "Pair", "SecretView", "VersionView"]
