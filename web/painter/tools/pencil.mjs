/** How strong the pencil draws, and how its lines are shown. */

export class Pencil {
  /** @param {{pencilStrength: number, pencilShare: number}} settings @param {() => void} changed */
  constructor({ pencilStrength, pencilShare }, changed) {
    /** The opacity of a line, 0 to 1, in the drawing. */
    this.strength = pencilStrength;
    /** The opacity of all lines on the screen, 0 to 1. */
    this.share = pencilShare;
    this.isShown = true;
    this.changed = changed;
  }

  toggle() {
    this.isShown = !this.isShown;
    this.changed();
  }

  /** @param {number} strength */
  setStrength(strength) {
    this.strength = Math.max(0.05, Math.min(1, strength));
    this.changed();
  }

  /** @param {number} share */
  setShare(share) {
    this.share = Math.max(0, Math.min(1, share));
    this.changed();
  }

  /** Lines that nobody sees would be drawn blindly. */
  show() {
    if (!this.isShown) this.toggle();
  }
}
