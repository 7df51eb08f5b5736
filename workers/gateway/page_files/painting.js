// Paints segments on a canvas.

const EDGE = 400; // one pixel of edge per this many pixels of the longer side
// opacity from 0 to 255: inside a segment, and at its edge
const STRENGTH = { calm: [105, 235], chosen: [150, 255], faded: [18, 45] };

// Returns a function that draws the segments and highlights those in a set of indexes.
export function painting(canvas, map, colours) {
  const context = canvas.getContext("2d");
  const picture = context.createImageData(map.width, map.height);
  const edge = edges(map, Math.max(1, Math.round(Math.max(map.width, map.height) / EDGE)));
  const pixels = new Uint32Array(picture.data.buffer);
  // RGBA as a little-endian number: red is the lowest byte
  const parts = colours.map((colour) => [5, 3, 1].reduce((all, at) => (all << 8) | Number.parseInt(colour.slice(at, at + 2), 16), 0));
  let drawn = null; // the current selection

  return (chosen) => {
    const asked = [...chosen].join();
    if (asked === drawn) return;
    drawn = asked;
    const shades = parts.map((colour, place) =>
      STRENGTH[chosen.size === 0 ? "calm" : chosen.has(place) ? "chosen" : "faded"].map((strength) => colour | (strength << 24)));
    map.owners.forEach((owner, at) => owner && (pixels[at] = shades[owner - 1][edge[at]]));
    context.putImageData(picture, 0, 0);
  };
}

// 1 for pixels with another owner at most `thick` pixels to the right or below.
function edges({ width, height, owners }, thick) {
  const found = new Uint8Array(owners.length);
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 1) {
      for (let step = 1; step <= thick; step += 1) {
        const across = x + step < width && owners[at + step] !== owners[at];
        const down = y + step < height && owners[at + step * width] !== owners[at];
        if (across || down) found[at] = 1;
      }
    }
  }
  return found;
}
