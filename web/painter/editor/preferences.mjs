/** The settings that last from one opening to the next. They are not on the node: graph undo makes new nodes. */

/**
 * @typedef {object} Preferences
 * @property {number} size
 * @property {number} classId
 * @property {boolean} grid
 * @property {boolean} pressure
 * @property {number} photoShare
 */

const KEY = "mogle.painter";

/** @type {Readonly<Preferences>} */
const DEFAULTS = Object.freeze({ size: 24, classId: 13, grid: false, pressure: true, photoShare: 0.5 });

/** @returns {Preferences} */
export function preferences() {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const entries = Object.entries(DEFAULTS).map(([name, first]) => {
      return [name, typeof stored[name] === typeof first ? stored[name] : first];
    });
    return withinLimits(Object.fromEntries(entries));
  } catch {
    return { ...DEFAULTS };
  }
}

/** @param {Preferences} stored @returns {Preferences} */
function withinLimits(stored) {
  const { size, classId, photoShare } = stored;
  if (!(size >= 1 && size <= 512)) stored.size = DEFAULTS.size;
  if (!(Number.isInteger(classId) && classId >= 0 && classId < 19)) stored.classId = DEFAULTS.classId;
  if (!(photoShare >= 0 && photoShare <= 1)) stored.photoShare = DEFAULTS.photoShare;
  return stored;
}

/** @param {Preferences} settings */
export function remember(settings) {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Storage is full or forbidden: the next opening has the defaults.
  }
}
