"""What Keyturn can do: each action observes, plans and carries out."""
