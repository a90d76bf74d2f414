// Text of anyone, as a page may show it: the same as lstmgen.escaping.

const SHOWN = { " ": "␣", "\n": "↵", "\t": "⇥" };

/** A text in which an escape such as \x1b stands for each character that is not shown. Lines and tabs stay. */
export function shown(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => ("\n\t\u200c\u200d".includes(c) ? c : escaped(c)));
}

/** An element in one line, its spaces and line ends as signs. */
export function named(element) {
  return shown(element).replace(/[ \n\t]/g, (c) => SHOWN[c]);
}

function escaped(character) {
  if (character === "\r") return "\\r";
  const hex = character.codePointAt(0).toString(16);
  if (hex.length <= 2) return `\\x${hex.padStart(2, "0")}`;
  return hex.length <= 4 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
