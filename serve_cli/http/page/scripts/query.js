// The query: all that the address holds. An address cannot hold a photograph, so it names its key among `photos`.
// A term is { kind: "id" or "photo", value: the id or key, weight: 1 or -1 }.

const FIRST_K = 30;
const NO_QUERY = Object.freeze({
  terms: [], text: "", where: "", filters: new Map(), within: null, folds: true, columns: [], k: FIRST_K, seed: 1,
});
const TERMS = {
  like: { kind: "id", weight: 1 }, unlike: { kind: "id", weight: -1 },
  photo: { kind: "photo", weight: 1 }, unphoto: { kind: "photo", weight: -1 },
};
const nameOfTerm = (term) => (term.weight < 0 ? "un" : "") + (term.kind === "id" ? "like" : "photo");
const sameTerm = (a, b) => a.kind === b.kind && a.value === b.value;
const isBrowsing = (query) => !query.terms.length; // nothing to compare with: shows images to start from

function addressOf(query) {
  const address = new URLSearchParams();
  for (const term of query.terms) address.append(nameOfTerm(term), term.value);
  if (query.text) address.set("id", query.text);
  if (query.where) address.set("where", query.where);
  for (const [column, { values = [], min = null, max = null }] of query.filters) {
    for (const value of values) address.append(`is.${column}`, value);
    if (min !== null) address.set(`min.${column}`, min);
    if (max !== null) address.set(`max.${column}`, max);
  }
  if (query.within !== null) address.set("within", query.within);
  if (!query.folds) address.set("folds", "no");
  for (const column of query.columns) address.append("show", column);
  if (query.k !== FIRST_K) address.set("k", query.k);
  if (query.seed !== 1) address.set("seed", query.seed);
  return address.toString();
}

function queryOf(address) {
  const query = { ...NO_QUERY, terms: [], filters: new Map(), columns: [] };
  for (const [name, value] of new URLSearchParams(address)) {
    const [, kind, column] = /^(is|min|max)\.(.*)$/s.exec(name) ?? [];
    if (kind) readFilter(query.filters, kind, column, value);
    else if (Object.hasOwn(TERMS, name)) query.terms.push({ ...TERMS[name], value });
    else if (name === "id") query.text = value;
    else if (name === "where") query.where = value;
    else if (name === "within") query.within = numberOf(value);
    else if (name === "folds") query.folds = value !== "no";
    else if (name === "show") query.columns.push(value);
    else if (name === "k") query.k = Math.max(1, Math.round(numberOf(value) ?? FIRST_K));
    else if (name === "seed") query.seed = Math.round(numberOf(value) ?? 1);
  }
  return query;
}

function readFilter(filters, kind, column, value) {
  const filter = filters.get(column) ?? {};
  if (kind === "is") filter.values = [...(filter.values ?? []), value];
  else filter[kind] = numberOf(value);
  filters.set(column, filter);
}

function numberOf(text) {
  const number = Number(text);
  return text.trim() && Number.isFinite(number) ? number : null;
}

const quotedName = (name) => `"${name.replaceAll('"', '""')}"`;
const quotedText = (text) => `'${text.replaceAll("'", "''")}'`;

/** Return the condition of a query, and the number of characters before the one that was typed. */
function conditionOf(query, columns) {
  const parts = [...query.filters].flatMap(([name, filter]) => {
    const column = columns.find((known) => known.name === name);
    return column ? filterParts(column, filter) : [];
  });
  if (isBrowsing(query) && query.text) parts.push(`id ilike ${quotedText(containing(query.text))}`);
  if (!query.where.trim()) return { text: parts.join(" and "), before: 0 };
  if (!parts.length) return { text: query.where, before: 0 };
  return { text: `(${query.where}) and ${parts.join(" and ")}`, before: 1 };
}

const containing = (text) => `%${text.replace(/[\\%_]/g, "\\$&")}%`;

function filterParts(column, { values = [], min = null, max = null }) {
  const name = quotedName(column.name), parts = [];
  const chosen = (column.values ?? []).filter((value) => values.includes(String(value)));
  if (chosen.length && typeof chosen[0] === "boolean") {
    parts.push(`(${chosen.map((value) => `${name} = ${value}`).join(" or ")})`);
  } else if (chosen.length) parts.push(`${name} in (${chosen.map((value) => quotedText(String(value))).join(", ")})`);
  if (min !== null) parts.push(`${name} >= ${min}`);
  if (max !== null) parts.push(`${name} <= ${max}`);
  return parts;
}
