// Predict: send images in small requests, show every result as its line arrives, draw boxes, explain, save as CSV.
"use strict";
(() => {
  const form = document.getElementById("predict"), results = document.getElementById("results");
  const status = document.getElementById("status"), error = document.getElementById("error");
  const csv = document.getElementById("csv"), cancel = document.getElementById("cancel");
  const AT_ONCE = 25;
  let rows = [], control = null, done = 0;

  const chosen = () => [...document.getElementById("models").selectedOptions].map((option) => option.value).join(",");
  const devices = () => [...form.querySelectorAll("[name=device]:checked")].map((input) => input.value).join(",") || "CPU";

  function fail(text) { error.textContent = text; error.classList.remove("hidden"); }

  function fields() {
    const data = new FormData();
    data.set("models", chosen());
    data.set("devices", devices());
    data.set("detect", document.getElementById("detect").checked ? "1" : "");
    return data;
  }

  async function begin(total) {
    if (control) control.abort();
    control = new AbortController();
    rows = []; done = 0;
    results.replaceChildren();
    error.classList.add("hidden");
    csv.classList.add("hidden");
    cancel.classList.remove("hidden");
    status.textContent = total ? `0 of ${total}` : "starting";
    return control.signal;
  }

  function end() {
    cancel.classList.add("hidden");
    if (!rows.length) return;
    const quote = (value) => {
      const text = String(value), safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
      return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    const lines = [["image", "device", "face", "box", "net", "label", "probability", "milliseconds"], ...rows];
    if (csv.href) URL.revokeObjectURL(csv.href);
    csv.href = URL.createObjectURL(new Blob([lines.map((line) => line.map(quote).join(",")).join("\r\n") + "\r\n"], { type: "text/csv" }));
    csv.classList.remove("hidden");
  }

  async function request(data, signal, onLine) {
    const response = await fetch("/predict", { method: "POST", body: data, signal });
    if (!response.ok) {
      const text = await response.text();
      try { throw new Error(JSON.parse(text).error); } catch (problem) { throw problem instanceof SyntaxError ? new Error(text) : problem; }
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done: ended } = await reader.read();
      if (ended) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line) onLine(JSON.parse(line));
    }
  }

  async function predictFiles(files) {
    const most = Number(form.dataset.maxImages), bytes = Number(form.dataset.maxBytes);
    const images = [...files].filter((file) => file.size <= bytes);
    const count = devices().split(",").length, signal = await begin(images.length * count);
    if (images.length < files.length) fail(`${files.length - images.length} files are larger than ${bytes / 1048576} MB and were left out`);
    try {
      for (let first = 0; first < images.length; first += Math.min(AT_ONCE, most)) {
        const part = images.slice(first, first + Math.min(AT_ONCE, most)), data = fields();
        for (const file of part) data.append("images", file, file.name);
        await request(data, signal, (row) => line(row, part[row.number], images.length * count));
      }
      status.textContent = count > 1 ? `${done} predictions of ${images.length} images on ${count} devices` : `${done} of ${images.length} predicted`;
    } catch (problem) {
      if (problem.name !== "AbortError") fail(problem.message);
    }
    end();
  }

  async function predictFolder(identifier) {
    const signal = await begin(0), data = fields();
    data.set("folder", identifier);
    try {
      await request(data, signal, (row) => line(row, null, 0));
      status.textContent = `${done} predicted`;
    } catch (problem) {
      if (problem.name !== "AbortError") fail(problem.message);
    }
    end();
  }

  function line(row, file, total) {
    if (row.done !== undefined) return;
    if (row.error && row.image === undefined) { fail(row.device ? `${row.device}: ${row.error}` : row.error); return; }
    done += 1;
    status.textContent = total ? `${done} of ${total}` : `${done} predicted`;
    const id = `r${row.number}-${row.image}`;
    let card = [...results.children].find((element) => element.dataset.id === id);
    if (!card) {
      if (results.children.length < 300) results.append((card = makeCard(id, row, file)));
      else card = makeCard(id, row, null);
    }
    card.append(answers(row));
    for (const [index, face] of (row.faces || []).entries())
      for (const [net, answer] of Object.entries(face.answers))
        rows.push([row.image, row.device, index, face.box ? face.box.join(" ") : "", net, answer.label, answer.probability, row.milliseconds]);
  }

  function makeCard(id, row, file) {
    const card = document.createElement("article"), name = document.createElement("strong");
    card.dataset.id = id;
    if (file) {
      const canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", row.image);
      card.append(canvas);
      paint(canvas, file, row);
    }
    name.textContent = row.image;
    card.append(name);
    if (file && !row.error) {
      const why = document.createElement("button");
      why.type = "button"; why.className = "plain small"; why.textContent = "Why?";
      why.addEventListener("click", () => explain(card, why, file));
      card.append(document.createTextNode(" "), why);
    }
    return card;
  }

  function answers(row) {
    const part = document.createElement("div"), title = document.createElement("div");
    title.className = "soft small";
    title.textContent = `${row.device === "SIMULATOR" ? "simulated stick" : row.device}, ${row.milliseconds ?? "–"} ms`;
    part.append(title);
    if (row.error) { part.append(text("span", row.error)); return part; }
    if (!row.faces.length) part.append(text("span", "no face was found"));
    row.faces.forEach((face, index) => {
      for (const [net, answer] of Object.entries(face.answers)) {
        const holder = document.createElement("div"), years = answer.years ? `, ${answer.years.toFixed(1)} years` : "";
        holder.append(text("span", `${row.faces.length > 1 ? `face ${index}: ` : ""}${net}: `), text("strong", answer.label), text("span", ` ${(100 * answer.probability).toFixed(1)} %${years}`));
        holder.title = answer.top.map((item) => `${item.class} ${(100 * item.probability).toFixed(1)} %`).join("\n");
        part.append(holder);
      }
    });
    for (const warning of row.warnings || []) { const note = text("div", warning); note.className = "soft small"; part.append(note); }
    return part;
  }

  function text(name, value) { const element = document.createElement(name); element.textContent = value; return element; }

  async function paint(canvas, file, row) {
    let image;
    try { image = await createImageBitmap(file); } catch { canvas.remove(); return; }
    const scale = Math.min(1, 480 / Math.max(image.width, image.height));
    canvas.width = Math.round(image.width * scale); canvas.height = Math.round(image.height * scale);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    context.lineWidth = 3; context.strokeStyle = "#ffd400"; context.font = "16px sans-serif";
    (row.faces || []).forEach((face, index) => {
      if (!face.box) return;
      const [left, top, right, bottom] = face.box.map((v) => v * scale);
      context.strokeRect(left, top, right - left, bottom - top);
      context.fillStyle = "#ffd400";
      context.fillText(String(index), left + 4, top + 18);
    });
  }

  async function explain(card, button, file) {
    button.disabled = true;
    button.textContent = "covering parts …";
    const data = fields();
    data.append("images", file, file.name);
    const response = await fetch("/predict/explain", { method: "POST", body: data });
    const values = await response.json().catch(() => ({ error: "no answer" }));
    button.remove();
    if (!response.ok || values.error) { card.append(text("div", values.error)); return; }
    const bitmap = await createImageBitmap(file);
    for (const map of values.maps) {
      const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
      canvas.width = canvas.height = 200;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Parts that matter for ${map.label}`);
      const side = Math.min(bitmap.width, bitmap.height);
      context.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, 200, 200);
      const most = Math.max(1e-6, ...map.map.flat());
      map.map.forEach((line, y) => line.forEach((drop, x) => {
        context.fillStyle = `rgba(255, 60, 0, ${0.65 * Math.max(0, drop) / most})`;
        context.fillRect(x * 200 / line.length, y * 200 / map.map.length, 200 / line.length + 0.5, 200 / map.map.length + 0.5);
      }));
      card.append(text("div", `${map.net}: covering a red part lowers "${map.label}" by up to ${(100 * most).toFixed(1)} points`), canvas);
    }
  }

  const drop = document.getElementById("drop");
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); if (event.dataTransfer.files.length) predictFiles(event.dataTransfer.files); });
  document.addEventListener("paste", (event) => { if (event.clipboardData.files.length) predictFiles(event.clipboardData.files); });
  document.getElementById("files").addEventListener("change", (event) => predictFiles(event.target.files));
  cancel.addEventListener("click", () => control && control.abort());
  const folder = document.getElementById("run-folder");
  if (folder) folder.addEventListener("click", () => predictFolder(document.getElementById("folder").value));
  form.addEventListener("submit", (event) => event.preventDefault());

  const video = document.getElementById("video"), view = document.getElementById("camera-view");
  document.getElementById("camera").addEventListener("click", async () => {
    try {
      if (!navigator.mediaDevices) throw new Error("the browser allows the camera only on this machine's own address or over https");
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
      view.classList.remove("hidden");
    } catch (problem) { fail(`camera: ${problem.message}`); }
  });
  document.getElementById("close-camera").addEventListener("click", () => {
    for (const track of video.srcObject ? video.srcObject.getTracks() : []) track.stop();
    view.classList.add("hidden");
  });
  document.getElementById("shoot").addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth; canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => predictFiles([new File([blob], "camera.jpg", { type: "image/jpeg" })]), "image/jpeg", 0.95);
  });
})();
