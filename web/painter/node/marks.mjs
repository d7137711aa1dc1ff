/** The marks of classes (protected, hidden and so on) as a property of the node: they stay with the painting. */

/** @typedef {import("../../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../tools/classes.mjs").Marks} Marks */

const PROPERTY = "mogle_class_marks";

/** @param {GraphNode} node @returns {Partial<Marks>} those of the last visit */
export function readMarks({ properties }) {
  try {
    return JSON.parse(String(properties?.[PROPERTY] ?? "{}")) ?? {};
  } catch {
    return {};
  }
}

/** @param {GraphNode} node @param {Marks} marks */
export function writeMarks(node, marks) {
  const { locked, hidden, only, solo } = marks;
  const isEmpty = !locked.length && !hidden.length && !only.length && solo === null;
  if (isEmpty) delete node.properties?.[PROPERTY];
  else (node.properties ??= {})[PROPERTY] = JSON.stringify(marks);
}
