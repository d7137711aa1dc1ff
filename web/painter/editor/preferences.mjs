/** What the painter remembers of its user between openings. Graph undo makes nodes anew, so it is not on the node. */

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
const FIRST = Object.freeze({ size: 24, classId: 13, grid: false, pressure: true, photoShare: 0.5 });

/** @returns {Preferences} */
export function remembered() {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const known = Object.entries(FIRST).map(([name, first]) => {
      return [name, typeof stored[name] === typeof first ? stored[name] : first];
    });
    return sane(Object.fromEntries(known));
  } catch {
    return { ...FIRST };
  }
}

/** @param {Preferences} preferences @returns {Preferences} */
function sane(preferences) {
  const { size, classId, photoShare } = preferences;
  if (!(size >= 1 && size <= 512)) preferences.size = FIRST.size;
  if (!(Number.isInteger(classId) && classId >= 0 && classId < 19)) preferences.classId = FIRST.classId;
  if (!(photoShare >= 0 && photoShare <= 1)) preferences.photoShare = FIRST.photoShare;
  return preferences;
}

/** @param {Preferences} preferences */
export function remember(preferences) {
  try {
    const known = Object.keys(FIRST).map((name) => [name, preferences[/** @type {keyof Preferences} */ (name)]]);
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(known)));
  } catch {
    // Storage may be full or forbidden; the painter works without.
  }
}
