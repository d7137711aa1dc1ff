/** The painter's setting in ComfyUI's dialog, under Settings → MoGLE. */

/** @typedef {import("../../../../scripts/app.js").ComfyApp} ComfyApp */

export const SAFE_COLOURS = "MoGLE.Painter.SafeColours";

/** @param {() => void} changed  called when the setting changes */
export function settings(changed) {
  return [
    {
      id: SAFE_COLOURS,
      category: ["MoGLE", "Mask Painter", "Safe colours"],
      name: "Colour-blind-safe colours",
      tooltip:
        "Shows the classes in colours that are distinct with any colour blindness. Changes the display, not the mask.",
      type: "boolean",
      defaultValue: false,
      onChange: changed,
    },
  ];
}

/** @param {ComfyApp} app */
export function hasSafeColours(app) {
  return app.extensionManager?.setting?.get(SAFE_COLOURS) === true;
}

/** @param {ComfyApp} app @param {boolean} isOn */
export function setSafeColours(app, isOn) {
  return app.extensionManager?.setting?.set(SAFE_COLOURS, isOn);
}
