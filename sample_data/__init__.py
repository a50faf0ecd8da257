"""The slide and the small bag that the demo and *File › Open Sample* open."""
