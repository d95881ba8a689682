// The map: pictures on a canvas, with panning, zooming, and a card for each picture.
const map = (() => {
  const MOST_ZOOM = 60, STEP = 1.6, TAP = 6; // TAP: pixels that a finger may move during a tap
  const LARGE = 192; // pixels of the picture in the card
  const FAINT = 0.1; // opacity of images that the filter leaves out
  const images = page.onMap, section = document.getElementById("map");
  const box = section.querySelector(".map"), canvas = box.querySelector("canvas");
  const card = box.querySelector(".card"), picture = card.querySelector("canvas");
  const sheet = page.sheet, pen = canvas.getContext("2d");
  const view = { zoom: 1, x: 0.5, y: 0.5 }; // scale, and the position in the middle
  let chosen = null, held = false, dots = false, width = 0, height = 0, waiting = false, colors = {};
  let kept = images, left = []; // images that the filter shows, and the others

  const side = () => Math.min(width, height) * 0.92 * view.zoom; // pixels of the unit square
  // When zooming in, positions move apart faster than pictures grow
  const size = () => Math.min(140, Math.max(9, side() / view.zoom / Math.sqrt(images.length) * 1.05) * view.zoom ** 0.7);

  function at(image) {
    return [width / 2 + (image.x - view.x) * side(), height / 2 + (image.y - view.y) * side()];
  }

  function extent(image) {
    const scale = dots || !image.cell ? 0 : size() / Math.max(image.cell.width, image.cell.height);
    const round = Math.min(14, size() * 0.45);
    return scale ? [image.cell.width * scale, image.cell.height * scale] : [round, round];
  }

  function readColors() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["accent", "soft", "surface", "ink"]) colors[name] = style.getPropertyValue("--" + name).trim();
    colors.dark = matchMedia("(prefers-color-scheme: dark)").matches;
  }

  // Steps of the golden angle give neighboring numbers different colors
  const hue = (number) => `hsl(${(number * 137.508) % 360} 60% ${colors.dark ? 65 : 42}%)`;

  function drawOne(image, framed) {
    const [x, y] = at(image), [w, h] = extent(image);
    if (x + w < 0 || y + h < 0 || x - w > width || y - h > height) return;
    if (dots || !image.cell || !sheet.naturalWidth) {
      pen.fillStyle = hue(image.number);
      pen.beginPath();
      pen.arc(x, y, w / 2, 0, 2 * Math.PI);
      pen.fill();
    } else {
      const { left, top, width, height } = image.cell;
      pen.drawImage(sheet, left, top, width, height, x - w / 2, y - h / 2, w, h);
    }
    if (framed) {
      pen.lineWidth = image === chosen ? 4 : 2;
      pen.strokeStyle = image === chosen ? colors.ink : colors.accent;
      pen.strokeRect(x - w / 2 - 1, y - h / 2 - 1, w + 2, h + 2);
    }
  }

  function draw() {
    waiting = false;
    if (!width) return; // folded
    const density = canvas.width / width;
    pen.setTransform(density, 0, 0, density, 0, 0);
    pen.imageSmoothingQuality = "high";
    pen.fillStyle = colors.surface;
    pen.fillRect(0, 0, width, height);
    pen.globalAlpha = FAINT;
    for (const image of left) drawOne(image, false);
    pen.globalAlpha = held ? 0.3 : 1;
    for (const image of kept) if (!chosen || image.number !== chosen.number) drawOne(image, false);
    pen.globalAlpha = 1;
    if (!chosen) return;
    for (const image of kept) if (image.number === chosen.number && image !== chosen) drawOne(image, true);
    drawOne(chosen, true);
  }

  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(draw);
  }

  function resize() {
    const density = Math.min(window.devicePixelRatio || 1, 3);
    [width, height] = [canvas.clientWidth, canvas.clientHeight];
    [canvas.width, canvas.height] = [Math.round(width * density), Math.round(height * density)];
    moved();
  }

  function moved() {
    view.x = Math.min(1, Math.max(0, view.x));
    view.y = Math.min(1, Math.max(0, view.y));
    // Without zoom, a finger on the map scrolls the page
    canvas.style.touchAction = view.zoom > 1 ? "none" : "pan-y";
    canvas.dataset.zoom = view.zoom.toFixed(2);
    if (chosen) putCard();
    redraw();
  }

  function zoomAt(factor, x, y) {
    const before = side();
    view.zoom = Math.min(MOST_ZOOM, Math.max(1, view.zoom * factor));
    if (view.zoom === 1) return fit();
    view.x += (x - width / 2) * (1 / before - 1 / side()); // keeps the point under the pointer
    view.y += (y - height / 2) * (1 / before - 1 / side());
    moved();
  }

  function fit() {
    Object.assign(view, { zoom: 1, x: 0.5, y: 0.5 });
    moved();
  }

  function pan(x, y) {
    view.x -= x / side();
    view.y -= y / side();
    moved();
  }

  // Return the picture under a point: the last drawn, or the nearest within the slack
  function under(x, y, slack) {
    let nearest = null, least = Infinity;
    for (const image of kept) {
      const [px, py] = at(image), [w, h] = extent(image);
      const away = Math.max(Math.abs(px - x) - w / 2, Math.abs(py - y) - h / 2, 0);
      if (away <= slack && (away < least || away === 0)) [nearest, least] = [image, away];
    }
    return nearest;
  }

  // Show the card of an image. With `hold`, it stays open and other classes fade
  function choose(image, hold) {
    if (image === chosen && hold === held) return;
    [chosen, held] = [image, hold && image !== null];
    card.hidden = !image;
    if (image) {
      fillCard(image);
      putCard();
    }
    redraw();
  }

  function fillCard(image) {
    card.querySelector("b").textContent = image.trained ? `${image.name} (trained on)` : image.name;
    card.querySelector("span").textContent = image.id.length > 80 ? "…" + image.id.slice(-79) : image.id;
    picture.hidden = !image.cell;
    if (image.cell) page.paint(picture, image.cell, 2 * LARGE);
  }

  function putCard() {
    const [x, y] = at(chosen), [w, h] = extent(chosen), gap = 10;
    const wide = card.offsetWidth, high = card.offsetHeight;
    const right = x + w / 2 + gap, left = x - w / 2 - gap - wide;
    const across = right + wide <= width ? right : left >= 0 ? left : (width - wide) / 2;
    const beside = across === right || across === left;
    const down = beside ? y - high / 2 : y + h / 2 + gap + high <= height ? y + h / 2 + gap : y - h / 2 - gap - high;
    card.style.left = `${Math.max(4, Math.min(across, width - wide - 4))}px`;
    card.style.top = `${Math.max(4, Math.min(down, height - high - 4))}px`;
  }

  const pointers = new Map();
  let wandered = 0, gap = 0;

  const pointOf = (event) => {
    const edge = canvas.getBoundingClientRect();
    return [event.clientX - edge.left - canvas.clientLeft, event.clientY - edge.top - canvas.clientTop];
  };
  const between = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]);

  canvas.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, pointOf(event));
    canvas.setPointerCapture(event.pointerId);
    if (pointers.size === 1) wandered = 0;
    if (pointers.size === 2) gap = between([...pointers.values()]);
  });

  canvas.addEventListener("pointermove", (event) => {
    const now = pointOf(event), before = pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse" && !held) choose(under(...now, 0), false);
      return;
    }
    pointers.set(event.pointerId, now);
    wandered += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()], apart = between([a, b]);
      wandered = Infinity;
      if (gap) zoomAt(apart / gap, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      gap = apart;
    } else if (wandered > TAP) {
      if (!held) choose(null, false);
      pan(now[0] - before[0], now[1] - before[1]);
    }
  });

  function lifted(event) {
    const tapped = event.type === "pointerup" && pointers.size === 1 && wandered <= TAP;
    pointers.delete(event.pointerId);
    gap = 0;
    if (!tapped) return;
    const image = under(...pointOf(event), event.pointerType === "mouse" ? 0 : 16);
    open(image);
  }

  // Show the card and the neighbors of an image; without one, hide the card
  function open(image) {
    choose(image, true);
    if (image) viewer.view(image);
  }
  canvas.addEventListener("pointerup", lifted);
  canvas.addEventListener("pointercancel", lifted);
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !pointers.size && !held) choose(null, false);
  });

  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey && !event.metaKey) return; // scrolls the page
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 30 : 1;
    zoomAt(Math.exp(-event.deltaY * lines * 0.002), ...pointOf(event));
  }, { passive: false });

  canvas.addEventListener("keydown", (event) => {
    const step = 60, keys = {
      ArrowLeft: () => pan(step, 0), ArrowRight: () => pan(-step, 0),
      ArrowUp: () => pan(0, step), ArrowDown: () => pan(0, -step),
      "+": () => zoomAt(STEP, width / 2, height / 2), "=": () => zoomAt(STEP, width / 2, height / 2),
      "-": () => zoomAt(1 / STEP, width / 2, height / 2), "0": fit,
      Enter: () => open(under(width / 2, height / 2, Infinity)), Escape: () => choose(null, false),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });

  box.querySelector(".tools").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.do === "in") zoomAt(STEP, width / 2, height / 2);
    if (button.dataset.do === "out") zoomAt(1 / STEP, width / 2, height / 2);
    if (button.dataset.do === "fit") fit();
    if (button.dataset.do === "dots") {
      dots = !dots;
      button.setAttribute("aria-pressed", String(dots));
      redraw();
    }
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColors(); redraw(); });
  readColors();
  new ResizeObserver(resize).observe(canvas);
  resize();
  sheet.decode().catch(() => {}).then(redraw); // shows dots without the sheet

  // Keep only images for which `shows` returns true; the others are faint and cannot be chosen
  function keep(shows) {
    kept = images.filter(shows);
    left = images.filter((image) => !shows(image));
    if (chosen && !kept.includes(chosen)) choose(null, false);
    redraw();
    return kept;
  }

  // Zoom to some images
  function zoomTo(shown) {
    const all = [shown.map(({ x }) => x), shown.map(({ y }) => y)];
    const low = all.map((values) => Math.min(...values)), high = all.map((values) => Math.max(...values));
    const span = Math.max(high[0] - low[0], high[1] - low[1], 0.08); // at least one image and what is around it
    const zoom = Math.min(MOST_ZOOM, Math.max(1, 0.8 / span));
    Object.assign(view, { zoom, x: (low[0] + high[0]) / 2, y: (low[1] + high[1]) / 2 });
    moved();
  }

  // Unfold the map, scroll to it, and show one image in its middle
  function reveal(image) {
    section.querySelector("details").open = true;
    box.scrollIntoView({ block: "center", behavior: "instant" });
    resize();
    Object.assign(view, { zoom: Math.max(view.zoom, 4), x: image.x, y: image.y });
    moved();
    choose(image, true);
    canvas.focus({ preventScroll: true });
  }

  return { images, keep, zoomTo, reveal, fit };
})();
