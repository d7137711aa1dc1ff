/** What a tool is, and what it can use while it paints. Types only. */

/**
 * Where the pointer is, in pixels of the map, and how it is held.
 * @typedef {{x: number, y: number, pressure: number, shift: boolean, alt: boolean}} Touch
 */

/**
 * What a tool paints with.
 * @typedef {object} Studio
 * @property {import("../map/sheet.mjs").Sheet} sheet
 * @property {number} classId
 * @property {number} size  of the brush, in pixels
 * @property {boolean} pressure  whether a pen's pressure changes the size
 * @property {number} [string]  of the stabiliser, in pixels of the map; 0 without
 * @property {import("../map/edges.mjs").Edges | null} [edges]  of the picture to follow, if there are any
 * @property {number} reach  how near a press must be to a corner to hit it, in pixels of the map
 * @property {import("./pencil.mjs").Pencil} pencil
 * @property {(id: number) => void} choose  a class
 * @property {(sentence: string) => void} say
 */

/**
 * @typedef {object} Tool
 * @property {(studio: Studio, touch: Touch) => void} down
 * @property {(studio: Studio, touch: Touch) => void} drag
 * @property {(studio: Studio, touch: Touch) => void} up
 * @property {(studio: Studio) => void} cancel  takes back everything since the last step
 * @property {(studio: Studio) => void} [takeBack]  takes back the press that is down, and nothing before it; without it
 *   `cancel` does that
 * @property {(studio: Studio) => boolean} [finish]  what Enter does; false if there is nothing to finish
 * @property {() => import("../map/raster.mjs").Point[]} [outline]  a path that is not painted yet
 * @property {(studio: Studio, touch: Touch) => import("../map/raster.mjs").Point[]} [guide]  a line that shows what
 *   the pointer would do, or nothing
 * @property {() => boolean} [back]  takes back the last part of what is not painted yet; false if there is none
 * @property {() => boolean} [forth]  takes back what `back` did; false if it did nothing
 * @property {boolean} [isSized]  whether the size of the brush matters
 * @property {boolean} [isPencil]  whether it draws in the pencil drawing, with a size of its own
 */

export {};
