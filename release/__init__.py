"""What turns a tagged commit into an image that can be checked: `make release`, and the pipeline of a tag."""
