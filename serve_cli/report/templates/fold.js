"use strict";
// Sections are open in the document, so that all of it can be read without this script. Phones fold them.
(() => {
  const folds = document.querySelectorAll("details.fold");

  // Open the section that a link leads to, and what it is folded into
  function open(id) {
    const section = id && document.getElementById(id);
    if (!section) return;
    const inside = section.querySelector("details.fold");
    if (inside) inside.open = true;
    for (let outer = section.closest("details"); outer; outer = outer.parentElement.closest("details")) outer.open = true;
  }

  if (matchMedia("(max-width: 760px)").matches) for (const fold of folds) fold.open = false;
  open(location.hash.slice(1));
  document.querySelector("nav").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link) open(link.hash.slice(1));
  });
  addEventListener("beforeprint", () => { for (const fold of document.querySelectorAll("details")) fold.open = true; });
})();
