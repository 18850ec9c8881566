"""The rotation of an IAM user's access key."""
