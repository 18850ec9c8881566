"""A pretend IAM Roles Anywhere, which verifies certificates and signatures as the real one does."""

from sandbox.aws.anywhere.registry import Registry
from sandbox.aws.anywhere.service import RolesAnywhere

__all__ = ["Registry", "RolesAnywhere"]
