// Refresh the parts marked data-live while a job is running or waiting.
"use strict";
(() => {
  const parts = () => [...document.querySelectorAll("[data-live]")];
  const active = () => parts().some((part) => part.querySelector(".state.running, .state.waiting"));
  let failures = 0;

  async function refresh() {
    try {
      const response = await fetch(location.href, { headers: { accept: "text/html" } });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const part of parts()) {
        const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
        if (!fresh || fresh.innerHTML === part.innerHTML || part.contains(document.activeElement)) continue;
        const output = part.querySelector("pre");
        const atEnd = !output || output.scrollTop + output.clientHeight >= output.scrollHeight - 8;
        part.replaceChildren(...fresh.childNodes);
        const shown = part.querySelector("pre");
        if (shown && atEnd) shown.scrollTop = shown.scrollHeight;
      }
      failures = 0;
    } catch {
      failures += 1;
    }
    if (active() || failures) setTimeout(refresh, Math.min(30000, 1500 * (1 + failures)));
    else if (document.querySelector('[data-live="job"]')) location.reload(); // the buttons below change as well
  }
  const output = document.querySelector("[data-live] pre");
  if (output) output.scrollTop = output.scrollHeight;
  if (active()) setTimeout(refresh, 1000);
})();
