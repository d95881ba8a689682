// Images that are dropped, pasted, chosen or photographed.

/** Listen for images. `act` has search(files), add(files) and refuse(text). */
function listenForImages(act) {
  let take = act.search; // what the open file dialog is for
  const choose = (next, input) => { take = next; input.click(); };
  $("choose").onclick = () => choose(act.search, $("file"));
  $("photograph").onclick = () => choose(act.search, $("camera"));
  for (const input of [$("file"), $("camera")]) {
    input.onchange = () => {
      take([...input.files]);
      input.value = ""; // so that the same file can be chosen again
    };
  }
  addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return; // text goes where the caret is
    event.preventDefault();
    act.search(files);
  });
  listenForDrops(act);
  return { chooseAnother: () => choose(act.add, $("file")) };
}

function listenForDrops(act) {
  let depth = 0; // elements that were entered and not left
  const show = (change) => {
    depth = change === 0 ? 0 : depth + change;
    $("drop").hidden = depth <= 0;
  };
  const listen = (name, handle) => addEventListener(name, (event) => {
    const { types } = event.dataTransfer;
    if (!types.includes("Files") && !types.includes("text/uri-list")) return; // such as text for a field
    event.preventDefault();
    handle(event);
  });
  listen("dragenter", () => show(1));
  listen("dragleave", () => show(-1));
  listen("dragover", () => {});
  listen("drop", (event) => {
    show(0);
    const files = [...event.dataTransfer.files];
    const adds = $("terms").contains(event.target);
    if (files.length) (adds ? act.add : act.search)(files);
    else act.refuse("That was not a file. Save the image first, then drop the file.");
  });
}

/** Return why files cannot be sent, or null. */
function whyNot(files, limits) {
  const large = files.find((file) => file.size > limits.body_bytes);
  if (large) {
    return `${large.name} is ${megabytes(large.size, Math.ceil)}; this server takes up to ${megabytes(limits.body_bytes)}. Choose a smaller file.`;
  }
  const empty = files.find((file) => !file.size);
  if (empty) return `${empty.name} is empty or a folder. Choose an image file.`;
  if (files.length > limits.images) {
    return `${counted(files.length)} images; this server takes up to ${counted(limits.images)} at once. Choose fewer.`;
  }
  return null;
}
