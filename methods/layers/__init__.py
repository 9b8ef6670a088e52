"""What networks are made of, one module a kind: backbones and their weights, input scaling, poolings, maps, batch
statistics, the dense CRF. Methods import the modules by name."""
