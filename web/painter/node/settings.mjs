/** The painter's settings among ComfyUI's own, under Settings → MoGLE. */

/** @typedef {import("../../../../scripts/app.js").ComfyApp} ComfyApp */

export const SAFE_COLOURS = "MoGLE.Painter.SafeColours";

/** @param {() => void} changed  called with every change of the colours */
export function settings(changed) {
  return [
    {
      id: SAFE_COLOURS,
      category: ["MoGLE", "Mask Painter", "Safe colours"],
      name: "Colour-blind-safe colours",
      tooltip: "Shows the classes in colours that stay apart with any colour blindness. Display only: no mask changes.",
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
