/**
 * The painter's words in the language of ComfyUI's page. English stands in the code; `node/language.mjs` loads the
 * translations from `locales/LANGUAGE/main.json`, where the English text is the key.
 */

export const ENGLISH = "en";

let language = ENGLISH;
/** @type {Readonly<Record<string, string>>} */
let translations = {};

/**
 * A text in the page's language, or in English where there is no translation.
 * @param {string} english  with names in braces
 * @param {Record<string, unknown>} [values]  what replaces each name
 */
export function t(english, values = {}) {
  return (translations[english] ?? english).replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** The language that `t` translates to. */
export function currentLanguage() {
  return language;
}

/** @param {string} name @param {Readonly<Record<string, string>>} texts  by their English */
export function setLanguage(name, texts) {
  [language, translations] = [name, texts];
}
