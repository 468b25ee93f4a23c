"use strict";
(() => {
  const holder = document.getElementById("graph"), net = JSON.parse(document.getElementById("net").textContent);
  drawGraph(holder, net.graph, (name) => holder.dataset.base + net.names.indexOf(name));
})();
