/** Registers the painter with ComfyUI: the widget MOGLE_PAINTING of the node MoGLEMaskPainter. */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { loadLanguage } from "./node/language.mjs";
import { restore, store } from "./node/memory.mjs";
import { showPromoted } from "./node/promoted.mjs";
import { settings } from "./node/settings.mjs";
import { PaintingWidget, TYPE, followInputs, redrawAll } from "./node/widget.mjs";

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

  async setup() {
    restore();
    window.addEventListener("pagehide", store);
    api.addEventListener("graphChanged", followInputs);
    await loadLanguage(app, api);
  },
});
