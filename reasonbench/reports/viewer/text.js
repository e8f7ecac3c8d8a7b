"use strict";
/* Elements, and texts of models as they may stand in them: always text nodes, never markup. */
const viewer = (() => {
  const MOST = 4000; // characters of a text before "show all"

  /* An element: h("a", { href: "#/x", class: "b", click: f }, "text", other).
   * Functions listen to events; true, false and null set, leave out, and leave out attributes. */
  function h(tag, attributes = {}, ...inside) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") made.addEventListener(name, value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...inside.flat(9).filter((one) => one !== null && one !== undefined && one !== false));
    return made;
  }

  /* A text with its reflection phrases marked; marks are [start, length] in order. */
  function marked(text, marks = []) {
    const found = [];
    let at = 0;
    for (const [start, length] of marks) {
      if (start >= text.length) break;
      found.push(text.slice(at, start));
      found.push(h("mark", { title: "a reflection phrase" }, text.slice(start, start + length)));
      at = start + length;
    }
    found.push(text.slice(at));
    return found.filter((one) => one !== "");
  }

  /* A text as it is written; a long one is cut, with a button that shows the rest. */
  function said(text, marks = [], attributes = {}) {
    const box = h("pre", { class: "said", dir: "auto", ...attributes });
    if (text.length <= MOST) {
      box.append(...marked(text, marks));
      return box;
    }
    let end = MOST;
    const code = text.charCodeAt(end - 1);
    if (code >= 0xd800 && code < 0xdc00) end -= 1; // not between the halves of a character
    box.append(...marked(text.slice(0, end), marks), "…");
    const button = h("button", { type: "button", click: () => {
      // a direction for every line apart takes a browser minutes where a line has a megabyte
      box.style.unicodeBidi = "isolate";
      box.replaceChildren(...marked(text, marks));
      button.remove();
      box.tabIndex = -1;
      box.focus({ preventScroll: true });
    } }, `Show all (${whole(text.length)} characters)`);
    return h("div", { class: "long" }, box, button);
  }

  /* At most so many characters, in one line. */
  function short(text, most) {
    const line = text.slice(0, 4 * most).replace(/\s+/g, " ").trim();
    return line.length <= most && text.length <= 4 * most ? line : line.slice(0, most - 1) + "…";
  }

  const whole = (value) => (value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en"));
  const percent = (value) => (value === null || value === undefined ? "–" : (100 * value).toFixed(1));
  const digits = (value) => (value === null || value === undefined ? "–"
    : Math.abs(value) >= 100 || Number.isInteger(value) ? String(Math.round(value * 100) / 100) : value.toFixed(3));

  /* A score as a bar with its number; only scores within 0…1 have a length and a colour. */
  function bar(score, what = "score") {
    const number = h("span", { class: "digits" }, digits(score));
    const box = h("span", { class: "score", title: score === null ? `${what}: no number` : `${what} ${score}` });
    if (score !== null && score >= 0 && score <= 1) {
      const fill = h("span", { class: "fill" });
      fill.style.setProperty("--share", score);
      box.append(h("span", { class: "track", "aria-hidden": "true" }, fill));
    }
    box.append(number);
    return box;
  }

  return { h, marked, said, short, whole, percent, digits, bar };
})();
