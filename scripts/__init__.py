"""What developers run by hand: training the shipped classifiers, screenshots, the demo."""
