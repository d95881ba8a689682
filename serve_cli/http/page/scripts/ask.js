// Ask for the results of a query. A reply is kept for a while, so that Back is instant.

const KEPT_REPLIES = 20;
const replies = new Map(); // address of the query -> reply

/** Return { matches, exact, recall, rows, ms, k, took }; `took` is in milliseconds, as the browser sees it. */
async function answer(query, info, signal, fromKept) {
  const address = addressOf(query);
  if (fromKept && replies.has(address)) return replies.get(address);
  const k = Math.min(query.k, info.limits.k);
  const { body, headers } = await requestBody(query, info, k, signal);
  const began = performance.now();
  const response = await ask("search", { method: "POST", body, headers, signal });
  const reply = { ...(await response.json()), k };
  reply.took = performance.now() - began;
  for (const term of query.terms) if (term.kind === "photo") photos.get(term.value).sent = true;
  replies.delete(address);
  replies.set(address, reply);
  if (replies.size > KEPT_REPLIES) replies.delete(replies.keys().next().value);
  return reply;
}

/** A photograph is sent with its first search. Later ones, with other filters, take its embedding instead. */
async function requestBody(query, info, k, signal) {
  const files = [];
  const queries = await Promise.all(query.terms.map(async ({ kind, value, weight }) => {
    if (kind === "id") return { id: value, weight };
    const photo = photos.get(value);
    if (photo.sent) return { vector: await embeddingOf(photo, signal), weight };
    files.push(photo);
    return { file: files.length - 1, weight };
  }));
  if (!queries.length) queries.push({ vector: randomVector(query.seed, info.index.dim) });
  const { text: where } = conditionOf(query, info.index.columns);
  const columns = query.columns.filter((name) => info.index.columns.some((column) => column.name === name));
  const request = JSON.stringify({ queries, k, where: where || null, unique: query.folds, columns });
  if (!files.length) return { body: request, headers: { "Content-Type": "application/json" } };
  const body = new FormData();
  body.append("request", request);
  for (const { file, name } of files) body.append("image", file, name);
  return { body, headers: {} };
}

async function embeddingOf(photo, signal) {
  if (photo.vector === null) {
    const headers = { Accept: "application/octet-stream", "Content-Type": photo.file.type || "application/octet-stream" };
    const response = await ask("embed", { method: "POST", body: photo.file, headers, signal });
    photo.vector = [...new Float32Array(await response.arrayBuffer())];
  }
  return photo.vector;
}

/** Return normal numbers, equal for equal seeds: rows near them are a sample of the catalog. */
function randomVector(seed, dim) {
  let state = seed >>> 0;
  const uniform = () => { // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
  return Array.from({ length: dim }, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}
