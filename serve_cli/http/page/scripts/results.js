// The results: tiles in order of distance, what they are, and how they were found.

const tilesShown = () => [...$("tiles").children].filter((tile) => !tile.hidden);

/** Draw the matches of a reply. Tiles that were there already are moved, not made again. */
function drawResults(query, reply, info) {
  const old = new Map([...$("tiles").children].map((tile) => [tile.dataset.id, tile]));
  const hadFocus = $("tiles").querySelector(":focus-visible") !== null; // by keyboard
  const tiles = reply.matches.map((match) => {
    const tile = old.get(match.id) ?? newTile(match);
    captionTile(tile, match, query.columns, !isBrowsing(query));
    return tile;
  });
  $("tiles").replaceChildren(...tiles);
  filterResults(query, reply, info);
  moveTo(tilesShown()[0], { focus: hadFocus });
}

/** Hide what is beyond the threshold, and say what is shown. */
function filterResults(query, reply, info) {
  const tiles = $("tiles").children;
  reply.matches.forEach((match, number) => {
    tiles[number].hidden = !isBrowsing(query) && query.within !== null && match.distance > query.within;
  });
  const shown = tilesShown();
  if (!shown.some((tile) => tile.querySelector(".picture").tabIndex === 0)) moveTo(shown[0], { focus: false });
  $("summary").textContent = summaryOf(query, reply, shown.length);
  $("others").hidden = !isBrowsing(query) || !hasMore(reply);
  $("more").hidden = !hasMore(reply) || reply.k >= info.limits.k || shown.length < reply.matches.length;
  drawTimes(query, reply);
  announce($("summary").textContent);
}

const hasMore = (reply) => reply.matches.length >= reply.k;
const announce = debounced((text) => { $("announced").textContent = text; }, 400);

function summaryOf(query, reply, shown) {
  const narrowed = query.where.trim() || query.filters.size;
  if (isBrowsing(query)) {
    const which = query.text ? `whose id contains “${query.text}”` : narrowed ? "that meet the condition" : "to start from";
    return hasMore(reply) ? `Some images ${which}` : `${images(shown)} ${which}`;
  }
  const among = narrowed ? "images that meet the condition" : images(reply.rows);
  if (query.within === null) return `${counted(shown)} nearest of ${among}`;
  return `${images(shown)} within ${thresholdText(query.within)}`;
}

function drawTimes(query, reply) {
  const { ms } = reply, stages = ["decode", "wait", "network", "search"].filter((stage) => ms[stage] !== undefined);
  const rest = Math.max(0, reply.took - stages.reduce((sum, stage) => sum + ms[stage], 0));
  const parts = [...stages.map((stage) => [stage, ms[stage]]), ["transfer", rest]].filter(([, time]) => time >= 0.05);
  const recall = reply.recall === null ? "" : `, recall ${reply.recall.toFixed(3)}`;
  const exact = make("b", {}, reply.exact ? "exact" : `approximate${recall}`);
  const stage = ([name, time]) => make("span", {}, `${name} ${milliseconds(time)}`);
  $("times").replaceChildren(exact, make("span", {}, `${milliseconds(reply.took)} ms`), ...parts.map(stage));
}

/** Make a tile the one that Tab reaches. */
function moveTo(tile, { focus }) {
  for (const control of $("tiles").querySelectorAll("button")) control.tabIndex = -1;
  if (!tile) return;
  for (const control of tile.querySelectorAll("button")) control.tabIndex = 0;
  if (focus) tile.querySelector(".picture").focus();
}

function drawNone(query, reply, act) {
  const nearest = reply.matches[0];
  const hidden = nearest && !tilesShown().length;
  if (hidden) {
    const text = `No image is within ${thresholdText(query.within)}. The nearest is at ${distanceText(nearest.distance)}.`;
    fill($("none"), make("p", {}, text), button("Any distance", "outlined", act.anyDistance));
  } else if (!nearest) fill($("none"), make("p", {}, "No image meets the condition."));
  else fill($("none"));
}

function drawProblem(text, label = "", act = null) {
  if (!text) fill($("problem"));
  else fill($("problem"), make("p", {}, text), ...(act ? [button(label, "outlined", act)] : []));
}
