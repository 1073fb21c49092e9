"""Pictures and people: the layout of a graph, the page that shows a pass on it, and the command line."""
