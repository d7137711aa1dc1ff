/** The tool that moves, scales and rotates a region. Uncovered pixels take the classes around them. */

import { regionAt, regionOf, withoutRegion } from "../map/labelmap.mjs";
import { BACKGROUND, CLASSES } from "../map/palette.mjs";
import { t } from "../map/words.mjs";
import { AT_REST, frame, middle, place, toPose, scales, fromPose } from "./pose.mjs";

/** @typedef {import("./tool.mjs").Studio} Studio */
/** @typedef {import("./tool.mjs").Touch} Touch */
/** @typedef {import("../map/raster.mjs").Point} Point */
/** @typedef {import("../map/labelmap.mjs").Region} Region */
/** @typedef {import("./pose.mjs").Pose} Pose */

/** The selected region, if there is one, and its pose. */
export class Transform {
  constructor() {
    /** @type {Region | null} */
    this.region = null;
    /** @type {Pose} */
    this.pose = AT_REST;
    /** How near a press must be to a handle to hit it, in pixels of the map; depends on the zoom. */
    this.reach = 8;
    /** Distance of the rotation handle from the box, in pixels of the map; depends on the zoom. */
    this.arm = 24;
  }

  /** @param {Studio} studio @param {Touch} touch */
  down(studio, touch) {
    const { region, pose, uncovered } = this;
    this.before = { region, pose, uncovered, step: studio.sheet.history.last };
    const handle = this.region && this.#handleAt(touch);
    if (!handle) {
      this.finish(studio);
      this.#select(studio, touch);
    }
    if (touch.alt && (!handle || handle === "move")) this.#copy(studio);
    this.grip = { kind: handle ?? "move", from: touch, pose: this.pose };
  }

  /** @param {Studio} studio @param {Touch} touch */
  #select(studio, touch) {
    const { map } = studio.sheet;
    const [x, y] = [Math.floor(touch.x), Math.floor(touch.y)];
    if (x < 0 || y < 0 || x >= map.width || y >= map.height) return;
    const id = map.ids[y * map.width + x];
    if (this.#mayMove(studio, id)) this.hold(studio, touch.shift ? regionOf(map, id) : regionAt(map, x, y));
  }

  /** Selects a region. @param {Studio} studio @param {Region} region */
  hold(studio, region) {
    if (!this.#mayMove(studio, region.id)) return;
    this.region = region;
    this.pose = AT_REST;
    this.uncovered = withoutRegion(studio.sheet.map, region);
  }

  /** Says so if not. @param {Studio} studio @param {number} id  a class */
  #mayMove(studio, id) {
    if (id === BACKGROUND) studio.say(t("Choose a region. The background cannot be moved."));
    else if (!studio.sheet.paintable[id]) studio.say(t("{title} is protected.", { title: t(CLASSES[id].title) }));
    else return true;
    return false;
  }

  /** Leaves the region where it is and holds a copy. @param {Studio} studio */
  #copy(studio) {
    if (!this.region) return;
    studio.sheet.commit(t("move"));
    this.uncovered = studio.sheet.map.ids.slice();
  }

  /** Removes the region. @param {Studio} studio @returns {boolean} whether there was one */
  remove(studio) {
    if (!this.region || !this.uncovered) return false;
    studio.sheet.restore();
    studio.sheet.layRegion(this.region, this.uncovered);
    this.#deselect();
    studio.sheet.commit(t("delete"));
    return true;
  }

  /** @param {Touch} touch @returns {"turn" | "scale" | "move" | null} */
  #handleAt(touch) {
    const handles = this.handles();
    const near = (/** @type {Point} */ p) => Math.hypot(p.x - touch.x, p.y - touch.y) <= this.reach;
    if (near(handles[4])) return "turn";
    if (handles.slice(0, 4).some(near)) return "scale";
    const region = /** @type {Region} */ (this.region);
    const { x, y } = fromPose(middle(region), this.pose, touch);
    const { box } = region;
    return x >= box.x && y >= box.y && x < box.x + box.width && y < box.y + box.height ? "move" : null;
  }

  /** @returns {Point[]} four corners and the rotation handle; empty if no region is selected */
  handles() {
    if (!this.region) return [];
    const corners = frame(this.region, this.pose);
    const top = { x: (corners[0].x + corners[1].x) / 2, y: (corners[0].y + corners[1].y) / 2 };
    const { angle } = this.pose;
    return [...corners, { x: top.x + this.arm * Math.sin(angle), y: top.y - this.arm * Math.cos(angle) }];
  }

  /** @param {Studio} studio @param {Touch} touch */
  drag(studio, touch) {
    if (!this.region || !this.grip) return;
    const { kind, from, pose } = this.grip;
    const centre = toPose(middle(this.region), pose, middle(this.region));
    if (kind === "move") {
      this.pose = { ...pose, dx: pose.dx + Math.round(touch.x - from.x), dy: pose.dy + Math.round(touch.y - from.y) };
    } else if (kind === "turn") {
      const angle =
        Math.atan2(touch.y - centre.y, touch.x - centre.x) - Math.atan2(from.y - centre.y, from.x - centre.x);
      const step = Math.PI / 12;
      const turned = pose.angle + angle;
      this.pose = { ...pose, angle: touch.shift ? Math.round(turned / step) * step : turned };
    } else {
      this.pose = { ...pose, ...scales(pose, centre, from, touch) };
    }
    this.#show(studio);
  }

  /** @param {Studio} studio */
  #show({ sheet }) {
    if (!this.region || !this.uncovered) return;
    sheet.restore();
    sheet.layRegion(this.region, this.uncovered);
    const { mirror, split } = sheet;
    [sheet.mirror, sheet.split] = [null, null];
    place(this.region, this.pose, sheet.width, sheet.height, sheet.pen(this.region.id));
    [sheet.mirror, sheet.split] = [mirror, split];
  }

  up() {
    this.grip = null;
  }

  /** The region and its pose as before the press, also if the press applied the move. @param {Studio} studio */
  takeBack(studio) {
    if (!this.grip || !this.before) return;
    const { step, ...held } = this.before;
    studio.sheet.restore();
    while (studio.sheet.history.last !== step && studio.sheet.drop());
    Object.assign(this, held);
    this.grip = null;
    if (this.pose !== AT_REST) this.#show(studio);
  }

  /**
   * Adds to the pose, from the keyboard.
   * @param {Studio} studio
   * @param {Partial<Pose>} by  sx is a factor for both sides
   */
  nudge(studio, { dx = 0, dy = 0, sx = 1, angle = 0 }) {
    if (!this.region) return false;
    const { pose } = this;
    this.pose = { dx: pose.dx + dx, dy: pose.dy + dy, sx: pose.sx * sx, sy: pose.sy * sx, angle: pose.angle + angle };
    this.#show(studio);
    return true;
  }

  /** @param {Studio} studio */
  finish(studio) {
    if (!this.region) return false;
    this.#deselect();
    studio.sheet.commit(t("move"));
    return true;
  }

  /** @param {Studio} studio */
  cancel(studio) {
    this.#deselect();
    studio.sheet.restore();
  }

  #deselect() {
    this.region = null;
    this.uncovered = undefined;
    this.grip = null;
    this.pose = AT_REST;
  }
}
