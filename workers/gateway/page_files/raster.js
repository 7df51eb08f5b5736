// Decodes the masks of segments, COCO's compressed run lengths, into one raster.

// The lengths of the runs of 0, 1, 0, … of a mask, column by column from the left.
function runs(counts) {
  const lengths = [];
  for (let at = 0; at < counts.length; ) {
    let length = 0;
    let shift = 0;
    let bits;
    do {
      bits = counts.charCodeAt(at) - 48;
      length |= (bits & 31) << shift;
      shift += 5;
      at += 1;
    } while (bits & 32);
    if (bits & 16) length |= -1 << shift; // negative
    lengths.push(lengths.length > 2 ? length + lengths.at(-2) : length); // stored as the difference to the last but one
  }
  return lengths;
}

// `owners`: row by row, 0 without a segment, else 1 + its index. `middles`: for each segment its pixel [x, y] nearest
// to its centre.
export function raster(masks) {
  const [height, width] = masks[0].size;
  const owners = new Uint16Array(width * height);
  const sums = masks.map(() => [0, 0, 0]);
  masks.forEach(({ counts }, place) => {
    const sum = sums[place];
    let at = 0;
    runs(counts).forEach((length, turn) => {
      for (const end = at + length; at < end; at += 1) {
        if (turn % 2 === 0) continue;
        const [x, y] = [Math.floor(at / height), at % height];
        owners[y * width + x] = place + 1;
        sum[0] += x;
        sum[1] += y;
        sum[2] += 1;
      }
    });
  });
  const centres = sums.map(([x, y, count]) => [x / count, y / count]);
  const nearest = masks.map(() => Infinity);
  const middles = masks.map(() => [0, 0]);
  owners.forEach((owner, at) => {
    if (!owner) return;
    const [x, y] = [at % width, Math.floor(at / width)];
    const away = (x - centres[owner - 1][0]) ** 2 + (y - centres[owner - 1][1]) ** 2;
    if (away >= nearest[owner - 1]) return;
    nearest[owner - 1] = away;
    middles[owner - 1] = [x, y];
  });
  return { width, height, owners, middles };
}
