/** Registers the painter with ComfyUI: the widget MOGLE_PAINTING of the node MoGLEMaskPainter. */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { announce, findLost } from "./node/draftshelf.mjs";
import { loadLanguage } from "./node/language.mjs";
import { restore, store } from "./node/memory.mjs";
import { showPromoted } from "./node/promoted.mjs";
import { settings } from "./node/settings.mjs";
import { PaintingWidget, TYPE, followInputs, recoverAll, redrawAll } from "./node/widget.mjs";

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */

app.registerExtension({
  name: "comfyuimogle.painter", // under the pack's DisplayName, as comfy-test asks

  settings: settings(redrawAll),

  getCustomWidgets() {
    return {
      [TYPE](node, name) {
        const painting = new PaintingWidget(app, api, node, name);
        const before = node.onExecuted;
        node.onExecuted = (output) => {
          before?.call(node, output);
          painting.executed(output ?? {});
        };
        return { widget: painting.widget, minWidth: 260, minHeight: 340 };
      },
    };
  },

  nodeCreated(node) {
    showPromoted(app, api, node);
  },

  afterConfigureGraph() {
    setTimeout(recoverAll); // when ComfyUI has the workflow's state, to which the strokes are a change
  },

  async setup() {
    restore();
    announce();
    void findLost().then(recoverAll);
    window.addEventListener("pagehide", store);
    api.addEventListener("graphChanged", followInputs);
    await loadLanguage(app, api);
  },
});
