"""Pull: secrets of a source into Bitbucket's variables, only where they have changed."""
