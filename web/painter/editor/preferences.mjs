/** The settings that last from one opening to the next. They are not on the node: graph undo makes new nodes. */

/**
 * @typedef {object} Preferences
 * @property {number} size
 * @property {number} classId
 * @property {boolean} grid
 * @property {boolean} names  of classes at the pointer
 * @property {boolean} panel  whether the list of classes is open
 * @property {boolean} pressure
 * @property {number} steady  the strength of the stabiliser
 * @property {number} photoShare
 * @property {number} pencilSize
 * @property {number} pencilStrength
 * @property {number} pencilShare
 * @property {boolean} liveUnder
 * @property {number} liveShare
 * @property {number} liveSteps
 * @property {number} liveWidth
 */

const KEY = "mogle.painter";

/** @type {Readonly<Preferences>} */
const DEFAULTS = Object.freeze({
  ...{ size: 24, classId: 13, grid: false, pressure: true, photoShare: 0.5, steady: 0 },
  ...{ names: true, panel: true },
  ...{ pencilSize: 3, pencilStrength: 1, pencilShare: 1 },
  ...{ liveUnder: false, liveShare: 0.5, liveSteps: 0, liveWidth: 360 },
});

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
  const { size, classId, photoShare, steady, liveShare, liveSteps, liveWidth } = stored;
  const { pencilSize, pencilStrength, pencilShare } = stored;
  if (!(pencilSize >= 1 && pencilSize <= 512)) stored.pencilSize = DEFAULTS.pencilSize;
  if (!(pencilStrength >= 0.05 && pencilStrength <= 1)) stored.pencilStrength = DEFAULTS.pencilStrength;
  if (!(pencilShare >= 0 && pencilShare <= 1)) stored.pencilShare = DEFAULTS.pencilShare;
  if (!(size >= 1 && size <= 512)) stored.size = DEFAULTS.size;
  if (!(Number.isInteger(classId) && classId >= 0 && classId < 19)) stored.classId = DEFAULTS.classId;
  if (![0, 1, 2].includes(steady)) stored.steady = DEFAULTS.steady;
  if (!(photoShare >= 0 && photoShare <= 1)) stored.photoShare = DEFAULTS.photoShare;
  if (!(liveShare >= 0 && liveShare <= 1)) stored.liveShare = DEFAULTS.liveShare;
  if (![0, 4, 8].includes(liveSteps)) stored.liveSteps = DEFAULTS.liveSteps;
  if (!(liveWidth >= 200 && liveWidth <= 1600)) stored.liveWidth = DEFAULTS.liveWidth;
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
