/** The editor: makes its parts, connects them, and opens and closes. Only `window.mjs` imports it. */

import { advise } from "../map/advice.mjs";
import { copyOf } from "../map/painting.mjs";
import { Sheet } from "../map/sheet.mjs";
import { t } from "../map/words.mjs";
import { Brush } from "../tools/brush.mjs";
import { Classes } from "../tools/classes.mjs";
import { Mirror } from "../tools/mirror.mjs";
import { Pair } from "../tools/pair.mjs";
import { Pencil } from "../tools/pencil.mjs";
import { Pen } from "../tools/pen.mjs";
import { Studio } from "../tools/studio.mjs";
import { AdviceList } from "./advicelist.mjs";
import { TopBar, toolBar } from "./bars.mjs";
import { Buttons } from "./buttons.mjs";
import { ClassList } from "./classlist.mjs";
import { Display } from "./display.mjs";
import { Drops } from "./drops.mjs";
import { Exports } from "./exports.mjs";
import { showHelp } from "./help.mjs";
import { Keyboard } from "./keyboard.mjs";
import { layOut } from "./layout.mjs";
import { Live } from "./live.mjs";
import { Nudges } from "./nudges.mjs";
import { Page } from "./page.mjs";
import { PartsDialog } from "./parts.mjs";
import { Photo } from "./photo.mjs";
import { Picker } from "./picker.mjs";
import { Pointers } from "./pointers.mjs";
import { preferences, remember } from "./preferences.mjs";
import { Rim } from "./rim.mjs";
import { Scene } from "./scene.mjs";
import { Snapping } from "./snapping.mjs";
import { StartDialog } from "./start.mjs";
import { StatusLine } from "./status.mjs";
import { Steps } from "./steps.mjs";
import { Tag } from "./tag.mjs";

/** @typedef {import("../map/painting.mjs").Painting} Painting */
/** @typedef {import("../map/history.mjs").History} History */

/**
 * What the editor is opened with.
 * @typedef {object} Opening
 * @property {Painting} map  what is painted, and where nothing is, what the inputs give
 * @property {boolean} isGiven  whether it has anything
 * @property {History} history
 * @property {string} notice  a sentence to show first
 * @property {boolean} distinct  whether to show the colour-blind-safe colours
 * @property {() => Promise<Blob | null>} photo  of the image input
 * @property {(map: Painting, history: History) => void} onStep
 * @property {(isDistinct: boolean) => void} onDistinct  when the colours were switched
 * @property {Partial<import("../tools/classes.mjs").Marks>} marks  of the last visit
 * @property {(marks: import("../tools/classes.mjs").Marks) => void} onMarks
 * @property {() => Promise<string>} store  saves the workflow; returns what was done, in a sentence
 * @property {import("./live.mjs").StartLive} live
 * @property {import("./parts.mjs").Fit} fit  a part of another face
 * @property {() => Promise<void>} onClose
 */

/** @typedef {Opening & import("./start.mjs").MaskSource} Commission */

const ADVICE_DELAY_MS = 250;

export class Editor {
  /** @param {Document} document @param {Commission} commission */
  constructor(document, commission) {
    this.commission = commission;
    const settings = preferences();
    const page = new Page(document);
    const say = (/** @type {string} */ sentence) => page.say(sentence);
    const refresh = () => this.refresh();
    const recolour = () => this.#recolour();
    this.page = page;

    // What is painted, and what it is painted with
    this.sheet = new Sheet(copyOf(commission.map), commission.history);
    this.sheet.onStep = () => this.#onStep();
    this.brush = new Brush(settings, refresh);
    this.pencil = new Pencil(settings, refresh);
    this.classes = new Classes(settings.classId, refresh, () => this.#onMark());
    this.classes.setMarks(commission.marks);
    this.sheet.paintable.set(this.classes.paintable());
    const zoom = () => this.scene.view.zoom;
    const edges = () => this.snapping.edges;
    /** @type {Pen} */
    this.pen = new Pen(new Studio(this.sheet, this.brush, this.classes, this.pencil, zoom, say, edges), {
      onPress: () => this.#onPress(),
      onChange: () => this.scene.redraw(),
      onTake: () => this.#onTake(),
    });
    this.mirror = new Mirror(this.sheet, () => this.pen.at, refresh);
    this.pair = new Pair(this.sheet, this.classes, refresh);
    this.steps = new Steps(this.sheet, this.pen, say, { onResize: () => this.scene.fit(), onReplace: refresh });

    // How it is shown
    this.display = new Display(
      { ...settings, distinct: commission.distinct },
      { onDistinct: commission.onDistinct, changed: recolour },
    );
    this.photo = new Photo(settings.photoShare, page, { onShare: refresh, onPicture: recolour });
    this.live = new Live(settings, commission.live, page, { onSwitch: refresh, onPicture: recolour });
    /** @type {Snapping} */
    this.snapping = new Snapping(this.sheet, this.photo, this.live, say, refresh);
    this.nudges = new Nudges(page, this.sheet, this.pen, refresh);
    this.parts = new PartsDialog(page, this.steps, this.display, commission.fit);
    this.start = new StartDialog(page, this.steps, this.display, commission);

    // The window
    const { sheet, pen, brush, pencil, mirror, classes, steps, display, photo, live, start } = this;
    const status = new StatusLine(page);
    const tag = new Tag(page);
    /** @type {Scene} */
    this.scene = new Scene(page.canvas, { sheet, pen, brush, pencil, classes, display, photo, live, status, tag });
    this.picker = new Picker(page, classes, display, () => pen.at && this.scene.view.toCanvas(pen.at));
    this.rim = new Rim(page, brush, classes, display, (button) => this.#pickAt(button));
    this.classList = new ClassList(page, classes, sheet, display);
    this.adviceList = new AdviceList(page, this.scene, steps);
    /** @type {import("./actions.mjs").Parts} */
    const parts = {
      ...{ pen, brush, pencil, mirror, classes, steps, display, photo, live, start },
      ...{ scene: this.scene, search: this.classList, picker: this.picker, pair: this.pair },
      ...{ snapping: this.snapping, nudges: this.nudges, parts: this.parts },
      exports: new Exports(sheet, page),
      session: {
        help: () => showHelp(page),
        close: () => void this.close(),
        store: () => void this.#store(),
      },
    };
    this.buttons = new Buttons(page, parts);
    this.topBar = new TopBar(page, this.buttons, brush, pencil, photo);
    layOut(page, {
      top: this.topBar.root,
      tools: toolBar(page, this.buttons),
      rim: this.rim.root,
      tag: tag.root,
      nudges: this.nudges.root,
      live: live.pane.root,
      classes: this.classList.root,
      advice: this.adviceList.root,
      status: status.root,
    });
    this.scene.open();
    const keyboard = new Keyboard(page, parts, this.classList, refresh);
    this.pointers = new Pointers(page.canvas, pen, brush, this.scene, keyboard, (place) => this.picker.open(place));
    this.drops = new Drops(page, photo, steps, commission);
    refresh();
    this.#advise();
  }

  /** Shows what the node has: its notice, where to start if there is no painting yet, its photo. */
  async begin() {
    const { notice, isGiven, photo } = this.commission;
    this.page.canvas.focus();
    if (notice) this.page.say(notice);
    else if (isGiven) void this.#tellOfLost();
    if (!isGiven && !this.steps.canUndo) this.start.open();
    const file = await photo().catch(() => null);
    if (file) await this.photo.lay(file);
  }

  async #tellOfLost() {
    const isAny = (await this.commission.lost()).length > 0;
    if (isAny) this.page.say(t("A tab ended before its painting was stored. Start from offers it."));
  }

  async close() {
    if (this.isClosed) return;
    this.isClosed = true;
    this.pen.settle();
    this.steps.isClosed = true;
    this.scene.close();
    this.live.close();
    clearTimeout(this.adviceTimer);
    const { brush, pencil, classes, display, photo, live } = this;
    const { sizes, pressure, steady } = brush;
    const { grid, names, panel } = display;
    const pencils = { pencilSize: sizes.pencil, pencilStrength: pencil.strength, pencilShare: pencil.share };
    const brushes = { size: sizes.brush, pressure, steady, classId: classes.chosen, ...pencils };
    remember({ ...brushes, grid, names, panel, photoShare: photo.share, ...live.settings });
    await this.commission.onClose();
  }

  /** A press begins. */
  #onPress() {
    this.scene.spot = null;
    if (this.pen.at) this.pair.begin(this.pen.at);
  }

  /** After each step of the sheet. */
  #onStep() {
    this.mirror.follow();
    this.commission.onStep(copyOf(this.sheet.map), this.sheet.history);
    this.live.touch();
    this.refresh();
    clearTimeout(this.adviceTimer);
    this.adviceTimer = setTimeout(() => this.#advise(), ADVICE_DELAY_MS);
  }

  #onTake() {
    this.brush.isPencil = this.pen.isPencil;
    this.refresh();
  }

  #advise() {
    this.adviceList.show(advise(this.sheet.map));
  }

  /** Completes the stroke in progress and saves the workflow. */
  async #store() {
    this.pen.settle();
    this.page.say(await this.commission.store());
  }

  /** After a class was protected, hidden, and so on. */
  #onMark() {
    this.commission.onMarks(this.classes.marks);
    this.sheet.paintable.set(this.classes.paintable());
    this.#recolour();
  }

  /** Has every pixel drawn again. */
  #recolour() {
    this.sheet.undrawn.add(0, 0, this.sheet.width, this.sheet.height);
    this.refresh();
  }

  /** Offers the classes beside a button. @param {HTMLElement} button */
  #pickAt(button) {
    const { right, top } = button.getBoundingClientRect();
    this.picker.open({ x: right + 6, y: top });
  }

  refresh() {
    this.buttons.refresh();
    this.topBar.refresh();
    this.rim.refresh();
    this.page.root.classList.toggle("narrow-side", !this.display.panel);
    this.classList.refresh();
    this.scene.redraw();
  }
}
