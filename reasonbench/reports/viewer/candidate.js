"use strict";
/* One solution: how it came out in a line, and below it its steps with their scores. */
viewer.candidate = (() => {
  const { h, said, whole, digits, bar, address, sources } = viewer;

  /* By the letter of a tally: a sign, a word and a class. */
  const AS = {
    c: ["✓", "right", "right"], C: ["✓", "right, after it looked back", "right"], i: ["✗", "wrong", "wrong"],
    t: ["✂", "cut by the token limit", "cut"], n: ["∅", "no answer", "none"], u: ["?", "ungraded", "ungraded"],
    ".": ["·", "not drawn", "absent"],
  };
  const STEPS = 60; // that are shown at once

  const verdict = (letter) => {
    const [sign, word, name] = AS[letter];
    return h("span", { class: `verdict ${name}` }, h("span", { "aria-hidden": "true" }, sign), ` ${word}`);
  };

  /* The score that stands for the whole: the reward's own, else that of the last step. */
  function final(sample, reward) {
    const [whole_, steps] = sample.scores?.[reward] ?? [null, []];
    return whole_ ?? steps.at(-1) ?? null;
  }

  /* Small squares, one for each sample, each a link to it. */
  function cells(one, source, tally, current = null) {
    return h("span", { class: "cells" }, [...tally.letters].map((letter, place) => {
      const [sign, word, name] = AS[letter];
      if (letter === ".") return h("span", { class: `cell ${name}`, title: `sample ${place}: ${word}` });
      return h("a", { class: `cell ${name}${place === current ? " current" : ""}`, href: address.problem(one, source, "sample", place),
        tabindex: -1, title: `sample ${place}: ${word}`, "aria-label": `sample ${place}: ${word}` }, sign);
    }));
  }

  function step(text, place, marks, score, scored) {
    return h("li", { class: "step" },
      h("span", { class: "mark" }, h("span", { class: "soft" }, String(place + 1)), scored ? bar(score, "score of this step") : null),
      said(text.replace(/(?<=\S)\s+$/, ""), marks)); // the blank line that ends a step is not shown
  }

  function steps(sample, reward) {
    const scores = sample.scores?.[reward]?.[1] ?? [];
    const texts = sample.steps ?? [];
    const fits = scores.length === texts.length;
    const marks = new Map();
    for (const [place, start, length] of sample.marks ?? []) marks.set(place, [...(marks.get(place) ?? []), [start, length]]);
    const list = h("ol", { class: "steps" });
    const show = (from, to) => texts.slice(from, to).forEach((text, place) =>
      list.append(step(text, from + place, marks.get(from + place), scores[from + place] ?? null, fits && scores.length > 0)));
    show(0, STEPS);
    const found = [list];
    if (texts.length > STEPS) {
      const button = h("button", { type: "button", click: () => { button.remove(); show(STEPS); } },
        `Show all ${whole(texts.length)} steps`);
      found.push(button);
    }
    if (!texts.length) found.push(h("p", { class: "note" }, sample.finish ? "It is empty." : "There is no text: only a verdict is stored."));
    if (scores.length && !fits) {
      found.push(h("p", { class: "note" }, `${reward} scored ${scores.length} steps, which are not the ${texts.length} above: `),
        h("p", { class: "scores" }, scores.slice(0, 400).map((score) => bar(score))));
    }
    return found;
  }

  function facts(sample) {
    const rows = [
      ["Answer", sample.answer === undefined ? "none" : said(sample.answer, [], { class: "said answer" })],
      ["Decided by", [sample.layer ?? "–", sample.reason ? `: ${viewer.short(sample.reason, 400)}` : ""]],
      ["Length", `${whole(sample.tokens)} tokens, ended by ${ended(sample)}`],
      ["Mean log-probability", sample.logprob === undefined ? null : `${digits(sample.logprob)} nats`],
      ["Self-certainty", sample.certainty === undefined ? null : `${digits(sample.certainty)} nats`],
      ["Answer class", sample.class === undefined ? null : sample.class < 0 ? "none" : `${sample.class}`],
      ["Seed", sample.seed ?? null],
      ...Object.entries(sample.scores ?? {}).map(([name, [score, each]]) =>
        [name, score !== null ? digits(score) : each.length ? `last of ${each.length} steps: ${digits(each.at(-1))}` : null]),
    ];
    return h("dl", { class: "facts" }, rows.filter(([, value]) => value !== null).map(([name, value]) =>
      [h("dt", {}, name), h("dd", {}, value)]));
  }

  function ended(sample) {
    if (sample.finish === undefined) return "nothing: no completion is stored";
    if (sample.finish !== "stop") return { length: "the token limit", aborted: "the strategy", unknown: "what is not known" }[sample.finish] ?? sample.finish;
    return sample.stop ? `“${sample.stop}”` : "itself";
  }

  /* Links to the same sample under other weights. */
  function elsewhere(one, source, sample) {
    const others = sources.versionsOf(source).filter((other) => one.tallies.has(other.place));
    if (others.length < 2) return null;
    return h("p", { class: "elsewhere" }, "Sample ", String(sample.i), " by other weights: ", others.map((other) => {
      const letter = one.tallies.get(other.place).letters[sample.i] ?? ".";
      const said_ = [sources.weights(other), " ", verdict(letter)];
      return [other === source ? h("b", {}, said_) : letter === "." ? h("span", {}, said_)
        : h("a", { href: address.problem(one, other, "sample", sample.i) }, said_), "  "];
    }));
  }

  /* The solution, closed: what is in it is made when it is opened. */
  function card(one, source, sample, reward) {
    const score = final(sample, reward);
    const summary = h("summary", {},
      h("b", {}, `#${sample.i}`), verdict(sample.as),
      h("span", { class: "answer", dir: "auto" }, sample.answer === undefined ? h("i", { class: "soft" }, "no answer") : viewer.short(sample.answer, 60)),
      h("span", { class: "soft why", dir: "auto" }, viewer.short([sample.layer, sample.reason].filter(Boolean).join(": "), 60)),
      sample.marks?.length ? h("span", { class: "tag" }, `${sample.marks.length} reflection${sample.marks.length > 1 ? "s" : ""}`) : null,
      h("span", { class: "end" }, score === null ? null : bar(score, reward), h("span", { class: "soft digits" }, `${whole(sample.tokens)} tokens`)));
    const body = h("div", { class: "inside" });
    const made = h("details", { class: "candidate", id: `sample-${sample.i}`, toggle: () => {
      if (!made.open || body.childNodes.length) return;
      body.append(...[steps(sample, reward), facts(sample), elsewhere(one, source, sample)].flat().filter(Boolean),
        h("p", { class: "note" }, h("a", { href: address.problem(one, source, "sample", sample.i) }, "Address of this sample")));
    } }, summary, body);
    return made;
  }

  return { AS, verdict, cells, card, final };
})();
