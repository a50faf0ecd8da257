"""The only room with Qt and napari: model, views, controllers, layers and jobs."""
