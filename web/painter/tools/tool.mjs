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
 * @property {number} reach  how near a press must be to a corner to hit it, in pixels of the map
 * @property {(id: number) => void} choose  a class
 * @property {(sentence: string) => void} say
 */

/**
 * @typedef {object} Tool
 * @property {(studio: Studio, touch: Touch) => void} down
 * @property {(studio: Studio, touch: Touch) => void} drag
 * @property {(studio: Studio, touch: Touch) => void} up
 * @property {(studio: Studio) => void} cancel  takes back everything since the last step
 * @property {(studio: Studio) => boolean} [finish]  what Enter does; false if there is nothing to finish
 * @property {() => import("../map/raster.mjs").Point[]} [outline]  a path that is not painted yet
 * @property {boolean} [isSized]  whether the size of the brush matters
 */

export {};
