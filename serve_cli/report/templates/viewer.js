// The viewer: an image and its nearest neighbors, of which each can be viewed in turn.
const viewer = (() => {
  const LARGE = 256, SMALL = 192; // pixels of pictures, twice their size on the page
  const dialog = document.getElementById("viewer"), name = dialog.querySelector("h2");
  const button = (action) => dialog.querySelector(`[data-do="${action}"]`);
  const count = (number) => number.toLocaleString("en-US");
  let path = [], showOnMap = () => {};

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  function rank(first) {
    if (!first) return "only image of its class";
    return first === 1 ? "nearest image is right" : `first right image at rank ${count(first)}`;
  }

  function neighbor(query, { place, distance }, number) {
    const image = page.at(place), right = image.number === query.number;
    const item = element("li", right ? "right" : "wrong"), open = element("button");
    open.type = "button";
    const what = `${right ? "Right" : "Wrong"} at rank ${number + 1}: ${image.name}, ${image.id}, distance ${distance}`;
    open.setAttribute("aria-label", what);
    open.title = what;
    open.append(page.picture(image, SMALL));
    open.addEventListener("click", () => view(image));
    item.append(open, element("span", "label", image.name));
    return item;
  }

  function fill() {
    const image = path.at(-1);
    name.textContent = image.name;
    if (image.trained) name.append(" ", element("em", "badge", "trained on"));
    dialog.querySelector(".id").textContent = image.id;
    dialog.querySelector(".rank").textContent = page.models.length === 1 ? rank(image.ranks[0]) : "";
    dialog.querySelector(".frame").replaceChildren(page.picture(image, LARGE));
    dialog.querySelector(".near").replaceChildren(...image.near.flatMap((near, model) => {
      const list = element("ol");
      list.append(...near.map((each, number) => neighbor(image, each, number)));
      if (page.models.length === 1) return [list];
      const by = element("p", "by", ` ${rank(image.ranks[model])}`);
      by.prepend(element("b", "", page.models[model]));
      return [by, list];
    }));
    button("back").hidden = path.length === 1;
    button("map").hidden = image.x === undefined;
  }

  function view(image) {
    path.push(image);
    fill();
    if (!dialog.open) dialog.showModal();
    name.focus();
    dialog.scrollTop = 0;
  }

  button("back").addEventListener("click", () => {
    path.pop();
    fill();
    name.focus();
  });
  button("close").addEventListener("click", () => dialog.close());
  button("map").addEventListener("click", () => {
    const image = path.at(-1);
    dialog.close();
    showOnMap(image);
  });
  dialog.addEventListener("close", () => { path = []; });

  // Make every picture in the document a button
  const viewed = (event) => {
    const thumbnail = event.target.closest("main .thumbnail[data-row]");
    return thumbnail && page.byRow.get(Number(thumbnail.dataset.row));
  };
  for (const thumbnail of document.querySelectorAll("main .thumbnail[data-row]")) {
    thumbnail.setAttribute("role", "button");
    thumbnail.setAttribute("tabindex", "0");
    thumbnail.setAttribute("aria-haspopup", "dialog");
  }
  for (const hint of document.querySelectorAll(".scripted")) hint.hidden = false;
  document.querySelector("main").addEventListener("click", (event) => {
    const image = viewed(event);
    if (image) view(image);
  });
  document.querySelector("main").addEventListener("keydown", (event) => {
    const image = (event.key === "Enter" || event.key === " ") && viewed(event);
    if (!image) return;
    event.preventDefault();
    view(image);
  });

  return { view, onMap: (show) => { showOnMap = show; } };
})();
