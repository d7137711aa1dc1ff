/** Switches for what is shown: token grid, colour-blind-safe colours, names at the pointer, the panel of classes. */

export class Display {
  /**
   * @param {{grid: boolean, distinct: boolean, names: boolean, panel: boolean}} settings
   * @param {{onDistinct: (isDistinct: boolean) => void, changed: () => void}} listeners
   */
  constructor({ grid, distinct, names, panel }, { onDistinct, changed }) {
    this.grid = grid;
    this.distinct = distinct;
    this.names = names;
    this.panel = panel;
    this.onDistinct = onDistinct;
    this.changed = changed;
  }

  toggleGrid() {
    this.grid = !this.grid;
    this.changed();
  }

  toggleNames() {
    this.names = !this.names;
    this.changed();
  }

  togglePanel() {
    this.panel = !this.panel;
    this.changed();
  }

  toggleDistinct() {
    this.distinct = !this.distinct;
    this.onDistinct(this.distinct);
    this.changed();
  }
}
