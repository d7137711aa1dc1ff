/** Switches for how the sheet is drawn: the token grid, and the colour-blind-safe colours. */

export class Display {
  /**
   * @param {{grid: boolean, distinct: boolean}} settings
   * @param {{onDistinct: (isDistinct: boolean) => void, changed: () => void}} listeners
   */
  constructor({ grid, distinct }, { onDistinct, changed }) {
    this.grid = grid;
    this.distinct = distinct;
    this.onDistinct = onDistinct;
    this.changed = changed;
  }

  toggleGrid() {
    this.grid = !this.grid;
    this.changed();
  }

  toggleDistinct() {
    this.distinct = !this.distinct;
    this.onDistinct(this.distinct);
    this.changed();
  }
}
