// Load further thumbnails when the end of the list comes into view; draw the example of augmentation.
"use strict";
(() => {
  const list = document.getElementById("thumbs"), more = document.getElementById("more");
  let loading = false;

  function figure(record) {
    const item = document.createElement("li"), holder = document.createElement("figure");
    const link = document.createElement("a"), image = document.createElement("img");
    const caption = document.createElement("figcaption");
    const address = `/datasets/${list.dataset.item}/image/${record.key}`;
    link.href = `${address}?side=512`;
    Object.assign(image, { src: address, width: 96, height: 96, loading: "lazy", alt: record.class });
    caption.textContent = record.class;
    link.append(image);
    holder.append(link, caption);
    item.append(holder);
    return item;
  }

  async function next() {
    if (loading || !list.dataset.next) return;
    loading = true;
    const query = new URLSearchParams({ after: list.dataset.next });
    if (list.dataset.label) query.set("label", list.dataset.label);
    const response = await fetch(`/datasets/${list.dataset.item}.json?${query}`);
    if (response.ok) {
      const page = await response.json();
      list.append(...page.shown.map(figure));
      list.dataset.next = page.next || "";
      if (!page.next) more.remove();
    }
    loading = false;
  }

  if (list && more) {
    more.addEventListener("click", (event) => { event.preventDefault(); next(); });
  }

  const form = document.getElementById("example");
  if (form) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const image = document.getElementById("example-image"), error = document.getElementById("example-error");
      const query = new URLSearchParams(new FormData(form));
      query.set("seed", String(Math.floor(Math.random() * 1e6)));
      const response = await fetch(`/datasets/${form.dataset.item}/example?${query}`, { headers: { accept: "application/json" } });
      error.classList.toggle("hidden", response.ok);
      if (!response.ok) { error.textContent = (await response.json()).error; return; }
      if (image.src) URL.revokeObjectURL(image.src);
      image.src = URL.createObjectURL(await response.blob());
      image.classList.remove("hidden");
    });
  }
})();
