"""Scripts for developers: shipped classifiers, screenshots and the demo."""
