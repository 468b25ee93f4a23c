// The page of a run: event streams into the curves and the figures above them.
"use strict";
(() => {
  const holder = document.getElementById("curves"), maximum = Number(holder.dataset.max) || 0;
  const curves = new Curves(holder, maximum);
  const overlaid = JSON.parse(document.getElementById("overlaid").textContent);
  const last = (map) => (map && map.size ? [...map].reduce((a, b) => (b[0] >= a[0] ? b : a)) : null);
  const set = (id, text) => { document.getElementById(id).textContent = text; };

  function clock(seconds) {
    const whole = Math.round(seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    const rest = String(whole % 60).padStart(2, "0");
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
  }

  function figures(run, speed) {
    const loss = last(run.series.loss), rate = last(run.series.lr);
    const accuracy = Object.entries(run.series).filter(([label]) => label.startsWith("test ") && label.includes("accuracy"));
    if (loss) { set("iteration", loss[0]); set("loss", loss[1] === null ? "not finite" : loss[1].toPrecision(4)); }
    if (rate) set("rate", Number(rate[1].toPrecision(4)));
    if (accuracy.length) set("accuracy", `${(100 * last(accuracy[0][1])[1]).toFixed(1)} %`);
    if (speed) set("speed", `${speed.toPrecision(3)} iterations/s`);
    const running = holder.dataset.state === "running";
    set("left", running && speed && maximum && loss ? clock(Math.max(0, maximum - loss[0]) / speed) : "–");
  }

  function watch(identifier, name, best, main) {
    const run = curves.addRun(name, best);
    const source = new EventSource(`/runs/${identifier}/events`);
    source.addEventListener("message", (event) => {
      const points = JSON.parse(event.data);
      curves.add(run, points);
      if (main) figures(run, points.speed);
    });
    source.addEventListener("restart", () => curves.clear(run));
  }

  const best = holder.dataset.best === "" ? null : Number(holder.dataset.best);
  watch(holder.dataset.run, holder.dataset.name, best, true);
  for (const run of overlaid) watch(run.id, run.name, null, false);

  document.getElementById("log-axis").addEventListener("change", (event) => { curves.log = event.target.checked; curves.schedule(); });
  document.getElementById("smooth").addEventListener("input", (event) => { curves.smoothing = Number(event.target.value); curves.schedule(); });
  document.getElementById("overlay").addEventListener("change", (event) => {
    if (!event.target.value) return;
    const ids = [...overlaid.map((run) => run.id), event.target.value];
    location.search = `?with=${[...new Set(ids)].join(",")}`;
  });

  // the state decides which buttons are there
  async function poll() {
    try {
      const page = await (await fetch(`/runs/${holder.dataset.run}/state.json`)).json();
      if (page.state !== holder.dataset.state || page.snapshots !== Number(holder.dataset.snapshots)) {
        if (!document.activeElement || document.activeElement === document.body) { location.reload(); return; }
      }
    } catch { /* the server is restarting */ }
    setTimeout(poll, 3000);
  }
  if (["running", "waiting"].includes(holder.dataset.state)) setTimeout(poll, 1500);
})();
