"""What each tab shows, as one frozen value that a pure function makes of the state."""
