// What is searched for: a card for each image, with more or less of it, and one to add another.

/** Draw the cards. `act` has flip(term), remove(term) and add(). */
function drawTerms(query, labels, act) {
  $("terms-section").hidden = isBrowsing(query);
  document.body.classList.toggle("browsing", isBrowsing(query));
  const cards = query.terms.map((term) => termCard(term, labels, act));
  const add = make("li", { className: "add" }, button("+ Add an image", "", () => act.add()));
  $("terms").replaceChildren(...cards, add);
  $("terms").classList.toggle("alone", query.terms.length === 1);
}

function termCard(term, labels, act) {
  const name = term.kind === "id" ? term.value : photoName(term.value);
  const sign = button(term.weight > 0 ? "+" : "−", "sign", () => act.flip(term));
  sign.ariaLabel = `${term.weight > 0 ? "More" : "Less"} like ${name}: change to ${term.weight > 0 ? "less" : "more"}`;
  const remove = button("×", "remove", () => act.remove(term));
  remove.ariaLabel = `Remove ${name}`;
  const label = term.kind === "id" ? labels.get(term.value) : isGone(term) ? "gone" : "your photograph";
  const text = make("p", { title: name }, make("b", {}, tail(name, 18)), make("span", {}, label ?? ""));
  return make("li", { className: term.weight > 0 ? "more-like" : "less-like" }, termPicture(term, name), text, sign, remove);
}

function termPicture(term, name) {
  const well = make("div", { className: "well" });
  if (term.kind === "id") well.append(picture(term.value, `Searched for: ${name}`, 128));
  else if (isGone(term)) well.append(make("span", { className: "missing" }, "Gone"));
  else {
    const image = make("img", { src: photos.get(term.value).url, alt: `Searched for: your photograph ${name}` });
    image.onerror = () => showMissing(image); // such as HEIF, which the server reads and this browser may not
    well.append(image);
  }
  return well;
}

/** Return the terms with an image added, or with its weight changed. */
function withTerm(terms, term) {
  const known = terms.some((other) => sameTerm(other, term));
  return known ? terms.map((other) => (sameTerm(other, term) ? term : other)) : [...terms, term];
}

const withoutTerm = (terms, term) => terms.filter((other) => !sameTerm(other, term));

/** Return the photograph that an error of the server is about, and the error with its name; null for other errors. */
function refusedPhoto(message, terms) {
  const [start, number] = /^queries\[(\d+)\]\.file: (?:image: )?/.exec(message) ?? [];
  const term = start && terms[number];
  return term ? { term, text: `${photoName(term.value)} ${message.slice(start.length)}` } : null;
}
