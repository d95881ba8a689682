// Elements: those of the page, new ones whose children are text (never HTML), and numbers as text.

const $ = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children); // strings become text
  return element;
}

function button(text, className, onclick) {
  return make("button", { type: "button", className, onclick }, text);
}

/** Show an element with these children, or hide it if there are none. */
function fill(element, ...children) {
  element.replaceChildren(...children);
  element.hidden = !children.length;
}

const counted = (number) => number.toLocaleString("en-US");
const images = (number) => `${counted(number)} ${number === 1 ? "image" : "images"}`;
const distanceText = (distance) => distance.toFixed(4);
const milliseconds = (ms) => (ms < 9.95 ? ms.toFixed(1) : ms.toFixed(0));

/** Format a size in MB. Limits are rounded down. */
function megabytes(bytes, round = Math.floor) {
  const size = bytes / 1e6;
  return `${size < 10 ? round(10 * size) / 10 : round(size)}\u00a0MB`;
}

/** Shorten a path to its end, the most informative part. */
function tail(name, length = 34) {
  if (name.length <= length) return name;
  const start = name.indexOf("/", name.length - length);
  return "…" + name.slice(start >= 0 ? start : name.length - length);
}

/** Return a function that calls another when `ms` have passed without a call. */
function debounced(call, ms) {
  let timer = 0;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...values), ms);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}
