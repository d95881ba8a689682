// Photographs of the reader. The last ones stay in memory while the page is open. An address names a key.

const KEPT_PHOTOS = 20;
const photos = new Map(); // key -> { file, name, url, sent, vector }

function keepPhoto(file) {
  const key = [...crypto.getRandomValues(new Uint8Array(6))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  photos.set(key, { file, name: file.name || "pasted image", url: URL.createObjectURL(file), sent: false, vector: null });
  if (photos.size > KEPT_PHOTOS) {
    const [oldest, { url }] = photos.entries().next().value;
    URL.revokeObjectURL(url);
    photos.delete(oldest);
  }
  return key;
}

const isGone = (term) => term.kind === "photo" && !photos.has(term.value);

/** Return the name of a photograph. If it is gone, the history of this page has its name. */
function photoName(key) {
  const names = history.state?.photos ?? {};
  return photos.get(key)?.name ?? (Object.hasOwn(names, key) ? names[key] : "photograph");
}

function photoNames(query) {
  const keys = query.terms.filter((term) => term.kind === "photo").map((term) => term.value);
  return Object.fromEntries(keys.map((key) => [key, photoName(key)]));
}
