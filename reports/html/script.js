"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);

  // Copy buttons.
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea"); // where the clipboard's interface is not allowed
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  for (const button of all(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const done = await copy(byId(button.dataset.copy).textContent.trimEnd() + "\n");
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      button.classList.toggle("done", done);
      if (!done) getSelection().selectAllChildren(byId(button.dataset.copy));
      button.focus();
      setTimeout(() => { button.textContent = "Copy"; button.classList.remove("done"); }, 2500);
    });
  }

  // Neighbouring lines of the evidence.
  for (const button of all(".near-toggle")) {
    button.parentElement.hidden = false;
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      let before = button.parentElement.previousElementSibling;
      for (; before && before.matches(".log"); before = before.previousElementSibling) before.classList.toggle("no-near", !shown);
    });
  }

  // Everything unfolded: by the button, and for printing.
  const unfold = byId("unfold");
  const folds = all("details");
  let unfolded = false;
  unfold.addEventListener("click", () => {
    unfolded = !unfolded;
    for (const fold of folds) fold.open = unfolded;
    unfold.textContent = unfolded ? "Fold all" : "Unfold all";
  });
  let before = [];
  addEventListener("beforeprint", () => {
    before = folds.filter((fold) => !fold.open);
    for (const fold of before) fold.open = true;
  });
  addEventListener("afterprint", () => { for (const fold of before) fold.open = false; });

  // A link to something folded opens it.
  const reveal = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && byId(id);
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.localName === "details") at.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  // Search and filters.
  const tools = document.querySelector(".tools");
  const search = byId("search"), severity = byId("severity"), node = byId("node"), found = byId("found");
  const items = all(".item");
  const texts = new Map();
  tools.hidden = items.length < 8;
  tools.addEventListener("submit", (event) => event.preventDefault());
  const textOf = (item) => {
    if (!texts.has(item)) texts.set(item, item.textContent.toLowerCase());
    return texts.get(item);
  };
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const asked = words.length || severity.value || (node && node.value);
    let hits = 0;
    for (const item of items) {
      const data = item.dataset;
      const fits = (!severity.value || data.severity === severity.value)
        && (!node || !node.value || data.node === node.value)
        && words.every((word) => textOf(item).includes(word));
      item.hidden = !fits;
      if (!fits) continue;
      hits += 1;
      if (words.length) {
        for (let at = item.parentElement; at; at = at.parentElement) if (at.localName === "details") at.open = true;
      }
    }
    found.textContent = asked ? (hits === 1 ? "1 hit" : `${hits} hits`) : "";
  };
  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 80); });
  severity.addEventListener("change", filter);
  if (node) node.addEventListener("change", filter);
})();
