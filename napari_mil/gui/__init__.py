"""The only room with Qt and napari: state, jobs, layers, views and the controllers that connect them."""
