// Keys: arrows move among the tiles, + and - steer, / goes to the id field, ? shows help, Esc closes.

/** Listen for keys. `act` has steer(id, weight). */
function listenForKeys(act) {
  $("tiles").addEventListener("keydown", (event) => {
    const tile = event.target.closest(".tile");
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = neighborOf(tile, event.key);
    const weight = { "+": 1, "=": 1, "-": -1, "−": -1 }[event.key];
    if (next) moveTo(next, { focus: true });
    else if (weight) act.steer(tile.dataset.id, weight);
    else return;
    event.preventDefault();
  });
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") escape();
    else if (!isTyping(event.target)) {
      const keys = { "/": focusText, "?": openHelp, f: toggleFilters, F: toggleFilters };
      if (!Object.hasOwn(keys, event.key)) return;
      event.preventDefault();
      keys[event.key]();
    }
  });
  $("help-button").onclick = openHelp;
  $("help-close").onclick = () => $("help").close();
}

function neighborOf(tile, key) {
  const tiles = tilesShown(), at = tiles.indexOf(tile);
  const across = tiles.findIndex((other) => other.offsetTop > tiles[0].offsetTop);
  const row = across < 0 ? tiles.length : across;
  const target = {
    ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - row, ArrowDown: at + row, Home: 0, End: tiles.length - 1,
  }[key];
  return tiles[target] ?? null;
}

const isTyping = (element) => element.matches("input:not([type=checkbox], [type=range])");
const openHelp = () => $("help").showModal();

function focusText() {
  $("text").focus();
  $("text").select();
}

function toggleFilters() {
  openPanel("filters");
  if (!$("filters").hidden) $("where").focus();
}

function escape() {
  const panel = ["filters", "columns"].find((name) => !$(name).hidden);
  if (panel) {
    openPanel(panel, false);
    $(`${panel}-button`).focus();
  } else document.activeElement.blur();
}
