def draw_graph(graph, schema, *, title): return "<svg/>"
