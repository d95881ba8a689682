// The page: one query, one reply. Every change of the query ends in `change`, which asks the server and draws.

const OPENING = 503; // status while the server opens its model

let info = null;
let query = { ...NO_QUERY };
let reply = null;
let running = null; // AbortController of the request under way
let typing = ""; // field that is being typed in: its changes share an entry of the history
let chooser = null;
const labels = new Map(); // id -> label, as far as results have shown it

function change(changes, { how = "push", field = "" } = {}) {
  query = { ...query, ...changes };
  remember(how, field);
  refresh(false);
}

function remember(how, field) {
  const replace = how === "replace" || (field && field === typing);
  typing = field;
  const address = addressOf(query);
  const url = address ? `#${address}` : location.pathname + location.search;
  history[replace ? "replaceState" : "pushState"]({ photos: photoNames(query) }, "", url);
}

/** Search for something else: from the top, with the same filters. */
function searchFor(terms) {
  scrollTo(0, 0);
  change({ terms, text: "", k: FIRST_K });
}

async function refresh(fromKept) {
  running?.abort();
  const request = new AbortController();
  running = request;
  drawQuery();
  const gone = query.terms.find(isGone);
  if (gone) {
    drawGone(gone);
    return;
  }
  setBusy(true);
  try {
    const next = await answer(query, info, request.signal, fromKept);
    if (running === request) drawReply(next);
  } catch (error) {
    if (running === request) showError(error);
  } finally {
    if (running === request) setBusy(false);
  }
}

function drawQuery() {
  if ($("text").value.trim() !== query.text) $("text").value = query.text;
  drawTerms(query, labels, terms);
  drawFilters(query);
  sayThreshold(query.within);
  const [first] = query.terms;
  document.title = first ? `${tail(first.kind === "id" ? first.value : photoName(first.value))} – search` : "Search";
}

function drawReply(next) {
  const exact = isBrowsing(query) && query.text && next.matches.find((match) => match.id === query.text);
  if (exact) {
    change({ terms: [{ kind: "id", value: exact.id, weight: 1 }] }, { how: "replace", field: "text" });
    return;
  }
  reply = next;
  for (const match of reply.matches) labels.set(match.id, match.label);
  drawProblem("");
  clearConditionProblem();
  $("results").classList.remove("stale");
  drawResults(query, reply, info);
  drawThreshold(query, reply);
  drawNone(query, reply, { anyDistance: () => change({ within: null }) });
}

function showError(error) {
  if (!(error instanceof ServerError)) throw error;
  const { before } = conditionOf(query, info.index.columns);
  $("results").classList.add("stale");
  if (error.position !== null && drawConditionProblem(error, query, before)) return;
  const refused = refusedPhoto(error.message, query.terms);
  if (refused) drawProblem(refused.text, "Remove it", () => terms.remove(refused.term));
  else drawProblem(error.message, "Try again", () => refresh(false));
}

function drawGone(term) {
  setBusy(false);
  drawProblem(`The photograph ${photoName(term.value)} is no longer in the memory of this page. `
    + "Drop it again to repeat the search.", "Remove it", () => terms.remove(term));
  $("tiles").replaceChildren();
  for (const id of ["summary", "times"]) $(id).replaceChildren();
  for (const id of ["more", "others", "none", "threshold"]) $(id).hidden = true;
}

function setBusy(busy) {
  $("results").setAttribute("aria-busy", String(busy));
}

const terms = {
  flip: (term) => change({ terms: withTerm(query.terms, { ...term, weight: -term.weight }), k: FIRST_K }),
  remove: (term) => searchFor(withoutTerm(query.terms, term)),
  add: () => chooser.chooseAnother(),
};

function steer(id, weight) {
  if (isBrowsing(query) && weight < 0) return; // less than nothing
  searchFor(withTerm(query.terms, { kind: "id", value: id, weight }));
}

function takeFiles(files, kept) {
  if (!info?.index) return;
  const problem = whyNot(files, info.limits);
  if (problem) drawProblem(problem);
  else if (files.length) {
    const added = files.map((file) => ({ kind: "photo", value: keepPhoto(file), weight: 1 }));
    searchFor([...kept(), ...added]);
  }
}

function listen() {
  chooser = listenForImages({
    search: (files) => takeFiles(files, () => []),
    add: (files) => takeFiles(files, () => query.terms),
    refuse: (text) => drawProblem(text),
  });
  listenForKeys({ steer });
  listenToText();
  listenToThreshold();
  $("where").oninput = debounced(() => change({ where: $("where").value, k: FIRST_K }, { field: "where" }), 150);
  $("folds").onchange = () => change({ folds: $("folds").checked });
  $("clear-filters").onclick = () => change({ filters: new Map(), where: "" });
  $("filters-button").onclick = () => openPanel("filters");
  $("columns-button").onclick = () => openPanel("columns");
  $("more").onclick = () => change({ k: Math.min(2 * query.k, info.limits.k) });
  $("others").onclick = () => change({ seed: query.seed + 1 });
  $("tiles").onclick = (event) => {
    const act = event.target.closest("button")?.dataset.do, id = event.target.closest(".tile")?.dataset.id;
    if (act === "more" || (act === "open" && event.shiftKey)) steer(id, 1);
    else if (act === "less" || (act === "open" && event.altKey)) steer(id, -1);
    else if (act === "open") searchFor([{ kind: "id", value: id, weight: 1 }]);
  };
  addEventListener("popstate", () => {
    typing = "";
    query = queryOf(location.hash.slice(1));
    refresh(true);
  });
}

function listenToText() {
  const isNew = () => $("text").value.trim() !== query.text;
  const search = () => change({ text: $("text").value.trim(), terms: [], k: FIRST_K }, { field: "text" });
  const searchSoon = debounced(() => isNew() && search(), 120);
  $("text").oninput = searchSoon;
  $("ask").onsubmit = (event) => {
    event.preventDefault();
    searchSoon.cancel();
    const shown = tilesShown();
    if (isNew()) search();
    else if (isBrowsing(query) && query.text && shown.length === 1) steer(shown[0].dataset.id, 1);
    else moveTo(shown[0], { focus: true });
  };
}

function listenToThreshold() {
  const range = $("within");
  const askForMore = debounced(() => {
    if (isCutOff(query.within, reply) && query.k < info.limits.k) {
      change({ k: Math.min(2 * query.k, info.limits.k) }, { field: "within" });
    }
  }, 150);
  range.onpointerdown = () => { threshold.isDragged = true; };
  range.onpointerup = range.onpointercancel = () => { threshold.isDragged = false; };
  range.oninput = () => {
    query = { ...query, within: chosenThreshold() };
    sayThreshold(query.within);
    filterResults(query, reply, info);
    drawNone(query, reply, { anyDistance: () => change({ within: null }) });
    askForMore();
  };
  range.onchange = () => remember("push", "within"); // released: nothing to request
}

async function start() {
  drawProblem("");
  try {
    info = await (await ask("info")).json();
  } catch (error) {
    drawProblem(error.message, "Try again", start);
    if (error.status === OPENING) setTimeout(start, 1000 * error.retryAfter);
    return;
  }
  drawInfo();
  if (!info.index) {
    drawProblem("This server has no index to search. Start it with an index: lifted serve INDEX");
    return;
  }
  makeFilters(info.index.columns, {
    filter: (filters, field) => change({ filters, k: FIRST_K }, { field }),
    show: (columns) => change({ columns }, { field: "columns" }),
  });
  query = queryOf(location.hash.slice(1));
  openPanel("filters", Boolean(query.where));
  refresh(true);
}

function drawInfo() {
  const { model, index, limits } = info;
  $("facts").textContent = index ? `${images(index.rows)} · ${model.name}` : model.name;
  $("hint").textContent = `Drop, paste or choose images, up to ${megabytes(limits.body_bytes)}. They go to this server only.`;
  $("about").textContent = `Model ${model.name} (SHA-256 ${model.sha256.slice(0, 12)}), ${model.dim} dimensions, ${model.distance} distance.`;
  $("controls").hidden = !index;
  $("ask").classList.toggle("off", !index);
}

listen();
start();
