// The threshold: a distance on a scale a little longer than that of the results; its end stands for any.

const threshold = { steps: Number($("within").max), scale: 1, subject: "", isDragged: false };

const thresholdText = (distance) => String(Number(distance.toPrecision(3)));

function drawThreshold(query, reply) {
  const farthest = reply.matches.at(-1)?.distance ?? 0;
  const subject = addressOf({ ...query, k: FIRST_K, within: null });
  const needed = Math.max(1.1 * farthest, query.within ?? 0);
  if (!threshold.isDragged && (subject !== threshold.subject || needed > threshold.scale)) {
    Object.assign(threshold, { scale: needed || 1, subject });
  }
  $("threshold").hidden = isBrowsing(query) || !reply.matches.length;
  const step = query.within === null ? threshold.steps : Math.round(query.within / threshold.scale * threshold.steps);
  if (!threshold.isDragged) $("within").value = step;
  sayThreshold(query.within);
}

function sayThreshold(within) {
  const text = within === null ? "any" : thresholdText(within);
  $("within-value").textContent = text;
  $("within").setAttribute("aria-valuetext", text);
}

/** Return the distance that the range shows, null for any. */
function chosenThreshold() {
  const step = Number($("within").value);
  return step >= threshold.steps ? null : Number((step / threshold.steps * threshold.scale).toPrecision(3));
}

/** Return whether rows within the threshold may be missing from a reply. */
function isCutOff(within, reply) {
  return within !== null && hasMore(reply) && within > reply.matches.at(-1).distance;
}
