"""One YAML file a method and preset; `raysearch.space` reads them."""
