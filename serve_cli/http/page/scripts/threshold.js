// The threshold. Embeddings of many dimensions have distances close together, so the range is not linear: each result
// takes the same part of it. Its last part goes beyond the farthest result, and its end means any distance.

const STEPS = Number($("within").max);
const BEYOND = 0.1; // part of the range that goes beyond the results, by as much of the farthest distance

const threshold = { distances: [0], subject: "", isDragged: false }; // of the results, ascending, after a 0

const thresholdText = (distance) => String(Number(distance.toPrecision(4)));

function drawThreshold(query, reply) {
  const distances = [0, ...reply.matches.map((match) => match.distance)];
  const subject = addressOf({ ...query, k: FIRST_K, within: null });
  if (!threshold.isDragged && (subject !== threshold.subject || distances.length > threshold.distances.length)) {
    Object.assign(threshold, { distances, subject });
  }
  $("threshold").hidden = isBrowsing(query) || !reply.matches.length;
  if (!threshold.isDragged) $("within").value = query.within === null ? STEPS : stepOf(query.within);
  sayThreshold(query.within);
}

function sayThreshold(within) {
  const text = within === null ? "any" : thresholdText(within);
  $("within-value").textContent = text;
  $("within").setAttribute("aria-valuetext", text);
}

/** Return the distance that the range shows, null for any. */
function chosenThreshold() {
  const { distances } = threshold, step = Number($("within").value);
  if (step >= STEPS) return null;
  const part = step / STEPS / (1 - BEYOND), farthest = distances.at(-1);
  if (part >= 1) return Number((farthest * (1 + step / STEPS - (1 - BEYOND))).toPrecision(4));
  const at = part * (distances.length - 1), before = Math.floor(at);
  const distance = distances[before] + (at - before) * (distances[before + 1] - distances[before]);
  return Number(distance.toPrecision(4));
}

function stepOf(distance) {
  const { distances } = threshold, farthest = distances.at(-1);
  const after = distances.findIndex((other) => other > distance);
  if (after < 0) return Math.min(STEPS - 1, STEPS * (distance / (farthest || 1) - BEYOND));
  const at = after - 1 + (distance - distances[after - 1]) / (distances[after] - distances[after - 1]);
  return Math.round(at / (distances.length - 1) * (1 - BEYOND) * STEPS);
}

/** Return whether rows within the threshold may be missing from a reply. */
function isCutOff(within, reply) {
  return within !== null && hasMore(reply) && within > reply.matches.at(-1).distance;
}
