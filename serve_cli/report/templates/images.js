"use strict";
// The images on the page: their data, and their pictures.
const page = (() => {
  const data = JSON.parse(document.getElementById("image-data").textContent);
  const sheet = document.getElementById("sheet");
  const SVG = "http://www.w3.org/2000/svg";

  const images = data.images.map(([row, number, id, ranks, near], place) => {
    const image = { row, number, id, ranks, name: data.classes[number], trained: data.trained[number] ?? false, cell: null };
    image.near = near.map(([places, distances]) => places.map((other, rank) => ({ place: other, distance: distances[rank] })));
    if (place < data.map.length) {
      const [x, y, left, top, width, height] = data.map[place];
      Object.assign(image, { x: x / data.steps, y: y / data.steps });
      if (width) image.cell = { left, top, width, height };
    }
    return image;
  });

  // Draw an image's cell of the sheet into a canvas of at most `side` pixels
  function paint(canvas, { left, top, width, height }, side) {
    const scale = side / Math.max(width, height);
    [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(sheet, left, top, width, height, 0, 0, canvas.width, canvas.height);
  }

  // Return a picture of an image; the button around it has a name
  function picture(image, side) {
    const stored = document.getElementById(`t${image.row}`);
    if (!stored && image.cell) {
      const canvas = document.createElement("canvas");
      canvas.className = "thumbnail";
      paint(canvas, image.cell, side);
      return canvas;
    }
    const svg = document.createElementNS(SVG, "svg"), use = document.createElementNS(SVG, "use");
    svg.setAttribute("class", "thumbnail");
    use.setAttribute("href", stored ? `#t${image.row}` : "#missing");
    svg.append(use);
    return svg;
  }

  const at = (place) => images[place];
  return {
    images, at, picture, paint, sheet, classes: data.classes, models: data.models, total: data.total,
    onMap: images.slice(0, data.map.length), byRow: new Map(images.map((image) => [image.row, image])),
  };
})();
