/** The server has looked at what it was sent and cannot use it: its sentence says why. Any other failure is not one. */
export class Refusal extends Error {}

/** The message of an error. @param {unknown} error @returns {string} */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
