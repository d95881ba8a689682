// Pictures of rows. With a token they are fetched, since an <img> cannot send one.

const KEPT_PICTURES = 400;
const pictureUrls = new Map(); // address -> promise of a blob URL, the last used ones last

const waiting = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    waiting.unobserve(target);
    fetchedPicture(target.dataset.address).then((url) => { target.src = url; }, () => showMissing(target));
  }
}, { rootMargin: "400px" });

function picture(id, alt, pixels) {
  const image = make("img", { alt, decoding: "async", draggable: false });
  const size = pixels * devicePixelRatio > 256 ? 512 : 256;
  const address = `images/${encodeURIComponent(id)}?size=${size}`;
  image.onerror = () => showMissing(image);
  if (token === null) {
    image.loading = "lazy";
    image.src = address;
  } else {
    image.dataset.address = address;
    waiting.observe(image);
  }
  return image;
}

function showMissing(image) {
  image.replaceWith(make("span", { className: "missing", title: image.alt }, image.alt ? "No picture" : ""));
}

function fetchedPicture(address) {
  const url = pictureUrls.get(address) ?? ask(address).then((response) => response.blob()).then(URL.createObjectURL);
  pictureUrls.delete(address);
  pictureUrls.set(address, url);
  url.catch(() => pictureUrls.delete(address));
  if (pictureUrls.size > KEPT_PICTURES) {
    const [oldest, old] = pictureUrls.entries().next().value;
    pictureUrls.delete(oldest);
    old.then(URL.revokeObjectURL, () => {});
  }
  return url;
}
