/** Live's pane beside the sheet: the picture, how far the run is, what went wrong, and how the picture is made. */

import { t } from "../map/words.mjs";
import { splitter } from "./splitter.mjs";

/** @typedef {import("./page.mjs").Page} Page */

/**
 * @typedef {object} LiveSettings
 * @property {boolean} liveUnder  whether the picture lies under the brush
 * @property {number} liveShare  its opacity there, 0 to 1
 * @property {number} liveSteps  0: as in the workflow
 * @property {number} liveWidth  of the pane, in pixels
 */

/**
 * What the pane shows and changes.
 * @typedef {object} Live
 * @property {boolean} isOn
 * @property {LiveSettings} settings
 * @property {(id: string) => void} choose  the node that shows the picture
 * @property {(steps: number) => void} setSteps
 * @property {(width: number) => void} setWidth
 * @property {(share: number) => void} setShare
 * @property {() => void} toggleUnder
 */

const [LEAST, MOST] = [200, 1600];
const STEPS = [0, 8, 4];

export class LivePane {
  /** @param {Page} page @param {Live} live */
  constructor(page, live) {
    const { make } = page;
    this.page = page;
    this.live = live;
    this.picture = make("canvas", { role: "img", "aria-label": t("The newest picture"), width: 1, height: 1 });
    this.ring = make("span", { class: "ring", role: "progressbar", "aria-label": t("Progress of the run") });
    this.state = make("output", { class: "state", role: "status" });
    this.problem = make("p", { class: "live-problem", role: "alert" });
    this.target = make("select", {
      "aria-label": t("The node whose picture is shown"),
      onchange: () => this.#choose(),
    });
    this.steps = make("select", { "aria-label": t("Steps"), onchange: () => this.#setSteps() });
    for (const steps of STEPS) {
      const text = steps ? t("{steps} steps", { steps }) : t("Steps as in the workflow");
      this.steps.append(make("option", { value: String(steps) }, text));
    }
    this.under = make("input", { type: "checkbox", "aria-label": t("Under the brush"), onchange: () => live.toggleUnder() });
    this.share = make("input", {
      type: "range",
      min: 0,
      max: 100,
      "aria-label": t("Opacity of the picture under the brush in percent"),
      oninput: () => live.setShare(Number(this.share.value) / 100),
    });
    this.root = this.#layOut();
    this.refresh();
    this.rest();
  }

  #layOut() {
    const { make } = this.page;
    const edge = splitter(make, t("Width of the Live pane"), {
      least: LEAST,
      most: MOST,
      width: () => this.live.settings.liveWidth,
      set: (width) => this.#setWidth(width),
    });
    const title = make("h2", {}, t("Live"));
    return make(
      "section",
      { class: "live", "aria-label": t("Live picture") },
      edge,
      make("div", { class: "live-head" }, title, this.ring, this.state),
      make("div", { class: "live-picture" }, this.picture),
      this.problem,
      make("div", { class: "live-choices" }, this.target, this.steps),
      make("div", { class: "live-choices" }, make("label", {}, this.under, t("Under the brush")), this.share),
    );
  }

  /** Whether the pane is seen, and its settings. */
  refresh() {
    const { isOn, settings } = this.live;
    this.root.hidden = !isOn;
    this.root.style.setProperty("--live-width", `${settings.liveWidth}px`);
    this.steps.value = String(settings.liveSteps);
    this.under.checked = settings.liveUnder;
    this.share.value = String(Math.round(settings.liveShare * 100));
    this.share.disabled = !settings.liveUnder;
  }

  /** @param {number} width */
  #setWidth(width) {
    this.live.setWidth(width);
    this.root.style.setProperty("--live-width", `${width}px`);
  }

  #choose() {
    this.live.choose(this.target.value);
    this.page.canvas.focus();
  }

  #setSteps() {
    this.live.setSteps(Number(this.steps.value));
    this.page.canvas.focus();
  }

  /**
   * The nodes to choose from, if there are several.
   * @param {{id: string, title: string}[]} targets
   * @param {string} chosen
   */
  offer(targets, chosen) {
    const { make } = this.page;
    const options = targets.map(({ id, title }) => make("option", { value: id }, `${title} (${id})`));
    this.target.replaceChildren(...options);
    this.target.value = chosen;
    this.target.hidden = targets.length < 2;
  }

  /** The run is in the queue. */
  wait() {
    this.problem.textContent = "";
    this.#say(t("Waiting for ComfyUI"), null);
  }

  /** @param {number} share  0 to 1 */
  progress(share) {
    this.#say(t("Making the picture"), Math.max(0, Math.min(1, share)));
  }

  /** Nothing runs. */
  rest() {
    this.ring.hidden = true;
    if (this.state.textContent !== this.timeText) this.state.textContent = "";
  }

  /** @param {number} ms  from the stroke to its picture */
  time(ms) {
    this.timeText = t("Made in {seconds} s", { seconds: (ms / 1000).toFixed(1) });
    this.state.textContent = this.timeText;
  }

  /** @param {string} sentence */
  fail(sentence) {
    this.problem.textContent = sentence;
  }

  /** @param {ImageBitmap} picture */
  show(picture) {
    const { picture: canvas } = this;
    [canvas.width, canvas.height] = [picture.width, picture.height];
    canvas.getContext("2d")?.drawImage(picture, 0, 0);
  }

  /** @param {string} text @param {number | null} share  null if it is not known */
  #say(text, share) {
    this.state.textContent = text;
    this.ring.hidden = false;
    this.ring.classList.toggle("turning", share === null);
    this.ring.style.setProperty("--done", `${(share ?? 0.25) * 360}deg`);
    if (share === null) this.ring.removeAttribute("aria-valuenow");
    else this.ring.setAttribute("aria-valuenow", String(Math.round(share * 100)));
  }
}
