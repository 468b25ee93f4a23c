// Draw the graph of a net as SVG: boxes with type, shapes and weights; a box may be a link to its layer.
"use strict";
window.drawGraph = (holder, graph, address) => {
  const NS = "http://www.w3.org/2000/svg", WIDTH = 190, HEIGHT = 56;
  const scale = { x: (v) => v, y: (v) => Math.round(v * 1.12) };
  const make = (name, values, text) => {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(values)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const places = new Map(graph.boxes.map((box) => [box.name, box]));
  const width = Math.max(...graph.boxes.map((box) => box.x)) + WIDTH + 20;
  const height = Math.max(...graph.boxes.map((box) => scale.y(box.y))) + HEIGHT + 20;
  const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Graph of the net" });
  for (const [from, to] of graph.lines) {
    const a = places.get(from), b = places.get(to);
    if (!a || !b) continue;
    const x1 = a.x + WIDTH / 2, x2 = b.x + WIDTH / 2, y1 = scale.y(a.y) + HEIGHT, y2 = scale.y(b.y), middle = (y1 + y2) / 2;
    svg.append(make("path", { class: "edge", d: `M${x1} ${y1} C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}` }));
  }
  for (const box of graph.boxes) {
    const y = scale.y(box.y), x = box.x + WIDTH / 2;
    const group = address ? make("a", { href: address(box.name) }) : make("g", {});
    group.append(make("title", {}, `${box.name}, ${box.type}, ${box.shapes.join(", ")}, ${box.weights} weights`));
    group.append(make("rect", { class: "box", x: box.x, y, width: WIDTH, height: HEIGHT, rx: 6 }));
    group.append(make("text", { x, y: y + 17, "text-anchor": "middle" }, short(box.name, 26)));
    group.append(make("text", { class: "sub", x, y: y + 32, "text-anchor": "middle" }, short(box.type + (box.weights ? `, ${box.weights} weights` : ""), 34)));
    group.append(make("text", { class: "sub", x, y: y + 46, "text-anchor": "middle" }, short(box.shapes.join("  "), 36)));
    svg.append(group);
  }
  holder.replaceChildren(svg);
};
