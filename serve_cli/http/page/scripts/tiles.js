// Tiles: a picture to search from, and its distance, label, id and columns. All have room for the usual picture.

const WIDEST = 16 / 9, NARROWEST = 3 / 4; // width over height
const ENOUGH = 8; // pictures that decide the shape

const shapes = [];

function newTile(match) {
  const label = [match.label, match.id].filter(Boolean).join(", ");
  const image = picture(match.id, label, tileWidth());
  image.addEventListener("load", () => learnShape(image));
  const open = make("button", { type: "button", className: "picture", tabIndex: -1, title: match.id }, image);
  const more = button("+", "", null), less = button("−", "", null);
  more.ariaLabel = `More like ${match.id}`;
  less.ariaLabel = `Less like ${match.id}`;
  more.dataset.do = "more";
  less.dataset.do = "less";
  open.dataset.do = "open";
  more.tabIndex = less.tabIndex = -1;
  const frame = make("div", { className: "frame" }, open, make("div", { className: "steer" }, more, less));
  const tile = make("li", { className: "tile" }, frame, make("div", { className: "caption" }));
  tile.dataset.id = match.id;
  return tile;
}

function captionTile(tile, match, columns, withDistance) {
  const lines = [];
  const distance = make("b", { className: "distance", id: `distance-${match.rank}` }, distanceText(match.distance ?? 0));
  distance.prepend(make("span", { className: "unseen" }, "distance "));
  if (withDistance) lines.push(distance);
  if (match.label !== null) lines.push(make("span", { className: "label" }, match.label));
  lines.push(make("span", { className: "id" }, tail(match.id)));
  for (const name of columns) {
    lines.push(make("span", { className: "column" }, make("i", {}, `${name} `), valueText(match.columns[name])));
  }
  tile.querySelector(".caption").replaceChildren(...lines);
  const open = tile.querySelector(".picture");
  if (withDistance) open.setAttribute("aria-describedby", distance.id);
  else open.removeAttribute("aria-describedby");
}

function valueText(value) {
  if (value === null || value === undefined) return "–";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

const tileWidth = () => parseFloat(getComputedStyle($("tiles")).gridTemplateColumns) || 256;

function learnShape(image) {
  image.parentElement.classList.add("loaded");
  if (shapes.length >= ENOUGH || shapes.push(image.naturalWidth / image.naturalHeight) < ENOUGH) return;
  const median = [...shapes].sort((a, b) => a - b)[ENOUGH / 2];
  $("tiles").style.setProperty("--shape", Math.min(WIDEST, Math.max(NARROWEST, median)));
}
