"""A pretend world to try Keyturn in: Bitbucket Cloud, AWS and OpenBao on this machine alone."""
