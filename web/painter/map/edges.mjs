/**
 * Edges of a picture, and how lines and brushes follow them: the cheapest way along the edges between two points
 * (a live-wire, as in intelligent scissors), and the part of a brush's disc that no edge cuts off.
 */

/** @typedef {import("./raster.mjs").Point} Point */
/** @typedef {import("./raster.mjs").Emit} Emit */

/**
 * `strength` is 0 to 1 for each pixel of the picture, which lies stretched over the map: `scaleX` and `scaleY` are
 * pixels of the map for one of the picture.
 * @typedef {{width: number, height: number, strength: Float32Array, scaleX: number, scaleY: number}} Edges
 */

/** What a step costs where there is no edge and where there is the strongest one. */
const [PLAIN, ALONG] = [1, 0.04];
/** A brush does not cross edges from this strength on. */
export const BARRIER = 0.3;
/** The way may leave the box of its ends by this, in pixels of the picture. */
const MARGIN = 10;
const NEIGHBOURS = Object.freeze(
  [-1, 0, 1].flatMap((dy) => [-1, 0, 1].filter((dx) => dx || dy).map((dx) => ({ dx, dy, length: Math.hypot(dx, dy) }))),
);

/**
 * The edges of a picture: Sobel's gradient of its strongest channel. The strongest two percent count as 1.
 * @param {{data: Uint8ClampedArray | Uint8Array, width: number, height: number}} picture  RGBA
 * @param {{width: number, height: number}} map
 * @returns {Edges}
 */
export function edgesOf({ data, width, height }, map) {
  const strength = new Float32Array(width * height);
  const at = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ channel) => {
    const [column, row] = [Math.max(0, Math.min(width - 1, x)), Math.max(0, Math.min(height - 1, y))];
    return data[4 * (row * width + column) + channel];
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let best = 0;
      for (let c = 0; c < 3; c++) {
        const dx = at(x + 1, y - 1, c) + 2 * at(x + 1, y, c) + at(x + 1, y + 1, c) - at(x - 1, y - 1, c) - 2 * at(x - 1, y, c) - at(x - 1, y + 1, c);
        const dy = at(x - 1, y + 1, c) + 2 * at(x, y + 1, c) + at(x + 1, y + 1, c) - at(x - 1, y - 1, c) - 2 * at(x, y - 1, c) - at(x + 1, y - 1, c);
        best = Math.max(best, dx * dx + dy * dy);
      }
      strength[y * width + x] = Math.sqrt(best);
    }
  }
  const top = strength.slice().sort()[Math.floor(0.98 * (strength.length - 1))];
  for (let i = 0; i < strength.length; i++) strength[i] = Math.min(1, strength[i] / Math.max(top, 32));
  return { width, height, strength, scaleX: map.width / width, scaleY: map.height / height };
}

/** The pixel of the picture below a point of the map. @param {Edges} edges @param {Point} point @returns {[number, number]} */
function pixelAt({ width, height, scaleX, scaleY }, { x, y }) {
  const clamp = (/** @type {number} */ value, /** @type {number} */ most) => Math.max(0, Math.min(most - 1, Math.floor(value)));
  return [clamp(x / scaleX, width), clamp(y / scaleY, height)];
}

/** The point of the map in the middle of a pixel. @param {Edges} edges @param {number} i @returns {Point} */
function pointOf({ width, scaleX, scaleY }, i) {
  return { x: ((i % width) + 0.5) * scaleX, y: (Math.floor(i / width) + 0.5) * scaleY };
}

/**
 * The strongest edge near a point, the nearer the better; the point itself if there is none.
 * @param {Edges} edges
 * @param {Point} point  of the map
 * @param {number} radius  in pixels of the map
 * @returns {Point}
 */
export function snapped(edges, point, radius) {
  const { width, height, strength, scaleX } = edges;
  const [cx, cy] = pixelAt(edges, point);
  const reach = Math.max(1, Math.round(radius / scaleX));
  let [best, found] = [BARRIER, -1];
  for (let y = Math.max(0, cy - reach); y <= Math.min(height - 1, cy + reach); y++) {
    for (let x = Math.max(0, cx - reach); x <= Math.min(width - 1, cx + reach); x++) {
      const away = Math.hypot(x - cx, y - cy) / reach;
      const value = strength[y * width + x] * (1 - 0.6 * away);
      if (away <= 1 && value > best) [best, found] = [value, y * width + x];
    }
  }
  return found < 0 ? point : pointOf(edges, found);
}

/**
 * The way from `a` to `b` along the edges, without `a` (Dijkstra's algorithm in the box around both).
 * @param {Edges} edges
 * @param {Point} a  of the map
 * @param {Point} b
 * @returns {Point[]}
 */
export function wire(edges, a, b) {
  const { width, height, strength } = edges;
  const [[ax, ay], [bx, by]] = [pixelAt(edges, a), pixelAt(edges, b)];
  const [left, right] = [Math.max(0, Math.min(ax, bx) - MARGIN), Math.min(width - 1, Math.max(ax, bx) + MARGIN)];
  const [top, bottom] = [Math.max(0, Math.min(ay, by) - MARGIN), Math.min(height - 1, Math.max(ay, by) + MARGIN)];
  const [start, goal] = [ay * width + ax, by * width + bx];
  const costs = new Map([[start, 0]]);
  /** @type {Map<number, number>} */
  const before = new Map();
  const done = new Set();
  const open = new Heap();
  open.push(start, 0);
  for (let i = open.pop(); i !== null && i !== goal; i = open.pop()) {
    if (done.has(i)) continue;
    done.add(i);
    const [x, y, cost] = [i % width, Math.floor(i / width), /** @type {number} */ (costs.get(i))];
    for (const { dx, dy, length } of NEIGHBOURS) {
      const [nx, ny] = [x + dx, y + dy];
      if (nx < left || nx > right || ny < top || ny > bottom) continue;
      const j = ny * width + nx;
      const sum = cost + length * (ALONG + (PLAIN - ALONG) * (1 - strength[j]) ** 2);
      if (sum >= (costs.get(j) ?? Infinity)) continue;
      costs.set(j, sum);
      before.set(j, i);
      open.push(j, sum);
    }
  }
  /** @type {Point[]} */
  const path = [];
  for (let i = goal; i !== start; i = /** @type {number} */ (before.get(i))) path.push(pointOf(edges, i));
  return path.reverse();
}

/**
 * The runs of a round brush up to the edges around its middle: pixels that no edge cuts off, and the near side of
 * the edges themselves up to their crest.
 * @param {Edges} edges
 * @param {Point} centre  of the map
 * @param {number} diameter
 * @param {Emit} emit
 */
export function discWithin(edges, centre, diameter, emit) {
  const radius = diameter / 2;
  const [left, top] = [Math.floor(centre.x - radius), Math.floor(centre.y - radius)];
  const side = Math.ceil(diameter) + 2;
  const isIn = new Uint8Array(side * side);
  const at = (/** @type {number} */ x, /** @type {number} */ y) => {
    const [column, row] = pixelAt(edges, { x: left + x + 0.5, y: top + y + 0.5 });
    return edges.strength[row * edges.width + column];
  };
  const first = [Math.floor(centre.x) - left, Math.floor(centre.y) - top];
  const open = [first[1] * side + first[0]];
  isIn[open[0]] = 1;
  while (open.length) {
    const i = /** @type {number} */ (open.pop());
    const [x, y] = [i % side, Math.floor(i / side)];
    const here = at(x, y);
    for (const [nx, ny] of [[x - 1, y], [x + 1, y], [x, y - 1], [x, y + 1]]) {
      if (nx < 0 || ny < 0 || nx >= side || ny >= side || isIn[ny * side + nx]) continue;
      if (Math.hypot(left + nx + 0.5 - centre.x, top + ny + 0.5 - centre.y) > radius) continue;
      // Up to the crest of an edge, and not down on its other side.
      if (here >= BARRIER && at(nx, ny) <= here) continue;
      isIn[ny * side + nx] = 1;
      open.push(ny * side + nx);
    }
  }
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const from = x;
      while (x < side && isIn[y * side + x]) x++;
      if (x > from) emit(top + y, left + from, left + x);
    }
  }
}

/** A binary heap of numbers by their costs, the cheapest first. */
class Heap {
  constructor() {
    /** @type {{item: number, cost: number}[]} */
    this.entries = [];
  }

  /** @param {number} item @param {number} cost */
  push(item, cost) {
    const { entries } = this;
    let i = entries.push({ item, cost }) - 1;
    while (i > 0 && entries[(i - 1) >> 1].cost > cost) {
      entries[i] = entries[(i - 1) >> 1];
      i = (i - 1) >> 1;
    }
    entries[i] = { item, cost };
  }

  /** @returns {number | null} the cheapest, or null if there is none */
  pop() {
    const { entries } = this;
    const [best, last] = [entries[0], entries.pop()];
    if (!best || !last) return null;
    if (!entries.length) return best.item;
    let i = 0;
    for (let child = 1; child < entries.length; child = 2 * i + 1) {
      if (child + 1 < entries.length && entries[child + 1].cost < entries[child].cost) child++;
      if (entries[child].cost >= last.cost) break;
      entries[i] = entries[child];
      i = child;
    }
    entries[i] = last;
    return best.item;
  }
}
