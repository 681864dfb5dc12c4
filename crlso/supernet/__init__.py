"""Weight sharing: one network that holds every architecture of a space, and the images that it is trained on."""
