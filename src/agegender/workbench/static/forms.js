// Show the parts of a form that belong to the chosen radio button.
"use strict";
(() => {
  function update() {
    const chosen = [...document.querySelectorAll("[data-shows]:checked")].map((input) => input.dataset.shows);
    for (const part of document.querySelectorAll("[data-for]")) {
      const shown = part.dataset.for.split(" ").some((name) => chosen.includes(name));
      part.classList.toggle("hidden", !shown);
      for (const field of part.querySelectorAll("input, select, textarea")) field.disabled = !shown;
    }
  }
  for (const input of document.querySelectorAll("[data-shows]")) input.addEventListener("change", update);
  update();
})();
