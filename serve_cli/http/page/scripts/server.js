// Requests to the server. The token stays in this variable.

const BUSY = new Set([429, 503]); // replies that ask for a retry
const TRIES = 3;
const LONGEST_PAUSE = 5; // seconds

let token = null;
let tokenAsked = null; // while the dialog is open

class ServerError extends Error {
  constructor(status, message, { position = null, retryAfter = 1 } = {}) {
    super(message);
    Object.assign(this, { status, position, retryAfter });
  }
}

/** Ask the server. Repeats when it is busy or needs a token; throws `ServerError` with its message. */
async function ask(path, options = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const used = token;
    const response = await send(path, options);
    if (response.ok) return response;
    const error = await errorOf(response);
    if (error.status === 401) {
      const problem = used === null ? "" : "The server did not accept this token.";
      const given = token !== used; // meanwhile, for another request
      if (!given && !(await askForToken(problem))) throw error;
    } else if (BUSY.has(error.status) && attempt < TRIES) await pause(error.retryAfter, options.signal);
    else throw error;
    options.signal?.throwIfAborted();
  }
}

async function send(path, options) {
  const headers = new Headers(options.headers);
  if (token !== null) headers.set("Authorization", `Bearer ${token}`);
  try {
    return await fetch(path, { ...options, headers, redirect: "error" });
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new ServerError(0, "The server does not answer. Check that it runs, then try again.");
  }
}

async function errorOf(response) {
  const { error = {} } = await response.json().catch(() => ({}));
  const message = error.message ?? `The server answered with status ${response.status}.`;
  const retryAfter = Math.min(LONGEST_PAUSE, Number(response.headers.get("Retry-After")) || 1);
  return new ServerError(response.status, message, { position: error.position ?? null, retryAfter });
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}

/** Ask the reader for a token. Resolves to whether there is one. */
function askForToken(problem) {
  tokenAsked ??= new Promise((resolve) => {
    const dialog = $("token-dialog"), field = $("token");
    $("token-problem").textContent = problem;
    field.value = "";
    $("token-form").onsubmit = (event) => {
      event.preventDefault();
      token = field.value.trim();
      dialog.close("given");
    };
    $("token-cancel").onclick = () => dialog.close("");
    dialog.returnValue = "";
    dialog.onclose = () => {
      tokenAsked = null;
      field.value = "";
      resolve(dialog.returnValue === "given");
    };
    dialog.showModal();
  });
  return tokenAsked;
}
