// The form of a training: check it, draw the net and the learning rate, show errors of the prototxt at their line.
"use strict";
(() => {
  const form = document.getElementById("train"), error = document.getElementById("check-error");
  const busy = document.getElementById("busy"), result = document.getElementById("checked");
  let chart = null;

  async function send(address) {
    busy.textContent = "checking …";
    error.classList.add("hidden");
    try {
      const response = await fetch(address, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { accept: "application/json" } });
      const type = response.headers.get("content-type") || "";
      const values = type.includes("json") ? await response.json() : { error: await response.text() };
      if (!response.ok) throw new Error(values.error);
      return values;
    } catch (problem) {
      show(problem.message);
      return null;
    } finally {
      busy.textContent = "";
    }
  }

  function show(text) {
    error.textContent = text;
    error.classList.remove("hidden");
    error.scrollIntoView({ block: "nearest" });
    const place = /(train_val|solver)\.prototxt:(\d+)/.exec(text);
    if (!place) return;
    const area = document.getElementById(place[1] === "solver" ? "solver" : "net");
    const lines = area.value.split("\n"), line = Number(place[2]) - 1;
    const begin = lines.slice(0, line).join("\n").length + (line ? 1 : 0);
    area.focus();
    area.setSelectionRange(begin, begin + (lines[line] || "").length);
    area.scrollTop = Math.max(0, line - 4) * parseFloat(getComputedStyle(area).lineHeight);
  }

  function facts(values) {
    const rows = [["Layers", values.layers], ["Weights", values.weights.toLocaleString("en")], ["Batch", values.batch], ["Memory, about", `${Math.round(values.memory_megabytes)} MB`],
      ["One iteration", `${values.seconds_per_iteration} s`], [`${values.max_iter} iterations, about`, values.minutes < 120 ? `${values.minutes.toFixed(1)} minutes` : `${(values.minutes / 60).toFixed(1)} hours`]];
    document.getElementById("facts").replaceChildren(...rows.map(([name, value]) => {
      const row = document.createElement("div"), term = document.createElement("dt"), text = document.createElement("dd");
      term.textContent = name; text.textContent = value;
      row.append(term, text);
      return row;
    }));
  }

  function schedule(rows) {
    const holder = document.getElementById("schedule"), style = getComputedStyle(document.body);
    const axis = { stroke: style.color, grid: { stroke: style.getPropertyValue("--line"), width: 1 }, size: 70 };
    if (chart) chart.destroy();
    chart = new uPlot({
      width: Math.max(260, holder.clientWidth), height: 220, scales: { x: { time: false } }, axes: [{ ...axis, size: 40 }, { ...axis, values: (u, ticks) => ticks.map((tick) => Number(tick.toPrecision(4))) }],
      series: [{ label: "iteration" }, { label: "learning rate", stroke: "#3f6ad8", value: (u, v) => (v === null ? "–" : v.toPrecision(4)) }],
    }, [rows.map((row) => row[0]), rows.map((row) => row[1])], holder);
  }

  document.getElementById("check").addEventListener("click", async () => {
    const values = await send("/train/check");
    result.classList.toggle("hidden", !values);
    if (!values) return;
    facts(values);
    schedule(values.schedule);
    drawGraph(document.getElementById("graph"), values.graph);
    result.scrollIntoView({ block: "nearest" });
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = await send("/train");
    if (values) location.href = values.address;
  });
})();
