// The filter of the map: by words of class and file name, and by what rank 1 found.
(() => {
  const form = document.querySelector("#map .filter"), text = form.querySelector("input");
  const kind = form.querySelector("select"), counted = form.querySelector("output");
  const KINDS = {
    all: () => true, missed: ({ ranks }) => ranks[0] !== 1, found: ({ ranks }) => ranks[0] === 1,
    "only-first": ({ ranks }) => ranks[0] === 1 && ranks[1] !== 1,
    "only-other": ({ ranks }) => ranks[0] !== 1 && ranks[1] === 1,
    trained: ({ trained }) => trained, unseen: ({ trained }) => !trained,
  };
  const count = (number) => number.toLocaleString("en-US");
  let kept = map.images;

  function apply() {
    const words = text.value.trim().toLowerCase();
    kept = map.keep((image) => KINDS[kind.value](image) && `${image.name}\n${image.id}`.toLowerCase().includes(words));
    const all = kept.length === map.images.length;
    counted.textContent = all ? "" : `${count(kept.length)} of ${count(map.images.length)} images`;
  }

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (kept.length && kept.length < map.images.length) map.zoomTo(kept);
    else map.fit();
  });
  viewer.onMap((image) => {
    if (!kept.includes(image)) {
      form.reset();
      apply();
    }
    map.reveal(image);
  });

  const names = [...new Set(map.images.map(({ name }) => name))].sort();
  form.querySelector("datalist").append(...names.map((name) => {
    const option = document.createElement("option");
    option.value = name;
    return option;
  }));
  form.hidden = false;
})();
