// Filters made from the columns that the index carries, the condition that is typed, and the columns shown.

/** Make the controls. `act` has filter(filters), where(text) and show(columns). */
function makeFilters(columns, act) {
  const filterable = columns.filter((column) => column.values?.length > 1 || column.max > column.min);
  const changed = (field) => act.filter(chosenFilters(filterable), field);
  $("filter-columns").replaceChildren(...filterable.map((column) => filterOf(column, changed)));
  const others = columns.filter(({ name }) => name !== "id" && name !== "label");
  $("columns").replaceChildren(...others.map(({ name }) => check(name, "column", name, () => {
    act.show([...$("columns").querySelectorAll(":checked")].map((box) => box.value));
  })));
  $("columns-button").hidden = !others.length;
  $("where").placeholder = examplesOf(columns);
}

function check(text, name, value, onchange) {
  return make("label", { className: "check" }, make("input", { type: "checkbox", name, value, onchange }), text);
}

function filterOf(column, changed) {
  const set = make("fieldset", {}, make("legend", {}, column.name));
  set.dataset.column = column.name;
  if (column.values?.length) {
    const boxes = column.values.filter((value) => value !== null)
      .map((value) => check(String(value), "is", String(value), () => changed("")));
    set.append(make("div", { className: "values" }, ...boxes));
  } else {
    const later = debounced(() => changed(`limits of ${column.name}`), 150);
    const limit = (name) => make("input", {
      type: "number", name, step: "any", placeholder: limitText(column[name]), oninput: later,
      ariaLabel: `${column.name}, ${name === "min" ? "at least" : "at most"}`,
    });
    set.append(make("div", { className: "limits" }, limit("min"), "to", limit("max")));
  }
  return set;
}

const limitText = (number) => String(Number(number.toPrecision(6)));

function chosenFilters(columns) {
  const filters = new Map();
  for (const { name } of columns) {
    const set = filterSet(name);
    const values = [...set.querySelectorAll(":checked")].map((box) => box.value);
    const [min = null, max = null] = [...set.querySelectorAll("input[type=number]")].map((field) => numberOf(field.value));
    if (values.length || min !== null || max !== null) filters.set(name, { values, min, max });
  }
  return filters;
}

const filterSet = (name) => [...$("filter-columns").children].find((set) => set.dataset.column === name);

function drawFilters(query) {
  for (const set of $("filter-columns").children) {
    const { values = [], min = null, max = null } = query.filters.get(set.dataset.column) ?? {};
    for (const box of set.querySelectorAll("[type=checkbox]")) box.checked = values.includes(box.value);
    for (const field of set.querySelectorAll("[type=number]")) {
      const limit = field.name === "min" ? min : max;
      if (numberOf(field.value) !== limit) field.value = limit ?? "";
    }
  }
  if ($("where").value.trim() !== query.where.trim()) $("where").value = query.where;
  for (const box of $("columns").querySelectorAll("input")) box.checked = query.columns.includes(box.value);
  $("folds").checked = query.folds;
  drawCount("filters-count", query.filters.size + (query.where.trim() ? 1 : 0));
  drawCount("columns-count", query.columns.length);
  $("clear-filters").hidden = !query.filters.size && !query.where.trim();
}

function drawCount(id, count) {
  $(id).hidden = !count;
  $(id).textContent = count;
}

function examplesOf(columns) {
  const number = columns.find((column) => typeof column.max === "number");
  const text = columns.find((column) => typeof column.values?.[0] === "string");
  const examples = [
    ...(number ? [`${number.name} < ${limitText(number.max)}`] : []),
    ...(text ? [`${text.name} = ${quotedText(text.values[0])}`] : []),
  ];
  return `such as ${examples.join(" and ") || "id like '%01%'"}`;
}

/** Show what is wrong with the condition, and where; `position` counts characters as Python does. */
function drawConditionProblem(error, query, before) {
  const characters = [...query.where], position = error.position - before;
  if (position > characters.length) return false; // in a filter, not in what was typed
  const rest = characters.slice(position).join(""), [word] = /^(\p{L}|\p{N}|_)+|^./u.exec(rest) ?? [" "];
  const code = make("code", {}, characters.slice(0, position).join(""), make("mark", {}, word), rest.slice(word.length));
  const message = error.message.replace(/^where, character \d+: /, ""); // the mark shows where
  $("where-problem").replaceChildren(make("span", {}, message), code);
  $("where").setAttribute("aria-invalid", "true");
  openPanel("filters", true);
  return true;
}

function clearConditionProblem() {
  $("where-problem").replaceChildren();
  $("where").removeAttribute("aria-invalid");
}

function openPanel(name, open = $(name).hidden) {
  $(name).hidden = !open;
  $(`${name}-button`).setAttribute("aria-expanded", String(open));
}
